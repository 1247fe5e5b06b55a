"""Intervals, tests and verdicts: pure functions of numbers.

Student intervals of normal values have their nominal coverage from two values on, as the tests
simulate. The distributions are those of scipy.special, which scipy imports when it is first used:
in 0.1 s, where scipy.stats takes 0.8 s.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, median, variance

import scipy

from mnist_cli.schema.comparison import ALPHA, CONFIDENCE, Estimate
from mnist_cli.schema.options import MAX_SEEDS

POWER = 0.8
OUTLIER = 14.826


@dataclass(frozen=True)
class SampleMean:
    """The mean of a sample of `n` values, and its standard error: what a Student interval needs."""

    mean: float
    standard_error: float
    degrees_of_freedom: float
    n: int

    def estimate(self, confidence: float = CONFIDENCE) -> Estimate:
        """The mean with the half-width of its two-sided Student interval."""
        quantile = scipy.special.stdtrit(self.degrees_of_freedom, (1 + confidence) / 2)
        return Estimate(self.mean, float(quantile * self.standard_error), self.n, confidence)

    def p_value(self) -> float:
        """Two-sided, of the hypothesis that the true mean is zero."""
        if self.standard_error == 0:
            return float(self.mean == 0)
        t = abs(self.mean) / self.standard_error
        return float(2 * scipy.special.stdtr(self.degrees_of_freedom, -t))


@dataclass(frozen=True)
class Decision:
    """One of several differences, judged together: it `differs` from zero, or may be zero.

    The estimate's confidence is that of its step in Holm's procedure, 99.2 % for the first of six,
    so that the interval leaves zero out exactly where the difference is significant.
    """

    estimate: Estimate
    adjusted_p: float
    differs: bool


def sample_mean(values: Sequence[float], resolution: float = 0.0) -> SampleMean:
    """The mean of two or more values, and its standard error.

    Args:
        values: independent measurements.
        resolution: the least step between two values, such as one image of a test set. Values
            that agree by chance are not exact: the variance is taken to be at least
            resolution**2 / 12, that of an error of rounding which is uniform over one step.
    """
    spread = max(variance(values), resolution**2 / 12)
    return SampleMean(fmean(values), math.sqrt(spread / len(values)), len(values) - 1, len(values))


def mean_interval(values: Sequence[float], resolution: float = 0.0) -> Estimate:
    """The mean of one or more values with its 95 % interval; one value alone has none."""
    if len(values) == 1:
        return Estimate(values[0], None, 1, CONFIDENCE)
    return sample_mean(values, resolution).estimate()


def paired(first: Sequence[float], second: Sequence[float], resolution: float = 0.0) -> SampleMean:
    """The mean of first[i] - second[i], where i is the same seed: what both share cancels."""
    differences = [a - b for a, b in zip(first, second, strict=True)]
    return sample_mean(differences, resolution)


def welch(first: Sequence[float], second: Sequence[float], resolution: float = 0.0) -> SampleMean:
    """The difference of two means of values that have nothing to do with each other (Welch 1947).

    Each needs two values or more.
    """
    one, other = sample_mean(first, resolution), sample_mean(second, resolution)
    a, b = one.standard_error**2, other.standard_error**2
    total = a + b
    freedom = (
        total**2 / (a**2 / one.degrees_of_freedom + b**2 / other.degrees_of_freedom)
        if total
        else min(one.degrees_of_freedom, other.degrees_of_freedom)
    )
    return SampleMean(one.mean - other.mean, math.sqrt(total), freedom, min(one.n, other.n))


def decide(differences: Sequence[SampleMean]) -> list[Decision]:
    """Judge differences together: the chance of any false verdict is at most 5 % (Holm 1979)."""
    p_values = [difference.p_value() for difference in differences]
    return [
        Decision(difference.estimate(1 - level), adjusted, adjusted < ALPHA)
        for difference, (adjusted, level) in zip(differences, holm(p_values), strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[tuple[float, float]]:
    """For each p-value its Holm-adjusted one, and the level it was compared with.

    After the first that fails, all others share the level of that one.
    """
    count = len(p_values)
    results = [(1.0, ALPHA)] * count
    adjusted, level, failed = 0.0, ALPHA / max(count, 1), False
    for rank, index in enumerate(sorted(range(count), key=p_values.__getitem__)):
        adjusted = max(adjusted, min(1.0, p_values[index] * (count - rank)))
        if not failed:
            level = ALPHA / (count - rank)
            failed = adjusted >= ALPHA
        results[index] = (adjusted, level)
    return results


def seeds_needed(difference: SampleMean, confidence: float) -> int | None:
    """How many seeds would probably settle a paired difference, if it is as it looks now.

    The least n for which a two-sided paired t-test at this confidence finds it with a probability
    of 80 % (Cohen 1988); None if that is more than 1,000.
    """
    if difference.mean == 0 or difference.standard_error == 0:
        return None
    effect = abs(difference.mean) / (difference.standard_error * math.sqrt(difference.n))

    def power(n: int) -> float:
        critical = scipy.special.stdtrit(n - 1, (1 + confidence) / 2)
        missed = scipy.special.nctdtr(n - 1, effect * math.sqrt(n), critical)
        return 1 - float(missed) if math.isfinite(missed) else 1.0  # not finite for large effects

    numbers = range(2, MAX_SEEDS + 1)
    position = bisect_left(numbers, POWER, key=power)
    return numbers[position] if position < len(numbers) else None


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value of two classifiers on one test set (McNemar 1947).

    Args:
        only_first: images that only the first gets right.
        only_second: images that only the second gets right.
    """
    fewer, total = min(only_first, only_second), only_first + only_second
    return min(1.0, float(2 * scipy.special.bdtr(fewer, total, 0.5)))


def disagreement_interval(
    only_first: int, only_second: int, num_samples: int, confidence: float
) -> tuple[float, float]:
    """Lower and upper bound of the difference in accuracy on images like these.

    Exact for the share of disagreements that the first wins (Clopper and Pearson 1934), given how
    often the two disagree.
    """
    total = only_first + only_second
    if not total:
        return 0.0, 0.0
    tail, inverse = (1 - confidence) / 2, scipy.special.betaincinv
    low = inverse(only_first, only_second + 1, tail) if only_first else 0.0
    high = inverse(only_first + 1, only_second, 1 - tail) if only_second else 1.0
    scale = total / num_samples
    return float((2 * low - 1) * scale), float((2 * high - 1) * scale)


def sampling_error(accuracy: float, num_samples: int) -> float:
    """Half the width of the 95 % interval of an accuracy on `num_samples` images (Wilson 1927).

    It is due to the choice of the images: on others, the same network has another accuracy.
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    variance_of_mean = accuracy * (1 - accuracy) / num_samples
    return z * math.sqrt(variance_of_mean + (z / num_samples / 2) ** 2) / (1 + z * z / num_samples)


def pareto(points: Sequence[tuple[float, float]]) -> list[bool]:
    """For each (benefit, cost) whether no other has more benefit at no more cost, or less cost."""
    return [
        not any(
            other_benefit >= benefit and other_cost <= cost and (other_benefit, other_cost) != point
            for other_benefit, other_cost in points
        )
        for point in points
        for benefit, cost in [point]
    ]


def outliers(values: Sequence[float]) -> list[int]:
    """The positions of values far from the rest: |x - median| / MAD above 14.826.

    The rule of hyperfine, a modified z-score above 10 (Iglewicz and Hoaglin 1993); and a fifth of
    the median at least, as the deviations of a few values may all be tiny.
    """
    middle = median(values)
    deviations = [abs(value - middle) for value in values]
    limit = max(OUTLIER * median(deviations), middle / 5)
    return [position for position, deviation in enumerate(deviations) if deviation > limit]
