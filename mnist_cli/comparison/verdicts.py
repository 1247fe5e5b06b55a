"""A verdict on each judged pair of networks: by accuracy, or with a target by the mean time to it.

A pair is judged if it differs in one thing: the network, or one setting of --vary.

A network that missed the target with any seed has no verdict. The test may miss rare slow runs: if
one network takes 3 epochs in 80 % of runs and 12 in the others, and the other always takes 4, then
34 % of comparisons with five seeds call the first one faster.
"""

from collections.abc import Mapping, Sequence
from math import hypot
from statistics import median

from mnist_cli.comparison.mistakes import sampling_error_of_difference
from mnist_cli.comparison.sequential import judge_at_looks, select_usable
from mnist_cli.schema.comparison import (
    SETTLED,
    CompareResult,
    Measure,
    ModelRuns,
    Outcome,
    Run,
    Verdict,
)

Runs = dict[int, Run]  # by seed


def select_timed(models: Sequence[ModelRuns]) -> dict[str, tuple[Run, ...]]:
    """The runs of each network that had a machine to themselves; none if machines differ."""
    timed = {
        model.model: tuple(run for run in model.runs if run.runs_at_once == 1) for model in models
    }
    machines = {(run.host, run.processor) for runs in timed.values() for run in runs}
    return timed if len(machines) < 2 else dict.fromkeys(timed, ())


def judge_pairs(result: CompareResult) -> tuple[Verdict, ...]:
    """Judge each of `result.pairs` in which no network failed or missed the target.

    The intervals are simultaneous 95 % confidence intervals. If seeds are added, they allow for all
    pairs from the start, also for those of a network that fails.
    """
    runs = _select_judged(result)
    pairs = [
        (first.model, second.model)
        for first, second in result.pairs
        if len(runs[first.model].keys() & runs[second.model].keys()) > 1
    ]
    comparisons = len(result.pairs if result.settling else pairs) * result.number_of_looks
    verdicts = [_judge_pair(pair, runs, comparisons, result) for pair in pairs]
    return tuple(verdict for verdict in verdicts if verdict)


def find_settled(result: CompareResult) -> set[str]:
    """The networks whose judged pairs are all settled."""
    settled = {(each.first, each.second) for each in result.verdicts if each.outcome in SETTLED}
    names = [(first.model, second.model) for first, second in result.pairs]
    unsettled = {name for pair in names if pair not in settled for name in pair}
    return {model.model for model in result.models} - unsettled


def _select_judged(result: CompareResult) -> dict[str, Runs]:
    """The runs of each network that are compared; none if it failed or missed the target."""
    timed = select_timed(result.models)
    judged = {}
    for model in result.models:
        runs = model.runs if result.target is None else timed[model.model]
        missed = result.target is not None and not model.always_reached_target
        judged[model.model] = select_usable(() if model.failure or missed else runs, result)
    return judged


def _judge_pair(
    pair: tuple[str, str], runs: Mapping[str, Runs], comparisons: int, result: CompareResult
) -> Verdict | None:
    """Judge two networks by their common seeds; None before the first look."""
    first, second = pair
    one, other = runs[first], runs[second]
    by_time = result.target is not None
    seeds = [seed for seed in one if seed in other]
    # Accuracies differ by whole images, and times to a target by whole epochs.
    if by_time:
        differences = [one[seed].train_seconds - other[seed].train_seconds for seed in seeds]
        resolution = hypot(_epoch_seconds(one), _epoch_seconds(other))
    else:
        differences = [one[seed].test_accuracy - other[seed].test_accuracy for seed in seeds]
        resolution = 1 / result.dataset.num_test
    decision = judge_at_looks(differences, comparisons, result.settling, result.margin, resolution)
    if decision is None:
        return None
    used = seeds[: decision.estimate.n]
    judged = [one[seed] for seed in used], [other[seed] for seed in used]
    ahead, behind = (second, first) if by_time else (first, second)
    better = ahead if decision.estimate.mean > 0 else behind
    return Verdict(
        first=first,
        second=second,
        measure=Measure.TRAIN_SECONDS if by_time else Measure.TEST_ACCURACY,
        difference=decision.estimate,
        adjusted_p=decision.adjusted_p,
        better=better if decision.outcome == Outcome.BETTER else None,
        outcome=decision.outcome,
        sampling_error=None if by_time else sampling_error_of_difference(*judged, result.dataset),
        near_chance=tuple(
            name for name, its in zip(pair, judged, strict=True) if result.near_chance(its)
        ),
    )


def _epoch_seconds(runs: Runs) -> float:
    return median(run.train_seconds / run.epochs for run in runs.values())
