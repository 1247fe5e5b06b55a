"""The conclusion of a comparison in one sentence, which says no more than the verdicts prove."""

from collections.abc import Sequence
from itertools import combinations
from math import comb

from mnist_cli.formatting import format_accuracy, plural
from mnist_cli.report.best import describe_best
from mnist_cli.report.cautions import is_incomplete
from mnist_cli.report.layout import join
from mnist_cli.schema.comparison import CompareResult, Outcome
from mnist_cli.schema.options import LEAST_RUNS

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
        return _describe_too_few(result, ranked)
    if len(result.seeds) == 1 and not result.settling:
        return ONE_SEED
    if not (result.verdicts or result.contenders):
        return "No network is ranked yet: more finished runs are needed."
    if result.contenders:
        best, advice = describe_best(result)
        ranking = f"{best}{_explain_unranked(result, ranked)}{advice}."
    else:
        ranking = _describe_ranking(result, ranked)
    sentence = f"So far, {ranking}" if is_incomplete(result) else _capitalize(ranking)
    return " ".join([sentence, *_list_cautions(result)])


def _describe_too_few(result: CompareResult, ranked: Sequence[str]) -> str:
    """The sentence if fewer than two networks can be ranked."""
    failed = _list_failed(result)
    if len(failed) == len(result.models):
        return f"{join(failed)} failed: there is nothing to rank."
    if result.target is not None:
        who = "No network"
        if ranked:
            who = ranked[0] if len(result.models) == 1 else f"Only {ranked[0]}"
        return f"{who} reached {result.target * 100:g} % with each seed: there is nothing to rank."
    [model] = [model for model in result.models if not model.failure]
    if model.figures is None:
        return f"No run of {model.model} is finished yet."
    why = f"; {join(failed)} failed" if failed else ""
    accuracy = format_accuracy(model.figures.test_accuracy)
    return f"{model.model}: {result.dataset.evaluated_on} accuracy {accuracy}{why}."


def _describe_ranking(result: CompareResult, ranked: Sequence[str]) -> str:
    """The sentence for two or more networks that can be ranked."""
    beaten = result.beaten
    equal = {
        frozenset((verdict.first, verdict.second))
        for verdict in result.verdicts
        if verdict.outcome == Outcome.EQUIVALENT
    }
    top = [name for name in ranked if not any((other, name) in beaten for other in ranked)]
    ahead = all((name, other) in beaten for name in top for other in ranked if other not in top)
    judged = {(first.model, second.model) for first, second in result.pairs}
    open_pairs = [
        pair
        for pair in combinations(ranked, 2)
        if pair in judged
        if pair not in beaten and pair[::-1] not in beaten and frozenset(pair) not in equal
    ]
    apart = [pair for pair in combinations(top, 2) if pair not in judged]
    disputed = [pair for pair in open_pairs if set(pair) <= set(top)]
    others = [pair for pair in open_pairs if pair not in disputed]
    best = "best" if result.target is None else f"fastest to {result.target * 100:g} %"
    which = equivalent = f"are equivalent within {(result.margin or 0) * 100:g} points"
    if disputed:
        alike = any(pair <= set(top) for pair in equal)
        which = f"are not {'all ' if alike else ''}distinguishable yet"
    elif apart:
        which = "were not all compared with each other"
    if any(one == other for one, other in beaten):
        text = f"the verdicts contradict each other, so no network is {best}"
    elif len(top) == 1:
        text = f"{top[0]} is {best}"
    elif len(top) == len(ranked):
        text = f"{join(top)} {which}"
    elif which != equivalent or not ahead:
        text = f"the {best} is among {join(top)}, which {which}"
    else:
        text = f"{join(top)} are {best} and {equivalent.removeprefix('are ')}"
    if others:
        text += f"; {_describe_open(others)} yet"
    advice = _suggest(result, open_pairs)
    if apart and not open_pairs and result.target is None:
        advice = ": --seeds auto --find-best compares all"
    return f"{text}{_explain_unranked(result, ranked)}{advice}."


def _explain_unranked(result: CompareResult, ranked: Sequence[str]) -> str:
    """Which networks are not ranked, and why."""
    failed = _list_failed(result)
    late = [m.model for m in result.models if m.model not in (*ranked, *failed)]
    reasons = [f"{join(failed)} failed"] if failed else []
    reasons += [f"{join(late)} did not reach it with each seed"] if late else []
    return f" ({'; '.join(reasons)})" if reasons else ""


def _suggest(result: CompareResult, open_pairs: Sequence[tuple[str, str]]) -> str:
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


def _list_cautions(result: CompareResult) -> list[str]:
    """Why the sentence is less certain than it sounds: runs near chance, or few seeds."""
    lines = []
    names = {each.model for each in result.contenders}
    collapsed = [
        run for m in result.models if m.model in names for run in result.near_chance(m.runs)
    ]
    if collapsed or any(each.better and each.near_chance for each in result.verdicts):
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


def _list_failed(result: CompareResult) -> list[str]:
    return [model.model for model in result.models if model.failure]


def _describe_open(pairs: Sequence[tuple[str, str]]) -> str:
    """Name open pairs: all pairs of some networks, all pairs with one network, or their number."""
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    if len(pairs) == comb(len(names), 2):
        return f"{join(names)} are not distinguishable"
    for name in names:
        if all(name in pair for pair in pairs):
            return f"{name} is not distinguishable from {join([n for n in names if n != name])}"
    return f"{len(pairs)} pairs are not distinguishable"


def _capitalize(text: str) -> str:
    """Start the sentence with a capital letter, unless it starts with the name of a network."""
    for start in ("the ", "no other network "):
        if text.startswith(start):
            return text[0].upper() + text[1:]
    return text
