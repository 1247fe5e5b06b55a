"""What all plots share: readable in print, in grey, and for the colour-blind.

Networks differ by marker and by a label; the colours are those of Okabe and Ito (2008).
"""

import math
from math import comb

from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from mnist_cli.report.phrases import looks
from mnist_cli.report.pictures.ticks import is_logarithmic, tick_locator, tick_text
from mnist_cli.schema.comparison import SETTLED, Aggregate, CompareResult, ModelRuns
from mnist_cli.system.streams import visible

END_OF_A_NAME = 20  # characters that a plot shows of a long one
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX*<>"


def title(result: CompareResult) -> str:
    """The images, and what the bars are."""
    trained = "" if result.target is None else f", trained up to {result.target * 100:g} %"
    if result.settling:
        settled = sum(pair.outcome in SETTLED for pair in result.verdicts)
        pairs = comb(len(result.models), 2)
        bars = (
            f"bars: standard deviation of accuracy, range of times\n{settled} of {pairs} pairs "
            f"settled, looked at after {looks(result.settling)} seeds"
        )
    elif len(result.seeds) == 1:
        bars = "one seed, no interval"
    else:
        bars = f"{len(result.seeds)} seeds: 95 % interval of accuracy, range of times"
    return (
        f"{as_label(result.dataset.name)}, {result.dataset.num_test:,} test images{trained}, {bars}"
    )


def as_label(text: str) -> str:
    """Others' text as a plot shows it: a $ is no formula, a long one has no middle."""
    shown = visible(text)
    if len(shown) > 2 * END_OF_A_NAME + 3:
        shown = f"{shown[:END_OF_A_NAME]}...{shown[-END_OF_A_NAME:]}"
    return shown.replace("$", r"\$")


def point_label(model: ModelRuns) -> str:
    """A network's name; while seeds are added, with their number and whether it is settled."""
    name = as_label(model.model)
    if model.settled is None:
        return name
    return f"{name} (n = {len(model.runs)}{'' if model.settled else ', open'})"


def accuracy_bar(figures: Aggregate) -> list[list[float]]:
    """How far a bar reaches down and up, in percent: the interval, or without one the deviation.

    The interval of few seeds may leave 0 to 100, where its bar ends.
    """
    accuracy = figures.test_accuracy
    half = (accuracy.half_width or figures.accuracy_deviation or 0) * 100
    mean = accuracy.mean * 100
    return [[min(half, mean)], [min(half, 100 - mean)]]


def scale(axes: Axes) -> None:
    """Make the horizontal axis logarithmic where its values differ much, with round numbers."""
    low, high = axes.dataLim.intervalx
    if is_logarithmic(low, high):
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(tick_locator(low, high))
    axes.xaxis.set_major_formatter(lambda tick, _: tick_text(tick))


def thin(axes: Axes) -> None:
    """Leave out the ticks of the horizontal axis whose numbers would run into the one before.

    The figure must have been drawn, as only then it is known how wide they are.
    """
    kept, end = [], -math.inf
    for tick, text in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True):
        box = text.get_window_extent()
        if text.get_text() and box.x0 > end:
            kept.append(tick)
            end = box.x1 + box.height / 2
    axes.set_xticks(kept)


def plain(axes: Axes) -> None:
    """Two spines and a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
