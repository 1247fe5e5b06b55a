"""Against scipy, published values, and simulations of what the intervals promise."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats as reference

from mnist_cli.comparison import statistics
from mnist_cli.comparison.statistics import Decision, SampleMean
from mnist_cli.schema.comparison import Estimate, Outcome

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
    sample = paired(VALUES, OTHERS)
    assert sample.p_value() == pytest.approx(pair.pvalue)
    low, high = pair.confidence_interval(0.99)
    estimate = sample.estimate(0.99)
    assert (high - low) / 2 == pytest.approx(estimate.half_width)
    assert (high + low) / 2 == pytest.approx(estimate.mean)

    apart = reference.ttest_ind(VALUES, OTHERS, equal_var=False)
    sample = statistics.welch(VALUES, OTHERS)
    assert sample.p_value() == pytest.approx(apart.pvalue)
    assert sample.degrees_of_freedom == pytest.approx(apart.df)
    low, high = apart.confidence_interval(0.95)
    assert (high - low) / 2 == pytest.approx(sample.estimate().half_width)


@pytest.mark.parametrize(("first", "second"), [(VALUES, OTHERS[:3]), (OTHERS[:2], VALUES)])
def test_samples_of_unequal_size_have_the_freedom_of_the_smaller_one(
    first: Sequence[float], second: Sequence[float]
) -> None:
    sample = statistics.welch(first, second)
    error = math.hypot(reference.sem(first), reference.sem(second))
    least = min(len(first), len(second))
    quantile = reference.t.ppf(0.975, least - 1)
    assert sample.mean == pytest.approx(np.mean(first) - np.mean(second))
    assert sample.estimate().half_width == pytest.approx(quantile * error)
    assert sample.n == least


def test_student_1908_on_sleep() -> None:
    # Student's own example, the extra sleep of ten patients with two drugs: t = 4.062, p = 0.0028.
    first = (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
    second = (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)
    sample = paired(second, first)
    assert sample.mean == pytest.approx(1.58)
    assert sample.mean / sample.standard_error == pytest.approx(4.0621, abs=1e-4)
    assert sample.p_value() == pytest.approx(0.002833, abs=1e-6)


def test_values_that_agree_by_chance_are_not_exact() -> None:
    step = 1 / 1000
    same = paired((0.951, 0.962), (0.950, 0.961), resolution=step)
    assert same.standard_error == pytest.approx(step / math.sqrt(12) / math.sqrt(2))
    assert same.p_value() > 0.05
    assert paired((0.9, 0.8), (0.9, 0.8)).p_value() == 1
    assert statistics.sample_mean(VALUES, resolution=1e-6) == statistics.sample_mean(VALUES)


def test_differences_are_judged_together() -> None:
    samples = [SampleMean(mean, 1.0, 9, 10) for mean in (0.5, 2.8, 4.0)]
    decisions = decide(samples)
    p_values = [reference.ttest_1samp(*scaled(mean)).pvalue for mean in (0.5, 2.8, 4.0)]
    assert [d.adjusted_p for d in decisions] == pytest.approx([min(1, 3 * p) for p in p_values])
    assert [d.outcome for d in decisions] == [Outcome.OPEN, Outcome.OPEN, Outcome.BETTER]
    quantile = reference.t.ppf(1 - 0.05 / 6, 9)
    assert [d.estimate.half_width for d in decisions] == pytest.approx([quantile] * 3)
    assert {d.estimate.confidence for d in decisions} == {1 - 0.05 / 3}


def test_an_interval_that_reaches_the_margin_is_not_equivalent() -> None:
    sample = SampleMean(0.0, 1.0, 9, 10)
    half = sample.estimate().half_width
    assert half is not None
    for margin, outcome in ((half, Outcome.OPEN), (half + 1e-9, Outcome.EQUIVALENT)):
        assert statistics.judge(sample, 1, margin).outcome == outcome


def paired(first: Sequence[float], second: Sequence[float], resolution: float = 0.0) -> SampleMean:
    differences = [a - b for a, b in zip(first, second, strict=True)]
    return statistics.sample_mean(differences, resolution)


def decide(samples: Sequence[SampleMean]) -> list[Decision]:
    return [statistics.judge(sample, len(samples)) for sample in samples]


def scaled(mean: float) -> tuple[list[float], float]:
    """Ten values whose mean is `mean` standard errors above the second item."""
    values = np.arange(10) - 4.5
    return (values / reference.sem(values) + mean).tolist(), 0.0


def test_an_interval_excludes_zero_exactly_where_there_is_a_verdict() -> None:
    random = np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        effects = random.normal(0, 2, 6)
        samples = [
            statistics.sample_mean(random.normal(effect, 1, 4).tolist()) for effect in effects
        ]
        for decision in decide(samples):
            assert decision.estimate.half_width is not None
            excluded = abs(decision.estimate.mean) > decision.estimate.half_width
            assert (decision.outcome == Outcome.BETTER) == excluded
            seen.add(excluded)
    assert seen == {True, False}


def test_mcnemar() -> None:
    # Agresti, Categorical Data Analysis: 86 and 150 disagreements give p = 3.7e-5.
    assert statistics.mcnemar(86, 150) == pytest.approx(3.7e-5, rel=0.02)
    assert statistics.mcnemar(0, 5) == pytest.approx(2 / 32)
    assert statistics.mcnemar(3, 3) == 1
    assert statistics.mcnemar(0, 0) == 1


def test_the_interval_of_a_disagreement_never_contradicts_its_test() -> None:
    kept = 0
    for only_first in range(15):
        for only_second in range(15):
            low, high = statistics.disagreement_interval(only_first, only_second, 100, 0.95)
            assert low <= (only_first - only_second) / 100 <= high
            if low > 0 or high < 0:
                assert statistics.mcnemar(only_first, only_second) < 0.05
                kept += 1
    assert kept > 40


# Rates at which only the first and only the second is right; lopsided, rare and even ones.
@pytest.mark.parametrize("rates", [(0.02, 0.0008), (0.02, 0.02), (0.001, 0.0), (0.1, 0.01)])
@pytest.mark.parametrize("num_samples", [1000, 10_000])
def test_the_interval_of_a_disagreement_covers_new_images(
    rates: tuple[float, float], num_samples: int
) -> None:
    random = np.random.default_rng(num_samples)
    trials, hits = 2000, 0
    counts = random.multinomial(num_samples, (*rates, 1 - sum(rates)), trials)
    for only_first, only_second, _ in counts.tolist():
        low, high = statistics.disagreement_interval(only_first, only_second, num_samples, 0.95)
        hits += low <= rates[0] - rates[1] <= high
    assert hits / trials >= 0.944 - 2 * math.sqrt(0.95 * 0.05 / trials)


def test_the_interval_of_a_disagreement_as_bonett_and_price_have_it() -> None:
    # p = 31/1002, q = 11/1002: 0.0200 ± 1.96 sqrt((0.0419 - 0.0004) / 1002) = 0.0073 to 0.0326.
    low, high = statistics.disagreement_interval(30, 10, 1000, 0.95)
    assert high == pytest.approx(0.0326, abs=1e-4)
    assert low == pytest.approx(0.0070, abs=1e-4)  # Clopper and Pearson reach further down
    # p = 3/22, q = 1/22: 0.0909 ± 1.96 sqrt((0.1818 - 0.0083) / 22), where each image counts.
    few = statistics.disagreement_interval(2, 0, 20, 0.95)
    assert few == pytest.approx((-0.0832, 0.2650), abs=1e-4)
    assert statistics.disagreement_interval(0, 0, 1000, 0.95)[1] > 0


def test_sampling_error() -> None:
    assert statistics.sampling_error(0.99, 10_000) == pytest.approx(0.0020, abs=5e-5)
    assert statistics.sampling_error(0.97, 1_000) == pytest.approx(0.0107, abs=5e-5)
    assert statistics.sampling_error(0.5, 10) == pytest.approx((0.7634 - 0.2366) / 2, abs=5e-5)
    assert statistics.sampling_error(1.0, 1_000) > 0


def test_pareto() -> None:
    points = [(0.95, 1.0), (0.98, 7.0), (0.97, 8.0), (0.99, 60.0), (0.98, 7.0), (0.95, 2.0)]
    assert statistics.pareto(points) == [True, True, False, True, True, False]
    assert statistics.pareto([(0.97, 1.0), (0.98, 1.0)]) == [False, True]
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


@pytest.mark.parametrize(("first", "second"), [(5, 5), (5, 20), (20, 5)])
def test_welch_is_wrong_in_at_most_5_of_100_cases_from_five_values_on(
    first: int, second: int
) -> None:
    random = np.random.default_rng(first + second)
    trials = 800
    for deviation in (0.3, 1.0):
        one = random.normal(0, deviation, (trials, first)).tolist()
        other = random.normal(0, 1, (trials, second)).tolist()
        pairs = zip(one, other, strict=True)
        wrong = sum(statistics.welch(a, b).p_value() < 0.05 for a, b in pairs)
        assert 0.005 < wrong / trials < 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)


ORDINARY = (0.971, 0.9702, 0.9698, 0.9705)


def test_accuracies_far_below_the_others_are_named() -> None:
    assert statistics.far_below([*ORDINARY, 0.1135], 10_000) == [4]
    assert statistics.far_below([0.93, *ORDINARY, 0.1135], 10_000) == [0, 5]
    assert statistics.far_below([*ORDINARY, 0.999], 10_000) == []  # above
    assert statistics.far_below([0.97, 0.97, 0.97, 0.97, 0.968], 10_000) == []  # by a few images
    assert statistics.far_below([0.97, 0.97, 0.97, 0.97, 0.95], 10_000) == [4]
    assert statistics.far_below([0.97, 0.97, 0.95], 10_000) == []  # too few to say
    assert statistics.far_below([0.97, 0.97, 0.97, 0.95], 10_000) == [3]
    assert statistics.far_below([0.97, 0.97, 0.97, 0.95], 1000) == []  # images explain it
    assert statistics.far_below([0.97, 0.99, 0.95, 0.93, 0.8], 10_000) == []  # all are wide apart
    assert statistics.far_below([0.97, 0.99, 0.95, 0.93, 0.4], 10_000) == [4]
    assert statistics.far_below([], 10_000) == []


@pytest.mark.parametrize("count", [4, 5, 6, 10, 20])
@pytest.mark.parametrize("deviation", [0.0015, 0.01, 0.1])
def test_of_normal_accuracies_one_is_far_below_in_less_than_1_of_100_cases(
    count: int, deviation: float
) -> None:
    random = np.random.default_rng(count)
    values = np.round(random.normal(0.6, deviation, (2000, count)) * 1000) / 1000
    spoken = sum(bool(statistics.far_below(row, 1000)) for row in values.tolist())
    assert spoken / len(values) < 0.01 + 2 * math.sqrt(0.01 / len(values))


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
        decisions = decide(all_pairs(accuracies))
        wrong += any(decision.outcome == Outcome.BETTER for decision in decisions)
    assert wrong / trials < 0.05 + 2 * math.sqrt(0.05 * 0.95 / trials)
    assert wrong > 0


@pytest.mark.parametrize("n", [2, 5])
def test_all_intervals_of_a_comparison_hold_together(n: int) -> None:
    truth = np.array([0.96, 0.97, 0.971, 0.98])
    random = np.random.default_rng(n)
    trials, together = 1500, 0
    for _ in range(trials):
        accuracies = random.normal(truth[:, None], 0.002, (4, n)).tolist()
        decisions = decide(all_pairs(accuracies))
        differences = [truth[a] - truth[b] for a in range(4) for b in range(a)]
        together += all(
            covers(decision.estimate, difference)
            for decision, difference in zip(decisions, differences, strict=True)
        )
    assert together / trials >= 0.95 - 2 * math.sqrt(0.95 * 0.05 / trials)


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
        paired(accuracies[a], accuracies[b], resolution=1 / 1000)
        for a in range(len(accuracies))
        for b in range(a)
    ]
