"""A verdict on each judged pair of networks: by accuracy, or with a target by the mean time to it.

A pair is judged if it differs in one thing: the network, or one setting of --vary.

A network that missed the target with any seed has no verdict. The test may miss rare slow runs: if
one network takes 3 epochs in 80 % of runs and 12 in the others, and the other always takes 4, then
34 % of comparisons with five seeds call the first one faster.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import hypot
from statistics import median

from mnist_cli.comparison import sequential
from mnist_cli.comparison.mistakes import sampling_error_of_difference
from mnist_cli.comparison.statistics import Decision, judge, paired
from mnist_cli.schema.comparison import SETTLED, CompareResult, Measure, ModelRuns, Run, Verdict

Pair = tuple[ModelRuns, ModelRuns]


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
    ranked = {model.model: model for model in result.models if model.figures}
    if result.target is not None:
        timed = select_timed(result.models)
        ranked = {
            name: replace(model, runs=timed[name])
            for name, model in ranked.items()
            if model.always_reached_target
        }
    pairs = [
        (ranked[first.model], ranked[second.model])
        for first, second in result.pairs
        if first.model in ranked and second.model in ranked
    ]
    judge_all = _judge_at_looks if result.settling else _judge_once
    decisions = judge_all(pairs, result)
    return tuple(
        _make_verdict(pair, decision, result)
        for pair, decision in zip(pairs, decisions, strict=True)
        if decision
    )


def find_settled(result: CompareResult) -> set[str]:
    """The networks whose judged pairs are all settled."""
    settled = {(each.first, each.second) for each in result.verdicts if each.outcome in SETTLED}
    names = [(first.model, second.model) for first, second in result.pairs]
    unsettled = {name for pair in names if pair not in settled for name in pair}
    return {model.model for model in result.models} - unsettled


def _judge_once(pairs: Sequence[Pair], result: CompareResult) -> list[Decision | None]:
    """Judge each pair over all common seeds; None if there are fewer than two."""
    samples = []
    for first, second in pairs:
        one, other = _map_values(first, result), _map_values(second, result)
        seeds = sorted(one.keys() & other.keys())
        # Accuracies differ by whole images, and times to a target by whole epochs.
        resolution = 1 / result.dataset.num_test
        if result.target is not None:
            resolution = hypot(_epoch_seconds(first), _epoch_seconds(second))
        values = [one[seed] for seed in seeds], [other[seed] for seed in seeds]
        samples.append(paired(*values, resolution) if len(seeds) > 1 else None)
    comparisons = len([sample for sample in samples if sample])
    return [judge(sample, comparisons, result.margin) if sample else None for sample in samples]


def _judge_at_looks(pairs: Sequence[Pair], result: CompareResult) -> list[Decision | None]:
    """Judge each pair over the seeds of the look that counts."""
    assert result.settling is not None
    comparisons = len(result.pairs) * result.number_of_looks
    decisions = []
    for first, second in pairs:
        one = sequential.usable_accuracies(first.runs, result.seed_ranges)
        other = sequential.usable_accuracies(second.runs, result.seed_ranges)
        differences = [one[seed] - other[seed] for seed in one if seed in other]
        resolution = 1 / result.dataset.num_test
        decisions.append(
            sequential.judge_at_looks(
                differences, comparisons, result.settling, result.margin, resolution
            )
        )
    return decisions


def _make_verdict(pair: Pair, decision: Decision, result: CompareResult) -> Verdict:
    first, second = pair
    by_accuracy = result.target is None
    better = first if (decision.estimate.mean > 0) == by_accuracy else second
    seeds = sorted({run.seed for run in first.runs} & {run.seed for run in second.runs})
    used = set(seeds[: decision.estimate.n])
    one, other = ([run for run in model.runs if run.seed in used] for model in pair)
    sampling_error = sampling_error_of_difference(one, other, result.dataset)
    return Verdict(
        first=first.model,
        second=second.model,
        measure=Measure.TEST_ACCURACY if by_accuracy else Measure.TRAIN_SECONDS,
        difference=decision.estimate,
        adjusted_p=decision.adjusted_p,
        better=better.model if decision.differs else None,
        outcome=decision.outcome,
        sampling_error=sampling_error if by_accuracy else None,
        near_chance=tuple(
            model.model
            for model, runs in ((first, one), (second, other))
            if result.near_chance(runs)
        ),
    )


def _map_values(model: ModelRuns, result: CompareResult) -> dict[int, float]:
    """The accuracy of each seed, or with a target the time."""
    if result.target is None:
        return {run.seed: run.test_accuracy for run in model.runs}
    return {run.seed: run.train_seconds for run in model.runs}


def _epoch_seconds(model: ModelRuns) -> float:
    return median([run.train_seconds / run.epochs for run in model.runs] or [0.0])
