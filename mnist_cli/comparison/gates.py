"""Thresholds for scripts. A gate fails only where the runs prove that it should.

Each network and threshold is a one-sided Student test at 0.05 / m, m being their number (times that
of the looks where seeds are added): where all meet their thresholds, the chance that any gate fails
is at most 5 %. A regression is a fall in a two-sided test, which has a chance of 2.5 %; beside it,
thresholds share the other half. That no gate fails proves nothing: two seeds hardly ever fail one.
"""

from collections.abc import Sequence

from mnist_cli.comparison.sequential import at_last_look
from mnist_cli.comparison.statistics import mean_interval
from mnist_cli.comparison.timing import timed
from mnist_cli.formatting import format_accuracy, format_duration, format_points, plural
from mnist_cli.schema.comparison import ALPHA, CompareResult, Estimate, Run
from mnist_cli.schema.options import GateOptions


def failed_gates(result: CompareResult, gates: GateOptions) -> list[str]:
    """Why a comparison misses its thresholds, a reason each; a single run is taken at its value."""
    judged = {
        model.model: runs
        for model in result.models
        if model.figures and (runs := at_last_look(model.runs, result.settling))
    }
    asked = [limit for limit in (gates.min_accuracy, gates.max_seconds) if limit is not None]
    alpha = ALPHA / 2 if gates.fail_on_regression else ALPHA
    tests = max(1, len(result.models) * len(asked) * result.number_of_looks)
    confidence = 1 - 2 * alpha / tests  # of two-sided intervals
    one_image = 1 / result.dataset.num_test
    alone = timed(result.models)
    reasons = [
        reason
        for name, runs in judged.items()
        for reason in (
            _accuracy(name, runs, gates.min_accuracy, confidence, one_image),
            _time(name, runs, alone[name], gates.max_seconds, confidence),
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
    name: str, runs: Sequence[Run], least: float | None, confidence: float, resolution: float
) -> str | None:
    if least is None:
        return None
    value = mean_interval([run.test_accuracy for run in runs], resolution, confidence)
    if value.mean + (value.half_width or 0) >= least:
        return None
    return (
        f"{name}: test accuracy {format_accuracy(value)} ({_level(value)}) "
        f"is below --min-accuracy {least:.10g}"
    )


def _time(
    name: str, runs: Sequence[Run], alone: Sequence[Run], most: float | None, confidence: float
) -> str | None:
    """The times are those of the runs that had the machine `alone`, and there must be one.

    With a target, a network must have got to it in each run: how long it takes is not known.
    """
    if most is None:
        return None
    limit = f"--max-seconds {most:.10g}"
    reached = [run.reached_target is not False for run in runs]
    if not all(reached):
        return (
            f"{name}: reached --target in {sum(reached)} of {plural(len(reached), 'run')}, "
            f"so not within {limit}"
        )
    timed_runs = [run for run in runs if run in alone]
    if not timed_runs:
        return f"{name}: no run had the one machine to itself, so nothing is known of {limit}"
    value = mean_interval([run.train_seconds for run in timed_runs], confidence=confidence)
    if value.mean - (value.half_width or 0) <= most:
        return None
    return f"{name}: training time {format_duration(value)} ({_level(value)}) is above {limit}"


def _level(value: Estimate) -> str:
    """`5 seeds, one-sided 97.5 %`, or `1 seed`, which has no interval."""
    seeds = plural(value.n, "seed")
    if value.half_width is None:
        return seeds
    return f"{seeds}, one-sided {(1 + value.confidence) / 2 * 100:.4g} %"
