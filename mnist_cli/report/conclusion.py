"""The conclusion of a comparison in one sentence, which says no more than the verdicts prove."""

import re
from collections.abc import Sequence
from itertools import combinations
from math import comb

from mnist_cli.formatting import format_percent, plural
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
    failed = [model.model for model in result.models if model.failure]
    ranked = [
        model.model
        for model in result.models
        if not model.failure and (result.target is None or model.always_reached_target)
    ]
    if len(ranked) < 2:
        return _describe_too_few(result, ranked, failed)
    if len(result.seeds) == 1 and not result.settling:
        return ONE_SEED
    if not (result.verdicts or result.contenders):
        return "No network is ranked yet: more finished runs are needed."
    late = [m.model for m in result.models if m.model not in (*ranked, *failed)]
    reasons = [f"{join(failed)} failed"] if failed else []
    reasons += [f"{join(late)} did not reach it with each seed"] if late else []
    unranked = f" ({'; '.join(reasons)})" if reasons else ""
    if result.contenders:
        ranking, advice = _describe_best(result)
    else:
        ranking, advice = _describe_ranking(result, ranked)
    sentence = f"{ranking}{unranked}{advice}."
    # The name of a network stays as it is.
    sentence = f"So far, {sentence}" if is_incomplete(result) else re.sub("^the ", "The ", sentence)
    return " ".join([sentence, *_list_cautions(result)])


def _describe_too_few(result: CompareResult, ranked: Sequence[str], failed: Sequence[str]) -> str:
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
    accuracy = format_percent(model.figures.test_accuracy)
    return f"{model.model}: {result.dataset.evaluated_on} accuracy {accuracy}{why}."


def _describe_best(result: CompareResult) -> tuple[str, str]:
    """Which network is the best, or among which it is; then what may decide, if that is open."""
    remaining = [each.model for each in result.remaining]
    if len(remaining) == 1:
        return f"{remaining[0]} is best", ""
    if result.best:
        within = f"within {(result.margin or 0) * 100:g} points of it"
        return f"{result.best} is the best, or {within}", ""
    undecidable = not any(each.needs_seeds for each in result.remaining)
    return f"the best is among {join(remaining)}", _suggest_seeds(result, undecidable)


def _describe_ranking(result: CompareResult, ranked: Sequence[str]) -> tuple[str, str]:
    """Who is best, or among which networks it is, by the verdicts; then what may decide."""
    beaten = result.beaten
    equal = _list_pairs(result, Outcome.EQUIVALENT)
    judged = {(first.model, second.model) for first, second in result.pairs}
    undecided = judged - equal
    open_pairs = [
        pair
        for pair in combinations(ranked, 2)
        if pair in undecided and pair not in beaten and pair[::-1] not in beaten
    ]
    top = [name for name in ranked if not any((other, name) in beaten for other in ranked)]
    leaders = set(top)
    apart = [pair for pair in combinations(top, 2) if pair not in judged]
    disputed = [pair for pair in open_pairs if leaders.issuperset(pair)]
    others = [pair for pair in open_pairs if not leaders.issuperset(pair)]
    ahead = all((name, other) in beaten for name in top for other in ranked if other not in top)
    best = "best" if result.target is None else f"fastest to {result.target * 100:g} %"
    within = f"equivalent within {(result.margin or 0) * 100:g} points"
    which = f"are {within}"
    if disputed:
        alike = any(map(leaders.issuperset, equal))
        which = f"are not {'all ' if alike else ''}distinguishable yet"
    elif apart:
        which = "were not all compared with each other"
    if any(one == other for one, other in beaten):
        text = f"the verdicts contradict each other, so no network is {best}"
    elif len(top) == 1:
        text = f"{top[0]} is {best}"
    elif len(top) == len(ranked):
        text = f"{join(top)} {which}"
    elif disputed or apart or not ahead:
        text = f"the {best} is among {join(top)}, which {which}"
    else:
        text = f"{join(top)} are {best} and {within}"
    if others:
        text += f"; {_describe_open(others)} yet"
    if apart and not open_pairs and result.target is None:
        return text, ": --seeds auto --find-best compares all"
    return text, _suggest(result, open_pairs)


def _list_pairs(result: CompareResult, outcome: Outcome) -> set[tuple[str, str]]:
    return {(each.first, each.second) for each in result.verdicts if each.outcome == outcome}


def _suggest(result: CompareResult, open_pairs: Sequence[tuple[str, str]]) -> str:
    if not open_pairs:
        return ""
    if result.target is not None:
        return ": a new comparison with more --seeds may decide"
    if not result.settling:
        return ": --seeds auto adds seeds to find out"
    return _suggest_seeds(result, _list_pairs(result, Outcome.SET_ASIDE).issuperset(open_pairs))


def _suggest_seeds(result: CompareResult, undecidable: bool) -> str:
    if not undecidable or not result.settling:
        return ": more seeds are needed"
    seeds = plural(result.settling.max_seeds, "seed")
    other = "" if result.margin else " or a --margin"
    return f": {seeds} are unlikely to decide; give more --max-seeds{other}"


def _list_cautions(result: CompareResult) -> list[str]:
    """Why the sentence is less certain than it sounds: runs near chance, or few seeds."""
    lines = []
    searched = {each.model for each in result.contenders}
    runs = [run for model in result.models if model.model in searched for run in model.runs]
    if result.near_chance(runs) or any(v.better and v.near_chance for v in result.verdicts):
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


def _describe_open(pairs: Sequence[tuple[str, str]]) -> str:
    """Name open pairs: all pairs of some networks, all pairs with one network, or their number."""
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    if len(pairs) == comb(len(names), 2):
        return f"{join(names)} are not distinguishable"
    for name in names:
        if all(name in pair for pair in pairs):
            return f"{name} is not distinguishable from {join([n for n in names if n != name])}"
    return f"{len(pairs)} pairs are not distinguishable"
