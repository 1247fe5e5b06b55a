"""Thresholds for scripts. A gate fails only if the runs prove that its threshold is not met.

Each threshold of each network is a one-sided Student t-test at the level 0.05 / m, with m tests
(times the looks if seeds are added): the chance of any false "met" or "not met" is at most 5 %. A
regression is a fall in a two-sided test, which is false in 2.5 % on average over baselines; the
other thresholds then share the remaining 2.5 %. One run near chance fails a minimum accuracy.
"""

from collections.abc import Sequence
from dataclasses import replace

from mnist_cli.comparison.sequential import at_last_look
from mnist_cli.comparison.statistics import mean_interval
from mnist_cli.comparison.verdicts import select_timed
from mnist_cli.formatting import format_runs, plural
from mnist_cli.schema.comparison import ALPHA, Baseline, Change, CompareResult, ModelRuns, Run
from mnist_cli.schema.gates import Gate, GateVerdict
from mnist_cli.schema.options import GateOptions

ROUNDING = 1e-9  # the mean of equal values differs from them by less


def judge_gates(result: CompareResult, gates: GateOptions) -> list[Gate]:
    """Judge each threshold for each network; a single run counts as exact."""
    limits = [limit for limit in (gates.min_accuracy, gates.max_seconds) if limit is not None]
    alpha = ALPHA / 2 if gates.fail_on_regression else ALPHA
    tests = max(1, len(result.models) * len(limits) * result.number_of_looks)
    confidence = 1 - 2 * alpha / tests  # of two-sided intervals
    timed = select_timed(result.models)
    results = []
    for model in result.models:
        runs = at_last_look(model.runs, result.settling)
        if gates.min_accuracy is not None:
            results.append(_judge_accuracy(model, runs, gates.min_accuracy, confidence, result))
        if gates.max_seconds is not None:
            name = model.model
            results.append(_judge_time(model, runs, timed[name], gates.max_seconds, confidence))
    if gates.fail_on_regression and result.baseline:
        results += [_judge_change(change, result.baseline) for change in result.baseline.changes]
    return [replace(gate, evaluated_on=result.dataset.evaluated_on) for gate in results]


def _judge_accuracy(
    model: ModelRuns, runs: Sequence[Run], least: float, confidence: float, result: CompareResult
) -> Gate:
    option = "--min-accuracy"
    if missing := _explain_missing(model, runs):
        return Gate(model.model, option, GateVerdict.NOT_PROVEN, least, reason=missing)
    collapsed = [run for run in result.near_chance(model.runs) if run.test_accuracy < least]
    if collapsed and len(model.runs) > 1:
        reason = "did not learn with {} ({})".format(*format_runs(collapsed))
        return Gate(model.model, option, GateVerdict.NOT_MET, least, reason=reason)
    one_image = 1 / result.dataset.num_test
    value = mean_interval([run.test_accuracy for run in runs], one_image, confidence)
    verdict = _decide(value.mean - least, value.half_width)
    return Gate(model.model, option, verdict, least, value)


def _judge_time(
    model: ModelRuns, runs: Sequence[Run], timed: Sequence[Run], most: float, confidence: float
) -> Gate:
    """Judge the times of those `runs` that are `timed`; each run must reach the target."""
    option = "--max-seconds"
    if missing := _explain_missing(model, runs):
        return Gate(model.model, option, GateVerdict.NOT_PROVEN, most, reason=missing)
    reached = [run.reached_target is not False for run in runs]
    timed_runs = [run for run in runs if run in timed]
    reason = ""
    if not all(reached):
        reason = f"--target was reached in {sum(reached)} of {plural(len(reached), 'run')}"
    elif not timed_runs:
        reason = "its runs shared a machine or had several"
    if reason:
        return Gate(model.model, option, GateVerdict.NOT_MET, most, reason=reason)
    value = mean_interval([run.train_seconds for run in timed_runs], confidence=confidence)
    verdict = _decide(most - value.mean, value.half_width)
    return Gate(model.model, option, verdict, most, value)


def _judge_change(change: Change, baseline: Baseline) -> Gate:
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


def _explain_missing(model: ModelRuns, runs: Sequence[Run]) -> str:
    """Why there is nothing to judge; empty if there is something."""
    if not model.figures:
        return "it failed" if model.failure else "it has no run yet"
    return "" if runs else "it has too few seeds yet"


def _decide(ahead: float, half_width: float | None) -> GateVerdict:
    """Whether a value that is `ahead` ± `half_width` of its threshold meets it."""
    half = half_width or 0.0
    if ahead + half < -ROUNDING:
        return GateVerdict.NOT_MET
    return GateVerdict.MET if ahead - half >= -ROUNDING else GateVerdict.NOT_PROVEN
