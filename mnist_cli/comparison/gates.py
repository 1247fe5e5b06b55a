"""Thresholds for scripts. A gate fails only if the runs prove that it should.

Each network and threshold is a one-sided Student test at 0.05 / m, with m tests (times the looks if
seeds are added): the chance of any false "met" or "not met" is at most 5 %. A regression is a fall
in a two-sided test, which is false in 2.5 % on average over baselines; thresholds beside it share
the other 2.5 %. A run near chance fails a minimum accuracy by itself.
"""

from collections.abc import Sequence

from mnist_cli.comparison.sequential import at_last_look
from mnist_cli.comparison.statistics import mean_interval
from mnist_cli.comparison.verdicts import select_timed
from mnist_cli.formatting import format_runs, plural
from mnist_cli.schema.comparison import ALPHA, Baseline, Change, CompareResult, ModelRuns, Run
from mnist_cli.schema.gates import Gate, GateVerdict
from mnist_cli.schema.options import GateOptions

LAST_BITS = 1e-9  # rounding: the mean of equal values may differ from them by less


def judge_gates(result: CompareResult, gates: GateOptions) -> list[Gate]:
    """What the runs say of each threshold for each network; a single run counts as exact."""
    asked = [limit for limit in (gates.min_accuracy, gates.max_seconds) if limit is not None]
    alpha = ALPHA / 2 if gates.fail_on_regression else ALPHA
    tests = max(1, len(result.models) * len(asked) * result.number_of_looks)
    confidence = 1 - 2 * alpha / tests  # of two-sided intervals
    alone = select_timed(result.models)
    judged = []
    for model in result.models:
        runs = at_last_look(model.runs, result.settling)
        if gates.min_accuracy is not None:
            one_image = 1 / result.dataset.num_test
            judged.append(_accuracy(model, runs, gates.min_accuracy, confidence, one_image))
        if gates.max_seconds is not None:
            judged.append(_time(model, runs, alone[model.model], gates.max_seconds, confidence))
    if gates.fail_on_regression and result.baseline:
        judged += [_change(change, result.baseline) for change in result.baseline.changes]
    return judged


def _accuracy(
    model: ModelRuns, runs: Sequence[Run], least: float, confidence: float, resolution: float
) -> Gate:
    option = "--min-accuracy"
    if unknown := _unknown(model, runs):
        return Gate(model.model, option, GateVerdict.NOT_PROVEN, least, reason=unknown)
    collapsed = [run for run in model.runs if run.near_chance and run.test_accuracy < least]
    if collapsed and len(model.runs) > 1:
        reason = "did not learn with {} ({})".format(*format_runs(collapsed))
        return Gate(model.model, option, GateVerdict.NOT_MET, least, reason=reason)
    value = mean_interval([run.test_accuracy for run in runs], resolution, confidence)
    verdict = _verdict(value.mean - least, value.half_width)
    return Gate(model.model, option, verdict, least, value)


def _time(
    model: ModelRuns, runs: Sequence[Run], alone: Sequence[Run], most: float, confidence: float
) -> Gate:
    """The gate of the times of runs that had the machine `alone`; each must reach the target."""
    option = "--max-seconds"
    if unknown := _unknown(model, runs):
        return Gate(model.model, option, GateVerdict.NOT_PROVEN, most, reason=unknown)
    reached = [run.reached_target is not False for run in runs]
    timed_runs = [run for run in runs if run in alone]
    reason = ""
    if not all(reached):
        reason = f"--target was reached in {sum(reached)} of {plural(len(reached), 'run')}"
    elif not timed_runs:
        reason = "no run had the one machine to itself"
    if reason:
        return Gate(model.model, option, GateVerdict.NOT_MET, most, reason=reason)
    value = mean_interval([run.train_seconds for run in timed_runs], confidence=confidence)
    verdict = _verdict(most - value.mean, value.half_width)
    return Gate(model.model, option, verdict, most, value)


def _change(change: Change, baseline: Baseline) -> Gate:
    option, value, reason = "--fail-on-regression", change.difference, ""
    verdict = GateVerdict.NOT_PROVEN
    if value is None:
        reason = f"no change since {baseline.file} is known"
    elif change.identical:
        verdict = GateVerdict.MET
        value, reason = None, f"each seed has the accuracy it had in {baseline.file}"
    elif change.regressed:
        verdict = GateVerdict.NOT_MET
    elif value.mean >= (value.half_width or 0):
        verdict = GateVerdict.MET
    return Gate(change.model, option, verdict, None, value, reason, baseline.file)


def _unknown(model: ModelRuns, runs: Sequence[Run]) -> str:
    """Why nothing can be said of a network; empty if something can."""
    if not model.figures:
        return "it failed" if model.failure else "it has no run yet"
    return "" if runs else "it has too few seeds yet"


def _verdict(ahead: float, half_width: float | None) -> GateVerdict:
    """Whether a value is on the right side of its threshold: `ahead` of it, ± `half_width`."""
    half = half_width or 0.0
    if ahead + half < -LAST_BITS:
        return GateVerdict.NOT_MET
    return GateVerdict.MET if ahead - half >= -LAST_BITS else GateVerdict.NOT_PROVEN
