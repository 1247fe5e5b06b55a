"""A verdict on each pair of networks: by accuracy, or with a target by the mean time to it.

A network that missed the target with any seed has no verdict. The test may miss rare slow runs: if
one network takes 3 epochs in 80 % of runs and 12 in the others, and the other always takes 4, then
34 % of comparisons with five seeds call the first one faster.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, takewhile
from math import comb, hypot
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
    """Judge each pair of networks that did not fail or miss the target.

    The intervals are simultaneous 95 % confidence intervals. If seeds are added, they allow for all
    pairs from the start, also for those of a network that fails.
    """
    ranked = [model for model in result.models if model.figures]
    if result.target is not None:
        runs = select_timed(result.models)
        reached = [model for model in ranked if model.always_reached_target]
        ranked = [replace(model, runs=runs[model.model]) for model in reached]
    pairs = list(combinations(ranked, 2))
    judge_all = _judge_at_looks if result.settling else _judge_once
    decisions = judge_all(pairs, result)
    return tuple(
        _make_verdict(pair, decision, result)
        for pair, decision in zip(pairs, decisions, strict=True)
        if decision
    )


def is_settled(name: str, models: Sequence[ModelRuns], verdicts: Sequence[Verdict]) -> bool:
    """Whether each pair with the network `name` is settled."""
    outcomes = [verdict.outcome for verdict in verdicts if name in (verdict.first, verdict.second)]
    return len(outcomes) == len(models) - 1 and SETTLED.issuperset(outcomes)


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
    """Judge each pair over the seeds of the look that counts.

    A seed after a missing one does not count, because it may have finished early. Merged exports
    have several ranges of seeds: the next range then continues the one before, because seeds are
    independent and identically distributed.
    """
    assert result.settling is not None
    comparisons = number_of_comparisons(len(result.models), result.number_of_looks)
    decisions = []
    for first, second in pairs:
        one, other = _map_values(first, result), _map_values(second, result)
        both = one.keys() & other.keys()
        differences = [
            one[seed] - other[seed]
            for seeds in result.seed_ranges
            for seed in takewhile(both.__contains__, seeds)
        ]
        resolution = 1 / result.dataset.num_test
        decisions.append(
            sequential.judge_at_looks(
                differences, comparisons, result.settling, result.margin, resolution
            )
        )
    return decisions


def number_of_comparisons(networks: int, looks: int = 1) -> int:
    """The number of pairs of networks, times the looks at each pair."""
    return comb(networks, 2) * looks


def _make_verdict(pair: Pair, decision: Decision, result: CompareResult) -> Verdict:
    first, second = pair
    by_accuracy = result.target is None
    better = first if (decision.estimate.mean > 0) == by_accuracy else second
    seeds = sorted({run.seed for run in first.runs} & {run.seed for run in second.runs})
    used = set(seeds[: decision.estimate.n])
    one, other = ([run for run in model.runs if run.seed in used] for model in pair)
    sampling_error = sampling_error_of_difference(one, other, result.dataset.num_test)
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
            if any(run.near_chance for run in runs)
        ),
    )


def _map_values(model: ModelRuns, result: CompareResult) -> dict[int, float]:
    """The accuracy of each seed, or with a target the time."""
    if result.target is None:
        return {run.seed: run.test_accuracy for run in model.runs}
    return {run.seed: run.train_seconds for run in model.runs}


def _epoch_seconds(model: ModelRuns) -> float:
    return median([run.train_seconds / run.epochs for run in model.runs] or [0.0])
