"""`--find-best`: who is dropped, how far others may be from the best, how often it is wrong."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats as reference

from mnist_cli.comparison.best import find_contenders, seeds_needed
from mnist_cli.comparison.merging import merge
from mnist_cli.errors import UsageError
from mnist_cli.report import cautions, export, phrases
from mnist_cli.report.command import repeating
from mnist_cli.report.comparison_tables import comparison_tables
from mnist_cli.report.conclusion import conclusion
from mnist_cli.report.html.document import page
from mnist_cli.report.pictures.style import point_label, title
from mnist_cli.schema.comparison import LOOKS, CompareResult, Settling
from mnist_cli.schema.record import from_json, to_json
from tests.made_up import comparison, network
from tests.test_sequential import around

FORTY = Settling(40, find_best=True)
WIGGLE = (0.0004, -0.0004, 0.0002, -0.0002, 0.0)


def search(
    *accuracies: Sequence[float], settling: Settling = FORTY, margin: float | None = None
) -> CompareResult:
    rows = [network(name, its) for name, its in zip("abc", accuracies, strict=False)]
    return comparison(*rows, seeds=40, settling=settling, margin=margin)


def level(mean: float, count: int, sign: int = 1) -> list[float]:
    """`count` accuracies near `mean`; opposite signs give differences that vary."""
    return [mean + sign * WIGGLE[seed % 5] for seed in range(count)]


def known(result: CompareResult) -> list[tuple[int, str | None, bool]]:
    return [(each.n, each.dropped_by, each.needs_seeds) for each in result.contenders]


def test_nothing_is_said_before_all_have_the_first_look() -> None:
    result = search(level(0.98, 4), level(0.90, 3))
    assert result.contenders == ()
    assert seeds_needed("ab", result) == {"a": 4, "b": 4}
    assert conclusion(result) == "No network is ranked yet: more finished runs are needed."
    assert phrases.verdicts(result) == phrases.describe_contenders(result) == []


def test_a_network_far_behind_is_dropped_and_gets_no_further_seeds() -> None:
    result = search(level(0.98, 4), level(0.981, 4, -1), level(0.90, 4))
    assert known(result) == [(4, None, True), (4, None, True), (4, "a", False)]
    assert seeds_needed("abc", result) == {"a": 5, "b": 5, "c": 4}
    assert (result.best, result.verdicts, result.pairs) == (None, (), [])
    assert [model.settled for model in result.models] == [False, False, True]


def test_one_that_is_left_is_the_best() -> None:
    result = search(level(0.90, 4), level(0.98, 4), level(0.91, 4, -1))
    assert known(result) == [(4, "b", False), (4, None, False), (4, "b", False)]
    assert (result.best, result.contenders[1].gap) == ("b", 0.0)
    assert seeds_needed("abc", result) == dict.fromkeys("abc", 4)
    assert all(model.settled for model in result.models)


def test_the_gap_is_students_one_sided_bound_for_the_pairs_with_one_network_and_all_looks() -> None:
    one, two, three = around(0.98, 0.001, 4), around(0.979, 0.003, 4), around(0.9795, 0.002, 4)
    result = search(one, two, three)
    quantile = reference.t.ppf(1 - 0.05 / (2 * len(LOOKS)), 3)

    def most(ahead: list[float], behind: list[float]) -> float:
        lead = np.array(ahead) - behind
        return float(lead.mean() + quantile * lead.std(ddof=1) / 2)

    expected = [
        max(most(two, one), most(three, one)),
        max(most(one, two), most(three, two)),
        max(most(one, three), most(two, three)),
    ]
    assert [each.gap for each in result.contenders] == pytest.approx(expected)


@pytest.mark.parametrize(("factor", "dropped"), [(1.001, True), (0.999, False)])
def test_just_how_far_behind_is_surely_behind(factor: float, dropped: bool) -> None:
    quantile = reference.t.ppf(1 - 0.05 / len(LOOKS), 3)
    lead = around(factor * quantile * 0.002 / 2, 0.002, 4)
    result = search([0.97] * 4, [0.97 - each for each in lead])
    assert (result.contenders[1].dropped_by == "a") == dropped
    # Accuracies are whole images: with equal leads, the spread is that of rounding to them.
    rounding = quantile / 10_000 / math.sqrt(12) / 2
    result = search([0.97] * 4, [0.97 - factor * rounding] * 4)
    assert (result.contenders[1].dropped_by == "a") == dropped


def test_a_look_waits_for_all_that_take_part() -> None:
    close, other = level(0.98, 9), level(0.9802, 9, -1)
    result = search(close, other[:6], level(0.90, 4))
    assert known(result)[:2] == [(5, None, True), (5, None, True)]
    assert seeds_needed("abc", result) == {"a": 7, "b": 7, "c": 4}
    assert known(search(close, other[:4], level(0.90, 4)))[0] == (4, None, True)
    # More runs of a dropped network change nothing, whatever they are.
    late = search(close, other[:6], [*level(0.90, 4), *[0.999] * 30])
    assert known(late) == known(result)


def test_a_margin_ends_it_early() -> None:
    close = level(0.98, 5), level(0.9801, 5, -1)
    assert search(*close).best is None
    result = search(*close, margin=0.01)
    assert result.best == "b"
    assert seeds_needed("ab", result) == {"a": 4, "b": 4}  # the first look is enough
    assert conclusion(result) == "b is the best, or within 1 points of it."
    assert [model.settled for model in result.models] == [True, True]


def test_within_the_margin_of_the_leader_one_waits_and_any_network_may_be_good_enough() -> None:
    # Against a, the bound of b is just above 0, and that of c is 0.4 points.
    a, b = [0.98] * 4, level(0.9798, 4)
    c = around(0.978, 0.0025, 4)
    assert [each.needs_seeds for each in search(a, b, c).contenders] == [True, True, True]
    waits = search(a, b, c, margin=0.003)
    assert waits.best is None
    assert [each.needs_seeds for each in waits.contenders] == [True, False, True]
    # a and c, which varies against it, are as good: only b is near to both.
    swing = around(0, 0.001, 4)
    a, b, c = [0.9801 + s for s in swing], [0.98] * 4, [0.98 - s for s in swing]
    near = search(a, b, c, margin=0.005)
    assert (near.best, [each.needs_seeds for each in near.contenders]) == ("b", [False] * 3)
    assert near.contenders[0].gap and near.contenders[0].gap > 0.005


def test_runs_that_did_not_learn_are_told_and_no_gap_exceeds_1() -> None:
    result = search([0.1, 0.98, 0.98, 0.1], [0.98, 0.1, 0.98, 0.98])
    assert [each.gap for each in result.contenders] == [1.0, 1.0]
    assert "Some runs did not learn, and no interval accounts for that" in conclusion(result)
    assert "did not learn" not in conclusion(DECIDED)


def test_networks_chosen_by_the_same_seeds_are_told() -> None:
    doubts = cautions.doubts(replace(DECIDED, narrowed_from=8))
    assert doubts[0].endswith("in up to 37 % of cases, not 5 %: give other seeds, --seed 1000.")
    assert cautions.doubts(DECIDED) == []


def test_hopeless_ties_are_given_up_from_five_seeds_on() -> None:
    tie = around(0.98, 0.002, 10), around(0.98, 0.002, 10)[::-1]
    assert [known(search(*(its[:n] for its in tie)))[0][2] for n in (4, 10)] == [True, False]
    result = search(*tie)
    assert conclusion(result) == (
        "The best is among a and b: 40 seeds are unlikely to decide; give more --max-seeds or a "
        "--margin."
    )
    last = Settling(5, find_best=True)
    assert known(search(level(0.98, 5), level(0.9802, 5, -1), settling=last))[0] == (5, None, False)


def test_one_that_waits_takes_part_again_if_another_leads() -> None:
    # b ties with a, which leads, and waits after seven seeds. Then c takes the lead.
    a, b = [0.98] * 10, around(0.98, 0.002, 7)
    c = [0.9795 + 0.002 * sign for sign in (1, -1, -1, 1, 1, -1, 0)] + [0.984] * 3
    waiting = search(a[:7], b, c[:7])
    assert known(waiting) == [(7, None, True), (7, None, False), (7, None, True)]
    assert seeds_needed("abc", waiting) == {"a": 10, "b": 4, "c": 10}
    assert known(search(a, b, c)) == [(10, None, True), (7, None, True), (10, None, True)]
    assert seeds_needed("abc", search(a, b, c)) == dict.fromkeys("abc", 14)


def test_a_network_that_fails_is_no_contender_and_stays_counted() -> None:
    rows = [network("a", level(0.98, 4)), network("b", level(0.979, 4, -1))]
    rows.append(network("c", level(0.99, 4), failure="no luck"))
    result = comparison(*rows, settling=FORTY)
    assert [each.model for each in result.contenders] == ["a", "b"]
    assert result.models[2].settled is False
    two = search(level(0.98, 4), level(0.979, 4, -1))
    assert result.contenders[0].gap and two.contenders[0].gap
    assert result.contenders[0].gap > two.contenders[0].gap  # two comparisons instead of one
    assert conclusion(result) == "The best is among a and b (c failed): more seeds are needed."


# What is said

DECIDED = search(level(0.98, 4), level(0.9805, 4, -1), level(0.90, 4))


def test_each_output_has_the_contenders_and_no_pair() -> None:
    head, first, second, third = phrases.describe_contenders(DECIDED)
    assert "tested after 4, 5, 7, 10, 14, 20, 28 or 40 seeds (with 95 % confidence" in head
    assert [each.model for each in DECIDED.remaining] == ["b", "a"]
    gap = math.ceil((DECIDED.contenders[1].gap or 0) * 10_000) / 100
    assert first == f"b is at most {gap:.2f} points below the best (4 seeds)"
    assert second.startswith("a is at most ")
    assert third == "c was dropped after 4 seeds, behind a"
    for text in (
        "\n".join(map(str, comparison_tables(DECIDED))),
        export.to_markdown(DECIDED),
        export.to_latex(DECIDED),
        page(DECIDED, None).partition("<body>")[2],
    ):
        plain = text.replace("\N{NO-BREAK SPACE}", " ")
        assert all(line in plain for line in (first, second, third))
        assert "The best is among b and a" in plain
        for word in ("beats", "verdict", "distinguishable yet", "pair ", "pairs", "differences"):
            assert word not in plain, word
    markdown = export.to_markdown(DECIDED)
    assert f"| b | 98.05 % | 0.04 % | at most {gap:.2f} points | 4 |" in markdown
    assert "| dropped | 4 |" in markdown
    assert "1 of 3 networks dropped, tested after 4, 5, 7, 10, 14, 20," in title(DECIDED)
    assert [point_label(model) for model in DECIDED.models][1:] == ["b (n = 4, open)", "c (n = 4)"]


def test_exports_of_one_search_are_merged_and_searched_again() -> None:
    again = from_json(CompareResult, to_json(DECIDED))
    assert again.contenders == DECIDED.contenders
    a, b = Path("a.json"), Path("b.json")
    doubled = replace(again, contenders=(), seeds=tuple(range(100, 140)))
    doubled = replace(
        doubled,
        models=tuple(
            replace(row, runs=tuple(replace(run, seed=run.seed + 100) for run in row.runs))
            for row in again.models
        ),
    )
    merged = merge({a: again, b: doubled})
    assert known(merged) == [(7, None, True), (7, None, True), (4, "a", False)]
    ordinary = replace(DECIDED, settling=Settling(40))
    with pytest.raises(UsageError, match="seeds until the best is found, 40 at most and until se"):
        merge({a: again, b: ordinary})
    assert repeating(DECIDED)[0].endswith(" --seeds auto --find-best")
    assert not repeating(ordinary)[0].endswith("--find-best")


# Simulations, with the program's own choice of who gets seeds


class Search:
    """A search for the best of networks whose accuracies, 40 seeds × networks, are known."""

    def __init__(
        self, means: Sequence[float], accuracies: NDArray[np.float64], margin: float | None
    ) -> None:
        names = "abcdefghijklmnopqrst"[: len(means)]
        rows = [network(name, its.tolist()) for name, its in zip(names, accuracies.T, strict=True)]
        self.best_dropped = self.gap_broken = False
        self.result = replace(EMPTY, margin=margin)
        needed = dict.fromkeys(names, 0)
        have: dict[str, int] = {}
        top = max(means)
        while needed != have:
            have, its = needed, {row.model: row.runs[: needed[row.model]] for row in rows}
            models = tuple(replace(row, runs=its[row.model]) for row in rows)
            result = replace(self.result, models=models, contenders=())
            self.result = replace(result, contenders=find_contenders(result))
            more = seeds_needed(names, self.result)
            needed = {name: max(have[name], more[name]) for name in names}
            for each, mean in zip(self.result.contenders, means, strict=False):
                self.best_dropped |= mean == top and each.dropped_by is not None
                self.gap_broken |= each.gap is not None and top - mean > each.gap
        self.runs = sum(have.values())
        claim = self.result.best
        self.wrong = claim is not None and top - means[names.index(claim)] > (margin or 0)


EMPTY = comparison(network("a", ()), seeds=40, settling=FORTY)


@pytest.mark.parametrize("margin", [None, 0.001])
def test_the_best_is_kept_claims_are_true_and_gaps_hold(margin: float | None) -> None:
    means = (0.9698, 0.97, 0.9699, 0.9685, 0.96)
    random = np.random.default_rng(1)
    searches = [
        Search(means, np.round(random.normal(means, 0.0015, (40, 5)), 4), margin)
        for _ in range(200)
    ]
    most = 0.05 * len(searches)
    assert sum(each.best_dropped for each in searches) <= most
    assert sum(each.wrong for each in searches) <= most
    assert sum(each.gap_broken for each in searches) <= most
    claims = sum(each.result.best is not None for each in searches)
    assert claims > 100 if margin else claims < 20
    assert 20 < sum(each.runs for each in searches) / len(searches) < 200
