"""Intervals, tests and verdicts: pure functions of numbers.

Student intervals of normal values have their nominal coverage from two values on, as the tests
simulate. For skewed accuracies with different deviations, up to 11 % of verdicts are false with
five seeds, and 13 % with --seeds auto. If one run in ten does not learn, five seeds miss it in 59 %
of cases. scipy.special has the distributions; its import takes 0.1 s, that of scipy.stats 0.8 s.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, median, variance

import scipy

from mnist_cli.schema.comparison import ALPHA, CONFIDENCE, Estimate, Outcome

OUTLIER = 14.826  # median absolute deviations
FAR_BELOW = 22  # of them; less than 1 % of samples of 4 to 20 normal values have one as low
LEAST_FOR_FAR = 4  # values; the deviations of fewer are too often small by chance


@dataclass(frozen=True)
class SampleMean:
    """The mean of `n` values and its standard error, for a Student interval."""

    mean: float
    standard_error: float
    degrees_of_freedom: float
    n: int

    def estimate(self, confidence: float = CONFIDENCE) -> Estimate:
        """The mean with its two-sided Student interval."""
        quantile = scipy.special.stdtrit(self.degrees_of_freedom, (1 + confidence) / 2)
        return Estimate(self.mean, float(quantile * self.standard_error), self.n, confidence)

    def p_value(self) -> float:
        """Two-sided p-value of the hypothesis that the true mean is zero."""
        if self.standard_error == 0:
            return float(self.mean == 0)
        t = abs(self.mean) / self.standard_error
        return float(2 * scipy.special.stdtr(self.degrees_of_freedom, -t))


@dataclass(frozen=True)
class Decision:
    """The verdict on one of several simultaneous differences."""

    estimate: Estimate
    adjusted_p: float
    outcome: Outcome


def sample_mean(values: Sequence[float], resolution: float = 0.0) -> SampleMean:
    """The mean of two or more independent values, and its standard error.

    `resolution` is the least difference between two values, such as one image of a test set. The
    variance is at least resolution**2 / 12, the variance of rounding to it.
    """
    spread = max(variance(values), resolution**2 / 12)
    return SampleMean(fmean(values), math.sqrt(spread / len(values)), len(values) - 1, len(values))


def mean_interval(
    values: Sequence[float], resolution: float = 0.0, confidence: float = CONFIDENCE
) -> Estimate:
    """The mean of values with its two-sided interval; a single value has no interval."""
    if len(values) == 1:
        return Estimate(values[0], None, 1, confidence)
    return sample_mean(values, resolution).estimate(confidence)


def welch(first: Sequence[float], second: Sequence[float], resolution: float = 0.0) -> SampleMean:
    """The difference of the means of two independent samples of two or more values (Welch 1947).

    Samples of unequal size get the degrees of freedom of the smaller one, which makes the test
    conservative (Mickey and Brown 1966): for 5 and 20 values at 0.31 % a side, the false positive
    rate is 0.13 %; with Welch's own degrees of freedom, it is 0.6 %.
    """
    one, other = sample_mean(first, resolution), sample_mean(second, resolution)
    a, b = one.standard_error**2, other.standard_error**2
    freedom = min(one.degrees_of_freedom, other.degrees_of_freedom)
    if one.n == other.n and a + b:
        freedom *= (a + b) ** 2 / (a**2 + b**2)
    return SampleMean(one.mean - other.mean, math.sqrt(a + b), freedom, min(one.n, other.n))


def judge(sample: SampleMean, comparisons: int, margin: float | None = None) -> Decision:
    """Judge one of m differences by its interval at the level 1 - 0.05 / m (Bonferroni; Dunn 1961).

    The m intervals are simultaneous 95 % confidence intervals, so the chance of any false verdict
    is at most 5 %. Holm's procedure has more power, but no simultaneous intervals. The outcome is
    BETTER if the interval excludes zero, EQUIVALENT if it lies between -margin and margin.
    """
    estimate = sample.estimate(1 - ALPHA / comparisons)
    adjusted_p = min(1.0, comparisons * sample.p_value())
    half = estimate.half_width or 0.0
    outcome = Outcome.OPEN
    if adjusted_p < ALPHA:
        outcome = Outcome.BETTER
    elif margin is not None and abs(estimate.mean) + half < margin:
        outcome = Outcome.EQUIVALENT
    return Decision(estimate, adjusted_p, outcome)


def interval_half_width(deviation: float, n: int, comparisons: float) -> float:
    """Half the width of the interval that `judge` computes for n values with this deviation."""
    sample = SampleMean(0.0, deviation / math.sqrt(n), n - 1, n)
    return sample.estimate(1 - ALPHA / comparisons).half_width or 0.0


def mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's exact two-sided p-value (1947), from how many images only one of two gets right."""
    fewer, total = min(only_first, only_second), only_first + only_second
    return min(1.0, float(2 * scipy.special.bdtr(fewer, total, 0.5)))


def disagreement_interval(
    only_first: int, only_second: int, num_samples: int, confidence: float
) -> tuple[float, float]:
    """Lower and upper bound of the difference in accuracy on new images of the same kind.

    The interval is the union of Bonett and Price's (2012) for the difference, and Clopper and
    Pearson's (1934) for the share of disagreements in which the first is right. The second excludes
    zero exactly if McNemar's test is significant at 1 - `confidence`.
    """
    first, second = (only_first + 1) / (num_samples + 2), (only_second + 1) / (num_samples + 2)
    difference = first - second
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    half = z * math.sqrt((first + second - difference**2) / (num_samples + 2))

    tail, inverse = (1 - confidence) / 2, scipy.special.betaincinv
    low = inverse(only_first, only_second + 1, tail) if only_first else 0.0
    high = inverse(only_first + 1, only_second, 1 - tail) if only_second else 1.0
    scale = (only_first + only_second) / num_samples
    return (
        min(difference - half, float((2 * low - 1) * scale)),
        max(difference + half, float((2 * high - 1) * scale)),
    )


def sampling_error(accuracy: float, num_samples: int) -> float:
    """Half the 95 % interval of an accuracy due to the choice of N images (Wilson 1927)."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    variance_of_mean = accuracy * (1 - accuracy) / num_samples
    return z * math.sqrt(variance_of_mean + (z / num_samples / 2) ** 2) / (1 + z * z / num_samples)


def pareto(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Whether each (benefit, cost) is Pareto-optimal."""
    optimal = []
    for point in points:
        as_good = [each for each in points if each[0] >= point[0] and each[1] <= point[1]]
        optimal.append(all(each == point for each in as_good))
    return optimal


def outliers(values: Sequence[float]) -> list[int]:
    """The positions of values with a modified z-score above 10 (Iglewicz and Hoaglin 1993).

    They must also differ from the median by a fifth, as a few values may have tiny deviations.
    """
    middle = median(values)
    deviations = [abs(value - middle) for value in values]
    limit = max(OUTLIER * median(deviations), middle / 5)
    return [position for position, deviation in enumerate(deviations) if deviation > limit]


def far_below(accuracies: Sequence[float], num_samples: int) -> list[int]:
    """The positions of accuracies 22 median absolute deviations or more below the median.

    They must also be 3 * `sampling_error` below it, as a few values may have tiny deviations.
    """
    if len(accuracies) < LEAST_FOR_FAR:
        return []
    middle = median(accuracies)
    deviation = median(abs(value - middle) for value in accuracies)
    limit = max(FAR_BELOW * deviation, 3 * sampling_error(middle, num_samples))
    return [position for position, value in enumerate(accuracies) if middle - value > limit]
