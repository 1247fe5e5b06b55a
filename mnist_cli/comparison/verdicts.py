"""A verdict on each pair of networks: by accuracy, or with a target by the mean time to it.

With a target only networks that always got there are ranked. Their mean times say nothing of slow
runs that the seeds happen not to have: a network that takes 3 epochs in 80 % of its runs and 12 in
the others is called faster than one that always takes 4 in 34 % of comparisons with five seeds.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, takewhile
from math import comb, hypot
from statistics import median

from mnist_cli.comparison import sequential
from mnist_cli.comparison.mistakes import sampling_error_of_difference
from mnist_cli.comparison.statistics import Decision, judge, paired
from mnist_cli.comparison.timing import timed
from mnist_cli.schema.comparison import SETTLED, CompareResult, Measure, ModelRuns, Verdict

Pair = tuple[ModelRuns, ModelRuns]


def verdicts(result: CompareResult) -> tuple[Verdict, ...]:
    """What the runs say of each pair; nothing where one failed, or is not at its target always.

    The intervals are simultaneous 95 % confidence intervals. Where seeds are added, all pairs count
    from the start, those of a network that fails included.
    """
    runs = timed(result.models)
    ranked = [
        # With a target they are ranked by time.
        model if result.target is None else replace(model, runs=runs[model.model])
        for model in result.models
        if model.figures and (result.target is None or model.always_reached_target)
    ]
    pairs = list(combinations(ranked, 2))
    decisions = _fixed(pairs, result) if result.settling is None else _at_looks(pairs, result)
    return tuple(
        _verdict(pair, decision, result)
        for pair, decision in zip(pairs, decisions, strict=True)
        if decision
    )


def settled(name: str, models: Sequence[ModelRuns], judged: Sequence[Verdict]) -> bool:
    """Whether there is a verdict on each pair of the network `name`."""
    outcomes = [verdict.outcome for verdict in judged if name in (verdict.first, verdict.second)]
    return len(outcomes) == len(models) - 1 and SETTLED.issuperset(outcomes)


def _fixed(pairs: Sequence[Pair], result: CompareResult) -> list[Decision | None]:
    """Over all common seeds, of which a verdict needs two."""
    samples = []
    for first, second in pairs:
        one, other = _values(first, result), _values(second, result)
        seeds = sorted(one.keys() & other.keys())
        # A time to a target moves in whole epochs, as an accuracy does in whole images.
        resolution = 1 / result.dataset.num_test
        if result.target is not None:
            resolution = hypot(_epoch(first), _epoch(second))
        enough = len(seeds) > 1
        samples.append(
            paired([one[seed] for seed in seeds], [other[seed] for seed in seeds], resolution)
            if enough
            else None
        )
    comparisons = len([sample for sample in samples if sample])
    return [judge(sample, comparisons, result.margin) if sample else None for sample in samples]


def _at_looks(pairs: Sequence[Pair], result: CompareResult) -> list[Decision | None]:
    """Over the first seeds, as many as there were at the look that counts.

    Those after a gap may have come before it, out of turn, and are left out. Where exports are put
    together that stopped early, another block of seeds follows: as all are alike and independent,
    it may stand for the seeds that the first block would have had next.
    """
    assert result.settling is not None
    comparisons = number_of_comparisons(len(result.models), result.number_of_looks)
    decisions = []
    for first, second in pairs:
        one, other = _values(first, result), _values(second, result)
        both = one.keys() & other.keys()
        seeds = [
            seed for block in _blocks(result.seeds) for seed in takewhile(both.__contains__, block)
        ]
        decision = sequential.judged(
            [one[seed] - other[seed] for seed in seeds],
            comparisons,
            result.settling,
            result.margin,
            resolution=1 / result.dataset.num_test,
        )
        decisions.append(decision)
    return decisions


def _blocks(seeds: Sequence[int]) -> list[list[int]]:
    """Seeds in their order, parted where they do not follow each other: 0 to 4, 10 to 14."""
    blocks: list[list[int]] = []
    for seed in seeds:
        if not blocks or seed != blocks[-1][-1] + 1:
            blocks.append([])
        blocks[-1].append(seed)
    return blocks


def number_of_comparisons(networks: int, looks: int = 1) -> int:
    """Pairs of networks, times looks at each."""
    return comb(networks, 2) * looks


def _verdict(pair: Pair, decision: Decision, result: CompareResult) -> Verdict:
    first, second = pair
    first_is_better = (decision.estimate.mean > 0) == (result.target is None)
    better = first if first_is_better else second
    seeds = sorted({run.seed for run in first.runs} & {run.seed for run in second.runs})
    seeds = seeds[: decision.estimate.n]
    one, other = ([run for run in model.runs if run.seed in seeds] for model in pair)
    by_images = sampling_error_of_difference(one, other, result.dataset.num_test)
    return Verdict(
        first=first.model,
        second=second.model,
        measure=Measure.TEST_ACCURACY if result.target is None else Measure.TRAIN_SECONDS,
        difference=decision.estimate,
        adjusted_p=decision.adjusted_p,
        better=better.model if decision.differs else None,
        outcome=decision.outcome,
        sampling_error=by_images if result.target is None else None,
        near_chance=tuple(
            model.model
            for model, runs in ((first, one), (second, other))
            if any(run.near_chance for run in runs)
        ),
    )


def _values(model: ModelRuns, result: CompareResult) -> dict[int, float]:
    """What a network is ranked by, for each seed."""
    return {
        run.seed: run.test_accuracy if result.target is None else run.train_seconds
        for run in model.runs
    }


def _epoch(model: ModelRuns) -> float:
    return median([run.train_seconds / run.epochs for run in model.runs] or [0.0])
