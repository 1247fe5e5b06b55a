"""The sentences of `--find-best`: which networks may be the best, and which were dropped."""

from math import ceil

from mnist_cli.formatting import plural
from mnist_cli.report import layout
from mnist_cli.schema.comparison import CONFIDENCE, CompareResult, Contender


def describe_contenders(result: CompareResult) -> list[str]:
    """A head with the guarantee, and a line for each contender; empty before the first look."""
    if not (result.settling and result.contenders):
        return []
    dropped = [each for each in result.contenders if each.dropped_by]
    return [
        f"The best on these {result.dataset.evaluated_on} images, paired by seed, tested after "
        f"{layout.looks(result.settling)} seeds (with {CONFIDENCE * 100:g} % confidence, it was "
        "not dropped and all these bounds hold):",
        *map(describe_contender, [*result.remaining, *dropped]),
    ]


def describe_contender(contender: Contender) -> str:
    """`cnn is at most 0.12 points below the best (7 seeds)`, or when a network was dropped."""
    name, seeds = contender.model, plural(contender.n, "seed")
    if contender.dropped_by:
        return f"{name} was dropped after {seeds}, behind {contender.dropped_by}"
    place = f"{format_gap(contender)} below the best" if contender.gap else "the best"
    return f"{name} is {place} ({seeds})"


def format_gap(contender: Contender) -> str:
    """`at most 0.12 points`, rounded up; or `dropped`."""
    if contender.gap is None:
        return "dropped"
    return f"at most {ceil(contender.gap * 10_000) / 100:.2f} points"


def describe_best(result: CompareResult) -> tuple[str, str]:
    """Which network is the best, or among which it is; then what may decide, if that is open."""
    remaining = result.remaining
    if len(remaining) == 1:
        return f"{result.best} is best", ""
    if result.best:
        within = f"within {(result.margin or 0) * 100:g} points of it"
        return f"{result.best} is the best, or {within}", ""
    among = f"the best is among {layout.join([each.model for each in remaining])}"
    if any(each.needs_seeds for each in remaining):
        return among, ": more seeds are needed"
    most = result.settling.max_seeds if result.settling else 0
    other = "" if result.margin else " or a --margin"
    advice = f"{plural(most, 'seed')} are unlikely to decide; give more --max-seeds{other}"
    return among, f": {advice}"
