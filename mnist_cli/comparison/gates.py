"""Thresholds for scripts. A gate fails only where the runs prove that it should.

Each network and threshold is a one-sided Student test at 0.05 / m, m being their number: where all
meet their thresholds, the chance that any gate fails is at most 5 %. That no gate fails proves
nothing: two seeds hardly ever fail one.
"""

from mnist_cli.comparison.statistics import mean_interval
from mnist_cli.formatting import format_accuracy, format_duration, format_points, plural
from mnist_cli.schema.comparison import ALPHA, CompareResult, Estimate, ModelRuns
from mnist_cli.schema.options import GateOptions


def failed_gates(result: CompareResult, gates: GateOptions) -> list[str]:
    """Why a comparison misses its thresholds, a reason each; a single run is taken at its value."""
    models = [model for model in result.models if model.figures]
    asked = [limit for limit in (gates.min_accuracy, gates.max_seconds) if limit is not None]
    confidence = 1 - 2 * ALPHA / max(1, len(models) * len(asked))  # of two-sided intervals
    one_image = 1 / result.dataset.num_test
    reasons = [
        reason
        for model in models
        for reason in (
            _accuracy(model, gates.min_accuracy, confidence, one_image),
            _time(model, gates.max_seconds, confidence),
        )
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


def _accuracy(
    model: ModelRuns, least: float | None, confidence: float, resolution: float
) -> str | None:
    if least is None:
        return None
    value = mean_interval([run.test_accuracy for run in model.runs], resolution, confidence)
    if value.mean + (value.half_width or 0) >= least:
        return None
    return (
        f"{model.model}: test accuracy {format_accuracy(value)} ({_level(value)}) "
        f"is below --min-accuracy {least:.10g}"
    )


def _time(model: ModelRuns, most: float | None, confidence: float) -> str | None:
    """With a target, a network must have got to it in each run: how long it takes is not known."""
    if most is None:
        return None
    limit = f"--max-seconds {most:.10g}"
    reached = [run.reached_target is not False for run in model.runs]
    if not all(reached):
        return (
            f"{model.model}: reached --target in {sum(reached)} of {plural(len(reached), 'run')}, "
            f"so not within {limit}"
        )
    value = mean_interval([run.train_seconds for run in model.runs], confidence=confidence)
    if value.mean - (value.half_width or 0) <= most:
        return None
    return (
        f"{model.model}: training time {format_duration(value)} ({_level(value)}) is above {limit}"
    )


def _level(value: Estimate) -> str:
    """`5 seeds, one-sided 97.5 %`, or `1 seed`, which has no interval."""
    seeds = plural(value.n, "seed")
    if value.half_width is None:
        return seeds
    return f"{seeds}, one-sided {(1 + value.confidence) / 2 * 100:.4g} %"
