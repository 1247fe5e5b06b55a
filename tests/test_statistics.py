"""Against scipy, published values, and simulations of what the intervals promise."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats as reference

from mnist_cli.comparison import statistics
from mnist_cli.comparison.statistics import SampleMean
from mnist_cli.schema.comparison import Estimate

VALUES = (0.9531, 0.9502, 0.9548, 0.9517, 0.9529)
OTHERS = (0.9544, 0.9561, 0.9573, 0.9535, 0.9549)


def test_the_interval_of_a_mean_is_scipys() -> None:
    estimate = statistics.mean_interval(VALUES)
    low, high = reference.t.interval(0.95, len(VALUES) - 1, np.mean(VALUES), reference.sem(VALUES))
    assert estimate.half_width is not None
    assert estimate.mean - estimate.half_width == pytest.approx(low)
    assert estimate.mean + estimate.half_width == pytest.approx(high)
    assert (estimate.n, estimate.confidence) == (5, 0.95)


def test_one_value_has_no_interval() -> None:
    estimate = statistics.mean_interval([0.5])
    assert (estimate.mean, estimate.half_width, estimate.n) == (0.5, None, 1)


def test_paired_and_welch_are_scipys() -> None:
    pair = reference.ttest_rel(VALUES, OTHERS)
    sample = statistics.paired(VALUES, OTHERS)
    assert sample.p_value() == pytest.approx(pair.pvalue)
    low, high = pair.confidence_interval(0.99)
    estimate = sample.estimate(0.99)
    assert (high - low) / 2 == pytest.approx(estimate.half_width)
    assert (high + low) / 2 == pytest.approx(estimate.mean)

    apart = reference.ttest_ind(VALUES, OTHERS[:3], equal_var=False)
    sample = statistics.welch(VALUES, OTHERS[:3])
    assert sample.p_value() == pytest.approx(apart.pvalue)
    assert sample.degrees_of_freedom == pytest.approx(apart.df)
    low, high = apart.confidence_interval(0.95)
    assert (high - low) / 2 == pytest.approx(sample.estimate().half_width)


def test_student_1908_on_sleep() -> None:
    # Student's own example, the extra sleep of ten patients with two drugs: t = 4.062, p = 0.0028.
    first = (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
    second = (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)
    sample = statistics.paired(second, first)
    assert sample.mean == pytest.approx(1.58)
    assert sample.mean / sample.standard_error == pytest.approx(4.0621, abs=1e-4)
    assert sample.p_value() == pytest.approx(0.002833, abs=1e-6)


def test_values_that_agree_by_chance_are_not_exact() -> None:
    step = 1 / 1000
    same = statistics.paired((0.951, 0.962), (0.950, 0.961), resolution=step)
    assert same.standard_error == pytest.approx(step / math.sqrt(12) / math.sqrt(2))
    assert same.p_value() > 0.05
    assert statistics.paired((0.9, 0.8), (0.9, 0.8)).p_value() == 1
    assert statistics.sample_mean(VALUES, resolution=1e-6) == statistics.sample_mean(VALUES)


def test_holm_1979() -> None:
    # As R's p.adjust gives them with method holm.
    adjusted = [p for p, _ in statistics.holm([0.01, 0.04, 0.03, 0.005])]
    assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert [p for p, _ in statistics.holm([0.5, 0.9])] == [1, 1]
    assert statistics.holm([]) == []
    # The smallest is compared with 0.05 / 4, and after the first that fails nothing changes.
    levels = [level for _, level in statistics.holm([0.01, 0.04, 0.03, 0.005])]
    assert levels == pytest.approx([0.05 / 3, 0.025, 0.025, 0.0125])


def test_an_interval_excludes_zero_exactly_where_there_is_a_verdict() -> None:
    random = np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        effects = random.normal(0, 2, 6)
        samples = [
            statistics.sample_mean(random.normal(effect, 1, 4).tolist()) for effect in effects
        ]
        for decision in statistics.decide(samples):
            assert decision.estimate.half_width is not None
            excluded = abs(decision.estimate.mean) > decision.estimate.half_width
            assert decision.differs == excluded
            seen.add(decision.differs)
    assert seen == {True, False}


# Cohen (1988), as G*Power 3.1 gives them for a two-sided t-test of dependent means.
@pytest.mark.parametrize(("effect", "expected"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_seeds_needed(effect: float, expected: int) -> None:
    assert statistics.seeds_needed(SampleMean(effect, 1 / math.sqrt(5), 4, 5), 0.95) == expected


def test_seeds_that_nobody_has() -> None:
    assert statistics.seeds_needed(SampleMean(0.001, 1.0, 4, 5), 0.95) is None
    assert statistics.seeds_needed(SampleMean(0.0, 1.0, 4, 5), 0.95) is None


def test_mcnemar() -> None:
    # Agresti, Categorical Data Analysis: 86 and 150 disagreements give p = 3.7e-5.
    assert statistics.mcnemar(86, 150) == pytest.approx(3.7e-5, rel=0.02)
    assert statistics.mcnemar(0, 5) == pytest.approx(2 / 32)
    assert statistics.mcnemar(3, 3) == 1
    assert statistics.mcnemar(0, 0) == 1


def test_the_interval_of_a_disagreement_agrees_with_its_test() -> None:
    for only_first in range(12):
        for only_second in range(12):
            low, high = statistics.disagreement_interval(only_first, only_second, 100, 0.95)
            difference = (only_first - only_second) / 100
            assert low <= difference <= high
            significant = statistics.mcnemar(only_first, only_second) < 0.05
            assert significant == (low > 0 or high < 0)


def test_sampling_error() -> None:
    assert statistics.sampling_error(0.99, 10_000) == pytest.approx(0.0020, abs=5e-5)
    assert statistics.sampling_error(0.97, 1_000) == pytest.approx(0.0107, abs=5e-5)
    assert statistics.sampling_error(1.0, 1_000) > 0


def test_pareto() -> None:
    points = [(0.95, 1.0), (0.98, 7.0), (0.97, 8.0), (0.99, 60.0), (0.98, 7.0), (0.95, 2.0)]
    assert statistics.pareto(points) == [True, True, False, True, True, False]
    assert statistics.pareto([]) == []


def test_outliers_are_named() -> None:
    assert statistics.outliers([8.0, 8.1, 40.0, 8.2, 7.9]) == [2]
    assert statistics.outliers([8.0, 8.1, 8.6, 8.2, 7.9]) == []
    assert statistics.outliers([8.0]) == []
    # Three values may lie close to each other by chance; seven percent is no outlier.
    assert statistics.outliers([0.0182, 0.0182, 0.0195]) == []
    assert statistics.outliers([8.0, 8.0, 16.0]) == [2]


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_intervals_cover_the_truth_in_95_of_100_cases(n: int) -> None:
    random = np.random.default_rng(n)
    trials = 4000
    values = random.normal(0.98, 0.002, (trials, n)).tolist()
    hits = sum(covers(statistics.mean_interval(row), 0.98) for row in values)
    # Three standard errors of a share of 95 % in so many trials.
    assert hits / trials == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / trials))


def covers(estimate: Estimate, truth: float) -> bool:
    assert estimate.half_width is not None
    return abs(estimate.mean - truth) <= estimate.half_width


@pytest.mark.parametrize("n", [2, 3, 5])
def test_verdicts_are_wrong_in_at_most_5_of_100_comparisons(n: int) -> None:
    # Four networks that are equally good, each seed with its own luck, judged on 1,000 images: the
    # share of comparisons with any verdict at all.
    random = np.random.default_rng(n)
    trials = 1500
    wrong = 0
    for _ in range(trials):
        share = 0.02 * random.standard_normal((4, n)) / 10 + 0.97
        accuracies = (random.binomial(1000, share) / 1000).tolist()
        wrong += any(decision.differs for decision in statistics.decide(all_pairs(accuracies)))
    assert wrong / trials < 0.05 + 2 * math.sqrt(0.05 * 0.95 / trials)
    assert wrong > 0


def test_unadjusted_verdicts_would_be_wrong_more_often() -> None:
    random = np.random.default_rng(1)
    trials = 1000
    wrong = 0
    for _ in range(trials):
        accuracies = random.normal(0.97, 0.002, (4, 5)).tolist()
        wrong += any(sample.p_value() < 0.05 for sample in all_pairs(accuracies))
    assert wrong / trials > 0.1


def all_pairs(accuracies: Sequence[Sequence[float]]) -> list[SampleMean]:
    return [
        statistics.paired(accuracies[a], accuracies[b], resolution=1 / 1000)
        for a in range(len(accuracies))
        for b in range(a)
    ]
