"""Thresholds for scripts. A gate fails when an interval clears it, so that noise does not."""

from mnist_cli.comparison import CompareResult, Estimate
from mnist_cli.config import GateOptions
from mnist_cli.formatting import accuracy, duration, plural, points


def unmet_by_one(test_accuracy: float, min_accuracy: float | None) -> list[str]:
    """Why a single network does not pass."""
    if min_accuracy is None or test_accuracy >= min_accuracy:
        return []
    return [f"test accuracy {test_accuracy:.4f} is below --min-accuracy {min_accuracy:.10g}"]


def unmet(result: CompareResult, gates: GateOptions) -> list[str]:
    """Why a comparison does not pass, a reason each; one run alone is taken at its value."""
    reasons = []
    for model in result.models:
        if model.figures is None:
            continue
        value, time = model.figures.test_accuracy, model.figures.train_seconds
        if gates.min_accuracy is not None and _highest(value) < gates.min_accuracy:
            reasons.append(
                f"{model.model}: test accuracy {accuracy(value)} ({plural(value.n, 'seed')}) "
                f"is below --min-accuracy {gates.min_accuracy:.10g}"
            )
        if gates.max_seconds is not None:
            limit = f"--max-seconds {gates.max_seconds:.10g}"
            if all(run.reached_target is False for run in model.runs):
                reasons.append(f"{model.model}: never reached --target, so not within {limit}")
            elif _lowest(time) > gates.max_seconds:
                reasons.append(
                    f"{model.model}: training time {duration(time)} ({plural(time.n, 'seed')}) "
                    f"is above {limit}"
                )
    if gates.fail_on_regression and result.baseline:
        reasons += [
            f"{change.model}: test accuracy changed by {points(change.difference)} "
            f"since {result.baseline.file}"
            for change in result.baseline.changes
            if change.regressed and change.difference
        ]
    return reasons


def _highest(value: Estimate) -> float:
    return value.mean + (value.half_width or 0)


def _lowest(value: Estimate) -> float:
    return value.mean - (value.half_width or 0)
