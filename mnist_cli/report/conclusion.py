"""The conclusion of a comparison in one sentence, which says no more than the verdicts prove."""

from collections.abc import Sequence
from itertools import combinations
from math import comb

from mnist_cli.formatting import format_accuracy, plural
from mnist_cli.report.cautions import is_incomplete
from mnist_cli.report.layout import listed
from mnist_cli.schema.comparison import CompareResult, Outcome
from mnist_cli.schema.options import LEAST_RUNS

MOST_NAMED = 4  # networks, or pairs of them
ONE_SEED = (
    "One seed cannot rank: a small difference can be luck. "
    "Give --seeds 5 for intervals and verdicts, or --seeds auto."
)


def conclusion(result: CompareResult) -> str:
    """Say which network is best, which pairs are open, and what may decide them."""
    ranked = [
        model.model
        for model in result.models
        if not model.failure and (result.target is None or model.always_reached_target)
    ]
    if len(ranked) < 2:
        return _alone(result, ranked)
    if len(result.seeds) == 1 and not result.settling:
        return ONE_SEED
    if not result.verdicts:
        return "No network is ranked yet: more finished runs are needed."
    told = _ranking(result, ranked)
    sentence = f"So far, {told}" if is_incomplete(result) else _capital(told)
    return " ".join([sentence, *_cautions(result)])


def _alone(result: CompareResult, ranked: Sequence[str]) -> str:
    """The sentence for fewer than two networks that can be ranked."""
    failed = _failed(result)
    if len(failed) == len(result.models):
        return f"{_named(failed)} failed: there is nothing to rank."
    if result.target is not None:
        who = "No network"
        if ranked:
            who = ranked[0] if len(result.models) == 1 else f"Only {ranked[0]}"
        return f"{who} reached {result.target * 100:g} % with each seed: there is nothing to rank."
    [model] = [model for model in result.models if not model.failure]
    if model.figures is None:
        return f"No run of {model.model} is finished yet."
    why = f"; {_named(failed)} failed" if failed else ""
    accuracy = format_accuracy(model.figures.test_accuracy)
    return f"{model.model}: test accuracy {accuracy}{why}."


def _ranking(result: CompareResult, ranked: Sequence[str]) -> str:
    """The sentence for the two networks or more that can be ranked."""
    beaten = {
        (verdict.better, other)
        for verdict in result.verdicts
        for other in (verdict.first, verdict.second)
        if verdict.better and other != verdict.better
    }
    equal = {
        frozenset((verdict.first, verdict.second))
        for verdict in result.verdicts
        if verdict.outcome == Outcome.EQUIVALENT
    }
    top = [name for name in ranked if not any((other, name) in beaten for other in ranked)]
    ahead = all((name, other) in beaten for name in top for other in ranked if other not in top)
    open_pairs = [
        pair
        for pair in combinations(ranked, 2)
        if pair not in beaten and pair[::-1] not in beaten and frozenset(pair) not in equal
    ]
    disputed = [pair for pair in open_pairs if set(pair) <= set(top)]
    others = [pair for pair in open_pairs if pair not in disputed]
    best = "best" if result.target is None else f"fastest to {result.target * 100:g} %"
    equivalent = f"equivalent within {(result.margin or 0) * 100:g} points"
    if not top:
        said = f"the verdicts contradict each other, so no network is {best}"
    elif len(top) == 1:
        said = f"{top[0]} is {best}" if ahead else f"no other network beats {top[0]}"
    elif len(top) == len(ranked):
        apart = f"are not {'all ' if equal else ''}distinguishable yet"
        said = f"{_named(top)} {apart if disputed else f'are {equivalent}'}"
    elif disputed or not ahead:
        which = "are not distinguishable yet" if disputed else f"are {equivalent}"
        said = f"the {best} is among {_named(top)}, which {which}"
    else:
        said = f"{_named(top)} are {best} and {equivalent}"
    if others:
        said += f"; {_untold(others)} yet"
    return f"{said}{_left_out(result, ranked)}{_way_on(result, open_pairs)}."


def _left_out(result: CompareResult, ranked: Sequence[str]) -> str:
    """Which networks are not ranked, and why."""
    failed = _failed(result)
    late = [m.model for m in result.models if m.model not in (*ranked, *failed)]
    left = [f"{_named(failed)} failed"] if failed else []
    left += [f"{_named(late)} did not reach it with each seed"] if late else []
    return f" ({'; '.join(left)})" if left else ""


def _way_on(result: CompareResult, open_pairs: Sequence[tuple[str, str]]) -> str:
    """What may decide the open pairs."""
    if not open_pairs:
        return ""
    if result.target is not None:
        return ": a new comparison with more --seeds may decide"
    if not result.settling:
        return ": --seeds auto adds seeds to find out"
    given_up = {
        (verdict.first, verdict.second)
        for verdict in result.verdicts
        if verdict.outcome == Outcome.SET_ASIDE
    }
    if given_up.issuperset(open_pairs):
        seeds = plural(result.settling.max_seeds, "seed")
        other = "" if result.margin else " or a --margin"
        return f": {seeds} are unlikely to decide; give more --max-seeds{other}"
    return ": more seeds are needed"


def _cautions(result: CompareResult) -> list[str]:
    """Why the sentence is less certain than it sounds: runs near chance, or few seeds."""
    lines = []
    if any(verdict.better and verdict.near_chance for verdict in result.verdicts):
        lines.append("Some runs did not learn, and no interval accounts for that: see below.")
    elif result.seeds_changed or result.narrowed_from:
        lines.append("False verdicts are likelier than 5 %: see below.")
    narrow = [
        each.difference.n
        for each in result.verdicts
        if each.better and each.difference.n < LEAST_RUNS and not result.settling
        if abs(each.difference.mean) < 2 * (each.difference.half_width or 0)
    ]
    if narrow:
        lines.append(
            f"With {plural(min(narrow), 'seed')}, a difference is barely significant: confirm it "
            f"with other seeds, --seed {max(result.seeds) + 1} --seeds {LEAST_RUNS}."
        )
    return lines


def _failed(result: CompareResult) -> list[str]:
    return [model.model for model in result.models if model.failure]


def _named(names: Sequence[str]) -> str:
    return listed(names) if len(names) <= MOST_NAMED else f"{len(names)} networks"


def _untold(pairs: Sequence[tuple[str, str]]) -> str:
    """Name the open pairs: all those of some networks, those of one network, or their number."""
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    if len(pairs) == comb(len(names), 2):
        return f"{_named(names)} are not distinguishable"
    for name in names:
        if all(name in pair for pair in pairs):
            return f"{name} is not distinguishable from {_named([n for n in names if n != name])}"
    return f"{len(pairs)} pairs are not distinguishable"


def _capital(text: str) -> str:
    """Start the sentence with a capital letter, unless it starts with a name."""
    for start in ("the ", "no other network "):
        if text.startswith(start):
            return text[0].upper() + text[1:]
    return text
