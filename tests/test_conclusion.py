"""The one sentence on top: what the verdicts prove, and no more."""

import re
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from mnist_cli.report.cautions import SEEDS_ADDED
from mnist_cli.report.comparison_tables import comparison_tables
from mnist_cli.report.conclusion import conclusion
from mnist_cli.report.export import to_markdown
from mnist_cli.report.html.document import page
from mnist_cli.schema.comparison import (
    CompareResult,
    Estimate,
    Measure,
    Outcome,
    Settling,
    Verdict,
)
from tests.made_up import comparison, network, since
from tests.test_reports import GOOD

FIND_OUT = ": --seeds auto adds seeds to find out."


def verdict(text: str, mean: float = 0.03, half: float = 0.01, n: int = 5) -> Verdict:
    """`a>b` beats, `a=b` is equivalent, `a?b` is open, `a~b` is set aside."""
    first, sign, second = re.split("([>=?~])", text)
    outcome = {">": Outcome.BETTER, "=": Outcome.EQUIVALENT, "~": Outcome.SET_ASIDE}.get(sign)
    return Verdict(
        *(first, second, Measure.TEST_ACCURACY, Estimate(mean, half, n, 0.95), 0.01),
        first if sign == ">" else None,
        outcome or Outcome.OPEN,
    )


def judged(verdicts: str, networks: str = "abc", failed: str = "", **facts: Any) -> str:
    rows = [network(name, GOOD, failure="no luck" if name in failed else None) for name in networks]
    result = replace(comparison(*rows), verdicts=tuple(map(verdict, verdicts.split())), **facts)
    return conclusion(result)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ("a>b a>c b>c", "a is best."),
        ("b>c a>c a>b", "a is best."),
        ("a>b a>c b?c", f"a is best; b and c are not distinguishable yet{FIND_OUT}"),
        ("a?b a?c b?c", f"a, b and c are not distinguishable yet{FIND_OUT}"),
        # a and b may each be the best, c is not.
        ("a?b a>c b>c", f"The best is among a and b, which are not distinguishable yet{FIND_OUT}"),
        (
            "a?b a>c b?c",
            "The best is among a and b, which are not distinguishable yet; b and c are not "
            f"distinguishable yet{FIND_OUT}",
        ),
        # All intervals hold together: if a beats b and b beats c, then a beats c.
        ("a>b b>c a?c", "a is best."),
        ("b>a c>b a?c", "c is best."),
        ("a>b b>c c>a", "The verdicts contradict each other, so no network is best."),
        # A pair without a verdict is open.
        ("a>b", f"The best is among a and c, which are not distinguishable yet; b and c are not "
         f"distinguishable yet{FIND_OUT}"),
    ],
)  # fmt: skip
def test_best_is_who_beats_every_other_one(verdicts: str, expected: str) -> None:
    assert judged(verdicts) == expected


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ("a=b a=c b=c", "a, b and c are equivalent within 0.2 points."),
        ("a=b a=c b?c", f"a, b and c are not all distinguishable yet{FIND_OUT}"),
        ("a=b a>c b>c", "a and b are best and equivalent within 0.2 points."),
        (
            "a=b a>c b?c",
            "The best is among a and b, which are equivalent within 0.2 points; b and c are "
            f"not distinguishable yet{FIND_OUT}",
        ),
        ("a>b a=c b>c", "a is best."),
    ],
)
def test_networks_may_be_equivalent_within_a_margin(verdicts: str, expected: str) -> None:
    assert judged(verdicts, margin=0.002) == expected


def test_two_that_are_equivalent_do_not_qualify_two_others_that_are_open() -> None:
    assert judged("a?b a>c a>d b>c b>d c=d", "abcd", margin=0.002) == (
        f"The best is among a and b, which are not distinguishable yet{FIND_OUT}"
    )


def test_many_networks_are_counted() -> None:
    names = "abcdefg"
    pairs = list(combinations(names, 2))
    text = " ".join(f"{one}?{other}" for one, other in pairs)
    assert judged(text, names) == f"7 networks are not distinguishable yet{FIND_OUT}"
    text = " ".join(f"{one}{'>' if one == 'a' else '?'}{other}" for one, other in pairs)
    assert judged(text, names).startswith("a is best; 6 networks are not distinguishable yet")
    text = "a>b a>c a>d a>e b?c b>d b>e c>d c>e d?e"
    assert judged(text, "abcde").startswith("a is best; 2 pairs are not distinguishable yet")
    text = "a>b a>c a>d b?c b?d c>d"
    assert judged(text, "abcd") == (
        f"a is best; b is not distinguishable from c and d yet{FIND_OUT}"
    )


def test_those_that_failed_are_named_and_not_ranked() -> None:
    assert judged("a>b", failed="c") == "a is best (c failed)."
    assert judged("", failed="abc") == "a, b and c failed: there is nothing to rank."
    assert judged("", failed="bc") == "a: test accuracy 98.04 ± 0.14 %; b and c failed."


def test_while_seeds_are_added_it_says_what_is_left() -> None:
    settling = Settling(40)
    assert judged("a>b a>c b?c", settling=settling) == (
        "a is best; b and c are not distinguishable yet: more seeds are needed."
    )
    given_up = (
        "a is best; b and c are not distinguishable yet: 40 seeds are unlikely to decide; give "
        "more --max-seeds"
    )
    assert judged("a>b a>c b~c", settling=settling) == f"{given_up} or a --margin."
    assert judged("a>b a>c b~c", settling=settling, margin=0.002) == f"{given_up}."
    # One open pair that may still be decided needs seeds, whatever becomes of the others.
    assert judged("a>b a~c b?c", settling=settling).endswith(" yet: more seeds are needed.")
    assert judged("", settling=settling) == (
        "No network is ranked yet: more finished runs are needed."
    )


def test_one_seed_one_network_and_no_run_are_no_ranking() -> None:
    one = comparison(network("a", GOOD[:1]), network("b", GOOD[:1]), seeds=1)
    assert conclusion(one).startswith("One seed cannot rank")
    assert conclusion(comparison(network("a", GOOD[:1]), seeds=1)) == "a: test accuracy 98.00 %."
    assert conclusion(comparison(network("a", ()), seeds=1)) == "No run of a is finished yet."
    assert conclusion(comparison(network("a", GOOD[:1]), network("b", ()))) == (
        "No network is ranked yet: more finished runs are needed."
    )


def test_a_run_that_is_missing_makes_it_preliminary() -> None:
    rows = network("a", GOOD), network("b", tuple(each - 0.1 for each in GOOD[:4]))
    assert conclusion(comparison(*rows)) == "So far, a is best."
    assert conclusion(comparison(*rows, seeds_changed=True)) == (
        "So far, a is best. False verdicts are likelier than 5 %: see below."
    )


def test_with_a_target_it_is_about_those_that_always_arrive() -> None:
    yes, no, some = (True,) * 5, (False,) * 5, (True, True, False, True, True)
    quick = network("quick", GOOD, (1.0, 1.1, 1.0, 1.2, 1.1), epochs=2, reached=yes)
    slow = network("slow", GOOD, (8.0, 8.1, 8.2, 8.0, 8.1), epochs=5, reached=yes)
    never, late = network("never", GOOD, reached=no), network("late", GOOD, reached=some)
    assert conclusion(comparison(quick, slow, target=0.97)) == "quick is fastest to 97 %."
    assert conclusion(comparison(never, quick, late, slow, target=0.97)) == (
        "quick is fastest to 97 % (never and late did not reach it with each seed)."
    )
    assert conclusion(comparison(quick, never, target=0.97)) == (
        "Only quick reached 97 % with each seed: there is nothing to rank."
    )
    assert conclusion(comparison(late, never, target=0.97)).startswith("No network reached 97 %")
    assert conclusion(comparison(quick, target=0.97)).startswith("quick reached 97 % with each")
    broken = replace(slow, failure="no luck")
    assert conclusion(comparison(quick, broken, target=0.97)).startswith("Only quick reached 97 %")
    same = replace(slow, model="same")
    assert conclusion(comparison(slow, same, target=0.97)) == (
        "slow and same are not distinguishable yet: a new comparison with more --seeds may decide."
    )


@pytest.mark.parametrize(
    ("mean", "half", "n", "cautious"),
    [
        (0.016, 0.0127, 2, True),
        (0.016, 0.008, 2, False),
        (0.016, 0.0081, 4, True),
        (0.016, 0.0127, 5, False),
        (-0.016, 0.0127, 2, True),
    ],
)
def test_few_seeds_that_show_it_narrowly_are_to_be_confirmed(
    mean: float, half: float, n: int, cautious: bool
) -> None:
    result = replace(
        comparison(network("a", GOOD[:n]), network("b", GOOD[:n]), seeds=n),
        verdicts=(verdict("a>b", mean, half, n),),
    )
    confirm = (
        f" With {n} seeds, a difference is barely significant: confirm it with other seeds, "
        f"--seed {n} --seeds 5."
    )
    assert conclusion(result) == f"a is best.{confirm if cautious else ''}"
    added = replace(result, settling=Settling(40))
    assert conclusion(added) == "a is best."


def test_the_fewest_seeds_that_show_it_narrowly_are_named() -> None:
    rows = [network(name, GOOD[:4]) for name in "abc"]
    narrow = [verdict("a>b", 0.016, 0.0127, 4), verdict("a>c", 0.016, 0.0127, 3)]
    for verdicts in (narrow, narrow[::-1]):
        result = replace(comparison(*rows, seeds=4), verdicts=(*verdicts, verdict("b=c")))
        assert " With 3 seeds, a difference is barely significant: " in conclusion(result)


def test_it_stands_on_top_of_every_output() -> None:
    result: CompareResult = comparison(network("a", GOOD), network("b", [g - 0.1 for g in GOOD]))
    said = "a is best."
    assert str(comparison_tables(result)[0]) == said
    assert to_markdown(result).startswith(f"**{said}**\n")
    [answer] = re.findall('</h1>\n<p class="answer">(.*?)</p>', page(result, None))
    assert answer == said


def test_a_section_has_only_what_its_head_says() -> None:
    failed = network("b", (), failure="it ends in a colon:")
    result = comparison(
        network("a", GOOD), network("c", [each - 0.1 for each in GOOD]), failed, seeds_changed=True
    )
    then = {"a": dict(enumerate(GOOD))}
    text = to_markdown(since(result, then))
    assert "- b failed: it ends in a colon:" in text
    parts = text.partition("Since base.json")[2].split("\n\n")
    assert [line[:4] for line in parts[1].splitlines()] == ["- a:", "- c:", "- b:", "- Th"]
    assert parts[2] == f"- {SEEDS_ADDED}"
