"""Verdicts on a pair of networks while seeds are added.

A look computes the interval of a pair when it has 4, 5, 7, ... seeds, at the level 1 - 0.05 / (m K)
with m pairs and K looks. By the union bound, all are simultaneous 95 % confidence intervals,
whichever pairs get more seeds and whenever the comparison ends. These are the repeated confidence
intervals of Jennison and Turnbull (1989, https://doi.org/10.1111/j.2517-6161.1989.tb01433.x) with
Bonferroni's levels.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, takewhile

from mnist_cli.comparison import statistics
from mnist_cli.comparison.statistics import Decision, SampleMean, interval_half_width
from mnist_cli.schema.comparison import SETTLED, CompareResult, Outcome, Run, Settling, Verdict

FUTILE_FROM = 5  # seeds; the standard deviation of fewer is too uncertain to stop a pair
LIKELY = 1.28  # standard errors; a normal mean is too high by more in one of ten cases
EXPECTED_ACCURACY = 0.99  # about that of the article's best network


def judge_at_looks(
    differences: Sequence[float],
    comparisons: int,
    settling: Settling | None,
    margin: float | None,
    resolution: float,
) -> Decision | None:
    """Judge one pair at the look that settles it, else at the last look; None before any look.

    `differences` are first minus second, in the order of the seeds; `comparisons` is m pairs times
    K looks; `margin` and `resolution` are as in `statistics.judge` and `statistics.sample_mean`.
    Without `settling`, there is one look at all differences.
    """
    decision = None
    for look in settling.allowed_looks if settling else (len(differences),):
        if look > len(differences):
            break
        sample = statistics.sample_mean(differences[:look], resolution)
        decision = statistics.judge(sample, comparisons, margin)
        if decision.outcome in SETTLED:
            break
        if settling and _is_futile(sample, comparisons, settling, margin):
            decision = replace(decision, outcome=Outcome.SET_ASIDE)
    return decision


def select_usable(runs: Iterable[Run], result: CompareResult) -> dict[int, Run]:
    """The runs by seed; if seeds are added, without those of a range after a missing seed.

    A seed after a missing one may have finished early. Merged exports have several ranges of seeds:
    the next one continues the one before, as seeds are independent and identically distributed.
    """
    known = {run.seed: run for run in runs}
    if result.settling is None:
        return known
    usable = (takewhile(known.__contains__, seeds) for seeds in result.seed_ranges)
    return {seed: known[seed] for seed in chain.from_iterable(usable)}


def seeds_needed(
    names: Iterable[str], verdicts: Iterable[Verdict], settling: Settling, least: int = 0
) -> dict[str, int]:
    """How many seeds each network needs now: in an open pair, as many as the next look needs.

    Every network needs as many as the first look, and at least `least`.
    """
    looks = settling.allowed_looks
    needed = dict.fromkeys(names, max(looks[0], least))
    for verdict in verdicts:
        further = [look for look in looks if look > verdict.difference.n]
        if verdict.outcome == Outcome.OPEN and further:
            for name in (verdict.first, verdict.second):
                needed[name] = max(needed[name], further[0])
    return needed


def at_last_look(runs: Sequence[Run], settling: Settling | None) -> Sequence[Run]:
    """The runs that the last look judged; all runs if their number was fixed."""
    if settling is None:
        return runs
    return runs[: max((look for look in settling.allowed_looks if look <= len(runs)), default=0)]


def expected_half_width(comparisons: float, seeds: int, num_test: int) -> float:
    """The expected half-width of the interval of a pair of good networks with `seeds` seeds.

    The standard deviation of accuracies over seeds is about binomial: on 10,000 images, it is
    0.0010 to 0.0016 for mlp, tinycnn and cnn, and 0.0012 to 0.0017 for binomial values.
    """
    deviation = math.sqrt(2 * EXPECTED_ACCURACY * (1 - EXPECTED_ACCURACY) / num_test)
    return interval_half_width(deviation, seeds, comparisons)


def forecast(sample: SampleMean, comparisons: float, settling: Settling) -> tuple[float, float]:
    """How far the mean is likely to move until the last look, and half its interval's width then.

    It moves up by more in one of ten cases, and down likewise. With few seeds, this is infinite.
    """
    last = settling.allowed_looks[-1]
    half = interval_half_width(sample.standard_error * math.sqrt(sample.n), last, comparisons)
    if sample.n < min(FUTILE_FROM, last):
        return math.inf, half
    return LIKELY * sample.standard_error * math.sqrt(1 - sample.n / last), half


def _is_futile(
    sample: SampleMean, comparisons: int, settling: Settling, margin: float | None
) -> bool:
    """Whether the last look is unlikely to decide the pair, given the mean and deviation so far.

    Stopping a pair makes no verdict wrong, and saves half of the runs if networks tie.
    """
    drift, half = forecast(sample, comparisons, settling)
    size = abs(sample.mean)
    hardly_different = size + drift <= half
    hardly_equivalent = margin is None or size - drift >= margin - half
    return hardly_different and hardly_equivalent
