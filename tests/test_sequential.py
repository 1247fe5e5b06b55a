"""Seeds are added until pairs are settled: what is said, who gets seeds, how often it is wrong."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats as reference

from mnist_cli.comparison import sequential
from mnist_cli.comparison.gates import judge_gates
from mnist_cli.comparison.sequential import expected_half_width, judge_at_looks, seeds_needed
from mnist_cli.report import cautions, export, phrases
from mnist_cli.schema.comparison import (
    LOOKS,
    CompareResult,
    Estimate,
    Measure,
    Outcome,
    Settling,
    Verdict,
)
from mnist_cli.schema.gates import GateVerdict
from mnist_cli.schema.options import GateOptions
from tests.made_up import comparison, network, since

FORTY = Settling(40)
# A mean of 0 and a standard deviation of 1 for every look: pairs of opposite values.
SPREAD = [sign * math.sqrt(3) / 2 for _ in range(40) for sign in (1, -1)]


def around(mean: float, deviation: float, count: int) -> list[float]:
    """`count` values with just this mean and standard deviation."""
    values = np.array(SPREAD[:count])
    values = (values - values.mean()) / values.std(ddof=1)
    return [float(mean + deviation * value) for value in values]


def decided(
    differences: Sequence[float],
    *,
    pairs: int = 1,
    settling: Settling = FORTY,
    margin: float | None = None,
) -> tuple[Outcome, int]:
    decision = judge_at_looks(differences, pairs * len(settling.looks), settling, margin, 1e-4)
    assert decision is not None
    return decision.outcome, decision.estimate.n


def test_nothing_is_said_before_the_first_look() -> None:
    assert judge_at_looks([0.1, 0.1, 0.1], 10, FORTY, None, 1e-4) is None


def test_the_interval_is_students_at_the_level_divided_by_pairs_and_looks() -> None:
    values = around(0.001, 0.002, 7)
    decision = judge_at_looks(values, 6 * 10, FORTY, None, 1e-4)
    assert decision is not None
    quantile = reference.t.ppf(1 - 0.05 / 60 / 2, 6)
    assert decision.estimate.half_width == pytest.approx(quantile * 0.002 / math.sqrt(7))
    assert decision.estimate.confidence == 1 - 0.05 / 60


@pytest.mark.parametrize("sign", [1, -1])
def test_a_settled_pair_keeps_its_verdict_whatever_comes(sign: int) -> None:
    clear = [sign * (0.03 + 0.001 * (seed % 2)) for seed in range(5)]
    assert decided(clear) == (Outcome.BETTER, 4)
    contrary = clear + [-value for value in clear] * 7
    assert decided(contrary) == (Outcome.BETTER, 4)


def test_only_looks_count() -> None:
    # Six values of which the first five say nothing: the sixth is not looked at.
    values = [0.001, -0.001, 0.001, -0.001, 0.0, 5.0]
    assert decided(values)[1] == 5
    assert decided([*values, 5.0])[1] == 7
    assert decided(around(0.0, 1.0, 40), settling=Settling(13))[1] == 10


@pytest.mark.parametrize(
    ("mean", "margin", "outcome"),
    [
        (0.0, None, Outcome.SET_ASIDE),
        (0.0, 0.005, Outcome.EQUIVALENT),
        (0.0, 0.0002, Outcome.SET_ASIDE),
        (0.0015, 0.005, Outcome.EQUIVALENT),
        (0.01, 0.005, Outcome.BETTER),
        (0.05, 0.5, Outcome.BETTER),  # different, though by less than the margin
        (0.002, None, Outcome.OPEN),
        (0.002, 0.003, Outcome.OPEN),
    ],
)
def test_outcomes(mean: float, margin: float | None, outcome: Outcome) -> None:
    assert decided(around(mean, 0.002, 10), margin=margin)[0] == outcome
    assert decided(around(-mean, 0.002, 10), margin=margin)[0] == outcome


def test_no_pair_is_given_up_before_five_seeds_or_where_the_last_look_may_settle_it() -> None:
    assert decided(around(0.0, 0.01, 4), pairs=6) == (Outcome.OPEN, 4)
    assert decided(around(0.0, 0.01, 5), pairs=6) == (Outcome.SET_ASIDE, 5)
    assert decided(around(0.0, 0.01, 5), pairs=1) == (Outcome.OPEN, 5)
    assert decided(around(0.0, 0.01, 4), settling=Settling(4)) == (Outcome.SET_ASIDE, 4)
    # At the last look nothing is open: it is settled or given up.
    half = expected_half_width(10, 40, 10_000) / math.sqrt(2 * 0.99 * 0.01 / 10_000)
    for factor in (0.99, 1.01):
        outcome = decided(around(0.002 * half * factor, 0.002, 40))[0]
        assert outcome == (Outcome.BETTER if factor > 1 else Outcome.SET_ASIDE)


def test_equal_values_are_equivalent_only_to_within_an_image() -> None:
    assert decided([0.0] * 10, margin=0.002)[0] == Outcome.EQUIVALENT
    assert decided([0.0] * 10)[0] == Outcome.SET_ASIDE
    assert decided([0.0] * 4, margin=0.0001)[0] == Outcome.OPEN


def verdict(first: str, second: str, n: int, outcome: Outcome) -> Verdict:
    estimate = Estimate(0.01, 0.02, n, 0.999)
    return Verdict(first, second, Measure.TEST_ACCURACY, estimate, 1.0, None, outcome)


def test_only_networks_in_an_open_pair_get_seeds() -> None:
    verdicts = [
        verdict("a", "b", 5, Outcome.BETTER),
        verdict("a", "c", 7, Outcome.OPEN),
        verdict("b", "c", 5, Outcome.SET_ASIDE),
        verdict("a", "d", 4, Outcome.EQUIVALENT),
    ]
    assert seeds_needed("abcd", verdicts, FORTY) == {"a": 10, "b": 4, "c": 10, "d": 4}
    assert seeds_needed("abcd", verdicts, FORTY, least=5)["d"] == 5
    assert seeds_needed("abcd", verdicts, Settling(9)) == dict.fromkeys("abcd", 4)
    assert seeds_needed("ab", [], FORTY) == {"a": 4, "b": 4}


def test_the_expected_spread_is_the_binomials() -> None:
    deviation = math.sqrt(2) * reference.binom.std(10_000, 0.99) / 10_000
    quantile = reference.t.ppf(1 - 0.05 / 60 / 2, 39)
    expected = quantile * deviation / math.sqrt(40)
    assert expected_half_width(60, 40, 10_000) == pytest.approx(expected)


# Results of several networks

BETTER = around(0.98, 0.001, 4)
WORSE = [value - 0.03 + 0.0004 * (seed % 2) for seed, value in enumerate(BETTER)]


def settled_result(**options: object) -> CompareResult:
    rows = (network("a", BETTER), network("b", WORSE), network("c", around(0.95, 0.001, 5)))
    return comparison(*rows, seeds=5, settling=FORTY, **options)  # type: ignore[arg-type]


def test_what_is_said_of_pairs_while_seeds_are_added() -> None:
    result = settled_result()
    heading, *lines = phrases.verdicts(result)
    assert "tested after 4, 5, 7, 10, 14, 20, 28 or 40 seeds" in heading
    assert heading.endswith("simultaneous 95 % confidence intervals over all looks:")
    assert lines[0].startswith("a beats b by 2.98 ± ")
    assert lines[0].endswith(" points (4 seeds, 99.83 % interval)")
    assert lines[2].startswith("b and c have no verdict yet (b - c: +0.")
    assert lines[2].endswith(" points; 4 seeds, 99.83 % interval)")
    assert [model.settled for model in result.models] == [True, False, False]
    # Networks have as many seeds as they need: none is missing.
    assert cautions.UNFINISHED not in phrases.findings(result)


def test_means_of_a_number_of_seeds_that_depends_on_them_have_no_interval() -> None:
    [figures, *_] = [model.figures for model in settled_result().models]
    assert figures is not None
    assert figures.test_accuracy.half_width is figures.test_loss.half_width is None
    assert figures.train_seconds and figures.train_seconds.half_width is None
    assert figures.accuracy_deviation == pytest.approx(0.001)
    [fixed] = comparison(network("a", BETTER)).models
    assert fixed.figures is not None
    assert fixed.figures.test_accuracy.half_width is not None


def test_a_network_that_fails_leaves_its_pairs_undecided_and_counted() -> None:
    rows = (network("a", BETTER), network("b", WORSE), network("c", BETTER, failure="seed 4: no"))
    result = comparison(*rows, settling=FORTY)
    [only] = result.verdicts
    assert only.difference.confidence == 1 - 0.05 / (3 * len(LOOKS))
    lines = phrases.findings(result)
    assert "c failed: seed 4: no" in lines
    assert "a and c have no verdict: c failed" in lines
    assert [model.settled for model in result.models] == [False, False, False]
    early = comparison(network("a", BETTER[:3]), network("b", WORSE), settling=FORTY)
    assert "a and b have no verdict: too few seeds yet" in phrases.findings(early)


def test_a_margin_at_a_fixed_number_of_seeds() -> None:
    rows = (
        network("a", around(0.98, 0.0002, 5)),
        network("b", around(0.98, 0.0001, 5)),
        network("c", around(0.9803, 0.002, 5)),
    )
    result = comparison(*rows, margin=0.002)
    assert [pair.outcome for pair in result.verdicts] == [Outcome.EQUIVALENT, *[Outcome.OPEN] * 2]
    lines = phrases.verdicts(result)
    assert lines[1] == "a and b are equivalent within 0.2 points (a - b: 0.00 ± 0.02 points)"
    assert "not distinguishable or equivalent within 0.2 points with n = 5" in lines[2]
    assert comparison(*rows).verdicts[0].outcome == Outcome.OPEN


def test_gates_and_baselines_allow_for_the_looks() -> None:
    low = around(0.97, 0.001, 6)  # of which the fifth was the last look
    result = comparison(
        network("a", low), network("b", BETTER), seeds=6, settling=FORTY, margin=None
    )
    quantile = reference.t.ppf(1 - 0.05 / (2 * len(LOOKS)), 4)
    mean, deviation = np.mean(low[:5]), np.std(low[:5], ddof=1)
    bound = mean + quantile * deviation / math.sqrt(5)
    for least, verdict in ((-1e-6, GateVerdict.NOT_PROVEN), (1e-6, GateVerdict.NOT_MET)):
        first, other = judge_gates(result, GateOptions(min_accuracy=bound + least))
        assert (first.verdict, other.verdict) == (verdict, GateVerdict.MET)
        assert first.value is not None
        assert (first.value.n, (1 + first.value.confidence) / 2) == (5, 1 - 0.0025)
    few = comparison(network("a", low[:3]), network("b", BETTER), settling=FORTY)
    gate, _ = judge_gates(few, GateOptions(min_accuracy=0.975))
    assert (gate.verdict, gate.reason) == (GateVerdict.NOT_PROVEN, "it has too few seeds yet")

    before = {"a": dict(enumerate(around(0.97, 0.001, 6)))}  # with the sixth seed too
    changed = since(result, before).baseline
    assert changed is not None
    assert changed.changes[0].difference is not None
    assert changed.changes[0].difference.n == 5
    assert changed.changes[0].difference.confidence == 1 - 0.05 / len(LOOKS)


def test_exports_say_how_far_each_network_is() -> None:
    result = settled_result(margin=0.001)
    header, first, *_ = export.to_csv(result).splitlines()
    row = dict(zip(header.split(","), first.split(","), strict=True))
    assert (row["looks"], row["settled"]) == (" ".join(map(str, LOOKS)), "True")
    markdown = export.to_markdown(result)
    assert "| network | accuracy | std | settled | n |" in markdown
    assert "| a | 98.00 % | 0.10 % | yes | 4 |" in markdown
    assert "| c | 95.00 % | 0.10 % | no | 5 |" in markdown


# Simulations, with the expected numbers of runs of the method's description as the reference: the
# mean over standard deviations of 0.0005 to 0.003 and correlations of 0 and 0.5, four networks, at
# most 40 seeds.

SCENARIOS = {
    "ties": (0.97, 0.97, 0.97, 0.97),
    "pair": (0.97, 0.97, 0.977, 0.99),
    "small": (0.97, 0.971, 0.972, 0.977),
    "typical": (0.95, 0.97, 0.977, 0.984),
}
RUNS = {
    None: {"ties": 72, "pair": 38, "small": 79, "typical": 24},
    0.002: {"ties": 94, "pair": 51, "small": 83, "typical": 24},
}
NAMES = "abcd"


class Simulated:
    """A comparison whose accuracies were drawn before, up to where it stops."""

    def __init__(
        self,
        means: Sequence[float],
        accuracies: NDArray[np.float64],
        margin: float | None,
        *,
        stop_after: int = 1000,
        fails: int | None = None,
    ) -> None:
        self.runs = 0
        self.covered = True
        self.wrong = False
        have = dict.fromkeys(NAMES, 0)
        while True:
            rows = [
                network(
                    name,
                    accuracies[: have[name], position].tolist(),
                    failure="no luck" if position == 3 and have[name] == fails else None,
                )
                for position, name in enumerate(NAMES)
            ]
            result = comparison(*rows, seeds=40, settling=FORTY, margin=margin)
            self._look(result, means, margin)
            needed = seeds_needed(NAMES, result.verdicts, FORTY)
            # Several networks get their seeds side by side; a stop may come after any run.
            behind = [
                name
                for name in NAMES
                if have[name] < needed[name] and not (name == "d" and have[name] == fails)
            ]
            if not behind or self.runs >= stop_after:
                return
            for name in behind:
                have[name] = needed[name] if fails is None else min(needed[name], have[name] + 1)
            self.runs = sum(have.values())

    def _look(self, result: CompareResult, means: Sequence[float], margin: float | None) -> None:
        truth = dict(zip(NAMES, means, strict=True))
        for pair in result.verdicts:
            true = truth[pair.first] - truth[pair.second]
            estimate = pair.difference
            assert estimate.half_width is not None
            self.covered &= abs(estimate.mean - true) <= estimate.half_width
            if pair.better:
                self.wrong |= true == 0 or (true > 0) != (pair.better == pair.first)
            if pair.outcome == Outcome.EQUIVALENT:
                assert margin is not None
                self.wrong |= abs(true) >= margin


def draw(means: Sequence[float], seed: int) -> NDArray[np.float64]:
    """Accuracies, 40 seeds × networks, in whole images of 10,000, one of eight kinds of spread."""
    random = np.random.default_rng(seed)
    deviation = (0.0005, 0.001, 0.0015, 0.003)[seed % 4]
    shared = (0.0, 0.5)[seed // 4 % 2]
    own = random.standard_normal((40, len(means)))
    common = random.standard_normal((40, 1))
    luck = math.sqrt(shared) * common + math.sqrt(1 - shared) * own
    return np.round((np.array(means) + deviation * luck) * 10_000) / 10_000


@pytest.mark.parametrize("margin", [None, 0.002])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_is_right_and_as_quick_as_promised(scenario: str, margin: float | None) -> None:
    means = SCENARIOS[scenario]
    trials = [Simulated(means, draw(means, seed), margin) for seed in range(64)]
    limit = 0.05 + 2 * math.sqrt(0.05 * 0.95 / len(trials))
    assert sum(trial.wrong for trial in trials) / len(trials) <= limit
    assert sum(not trial.covered for trial in trials) / len(trials) <= limit
    runs = sum(trial.runs for trial in trials) / len(trials)
    assert runs <= 1.1 * RUNS[margin][scenario]
    assert runs >= 16


def test_a_stop_at_any_time_and_a_failing_network_make_nothing_wrong() -> None:
    means = SCENARIOS["pair"]
    chance = np.random.default_rng(7)
    trials = [
        Simulated(
            means,
            draw(means, seed),
            0.002,
            stop_after=int(chance.integers(4, 120)),
            fails=int(chance.integers(2, 9)),
        )
        for seed in range(30)
    ]
    assert sum(trial.wrong or not trial.covered for trial in trials) <= 4


def test_looking_at_the_full_level_would_be_wrong_more_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    means = SCENARIOS["ties"]
    monkeypatch.setattr(CompareResult, "number_of_looks", 1)
    monkeypatch.setattr(sequential, "_is_futile", lambda *_: False)
    trials = [Simulated(means, draw(means, seed), None) for seed in range(24)]
    assert sum(trial.wrong for trial in trials) / len(trials) > 0.1
