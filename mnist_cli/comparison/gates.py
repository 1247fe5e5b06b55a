"""Thresholds for scripts. A gate fails when an interval clears it, so that noise does not."""

from mnist_cli.formatting import format_accuracy, format_duration, format_points, plural
from mnist_cli.schema.comparison import CompareResult, Estimate, ModelRuns
from mnist_cli.schema.options import GateOptions


def failed_accuracy_gate(test_accuracy: float, min_accuracy: float | None) -> list[str]:
    """Why one training or evaluation misses its threshold; empty where it does not."""
    if min_accuracy is None or test_accuracy >= min_accuracy:
        return []
    return [f"test accuracy {test_accuracy:.4f} is below --min-accuracy {min_accuracy:.10g}"]


def failed_gates(result: CompareResult, gates: GateOptions) -> list[str]:
    """Why a comparison misses its thresholds, a reason each; a single run is taken at its value."""
    reasons = [
        reason
        for model in result.models
        for reason in (_accuracy(model, gates.min_accuracy), _time(model, gates.max_seconds))
        if reason
    ]
    if gates.fail_on_regression and result.baseline:
        reasons += [
            f"{change.model}: test accuracy changed by {format_points(change.difference)} "
            f"since {result.baseline.file}"
            for change in result.baseline.changes
            if change.regressed and change.difference
        ]
    return reasons


def _accuracy(model: ModelRuns, least: float | None) -> str | None:
    if model.figures is None or least is None or _highest(model.figures.test_accuracy) >= least:
        return None
    value = model.figures.test_accuracy
    return (
        f"{model.model}: test accuracy {format_accuracy(value)} ({plural(value.n, 'seed')}) "
        f"is below --min-accuracy {least:.10g}"
    )


def _time(model: ModelRuns, most: float | None) -> str | None:
    if model.figures is None or most is None:
        return None
    limit = f"--max-seconds {most:.10g}"
    if all(run.reached_target is False for run in model.runs):
        return f"{model.model}: never reached --target, so not within {limit}"
    time = model.figures.train_seconds
    if _lowest(time) <= most:
        return None
    return (
        f"{model.model}: training time {format_duration(time)} ({plural(time.n, 'seed')}) "
        f"is above {limit}"
    )


def _highest(value: Estimate) -> float:
    return value.mean + (value.half_width or 0)


def _lowest(value: Estimate) -> float:
    return value.mean - (value.half_width or 0)
