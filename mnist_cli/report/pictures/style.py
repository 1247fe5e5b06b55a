"""The style of all plots, readable in print, in grey and for colour-blind people.

Networks differ by marker and label; the colours are those of Okabe and Ito (2008).
"""

import base64
import math
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter

from mnist_cli.report.layout import looks
from mnist_cli.schema.comparison import SETTLED, Aggregate, CompareResult, ModelRuns
from mnist_cli.system.files import write
from mnist_cli.system.streams import visible

NAME_END = 20  # characters at both ends of a long name that a plot shows
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX*<>"
THOUSANDS = EngFormatter(sep="")
# In a file of each kind: the key of its date, which is left out, and of what it shows.
METADATA = {
    "png": ("Creation Time", "Description"),
    "svg": ("Date", "Description"),
    "pdf": ("CreationDate", "Subject"),
}


def look(position: int) -> dict[str, Any]:
    """The colour and the marker of the network at `position`."""
    return {
        "color": COLOURS[position % len(COLOURS)],
        "marker": MARKERS[position % len(MARKERS)],
    }


def title(result: CompareResult) -> str:
    """The dataset, and what the bars mean."""
    trained = "" if result.target is None else f", trained up to {result.target * 100:g} %"
    if result.settling:
        settled = sum(pair.outcome in SETTLED for pair in result.verdicts)
        state = f"{settled} of {len(result.pairs)} pairs settled"
        if result.settling.find_best:
            dropped = sum(each.dropped_by is not None for each in result.contenders)
            state = f"{dropped} of {len(result.models)} networks dropped"
        bars = (
            f"bars: standard deviation of accuracy, range of times\n{state}, tested after "
            f"{looks(result.settling)} seeds"
        )
    elif len(result.seeds) == 1:
        bars = "one seed, no interval"
    else:
        bars = f"{len(result.seeds)} seeds: 95 % interval of accuracy, range of times"
    return (
        f"{as_label(result.dataset.name)}, {result.dataset.num_test:,} "
        f"{result.dataset.evaluated_on} images{trained}, {bars}"
    )


def as_label(text: str) -> str:
    """Text for a plot: escape $, which starts a formula, and shorten long text in the middle."""
    shown = visible(text)
    if len(shown) > 2 * NAME_END + 3:
        shown = f"{shown[:NAME_END]}...{shown[-NAME_END:]}"
    return shown.replace("$", r"\$")


def point_label(model: ModelRuns) -> str:
    """A network's name, with --seeds auto also its number of seeds and whether it is open."""
    name = as_label(model.model)
    if model.settled is None:
        return name
    return f"{name} (n = {len(model.runs)}{'' if model.settled else ', open'})"


def accuracy_ends(figures: Aggregate) -> tuple[float, float, float]:
    """Mean accuracy and the ends of its bar, in percent: the interval, else the deviation.

    The bar ends at 0 and 100, which the interval of few seeds may exceed.
    """
    mean, half = figures.test_accuracy.mean, figures.test_accuracy.half_width
    half = half or figures.accuracy_deviation or 0
    return mean * 100, max(mean - half, 0) * 100, min(mean + half, 1) * 100


def scale(axes: Axes, direction: Literal["x", "y"] = "x") -> None:
    """Give an axis round ticks, and make it logarithmic if its values differ much.

    Below a factor of 3, a logarithmic axis would have too few round ticks.
    """
    axis = axes.xaxis if direction == "x" else axes.yaxis
    low, high = axis.get_data_interval()
    if high > 3 * low > 0:
        axes.set(**{f"{direction}scale": "log"})
        axis.set_major_locator(LogLocator(subs=(1,) if high > 100 * low else (1, 2, 5)))
        axis.set_minor_formatter(NullFormatter())
    else:
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(lambda tick, _: THOUSANDS(tick) if tick >= 1000 else f"{tick:.6g}")


def number_epochs(axes: Axes) -> None:
    """Make the horizontal axis one of epochs, with whole numbers, also if it has only one."""
    axes.set(xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def thin(axes: Axes) -> None:
    """Drop ticks of the horizontal axis whose labels overlap; the figure must have been drawn."""
    kept, end = [], -math.inf
    for tick, text in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True):
        box = text.get_window_extent()
        if text.get_text() and box.x0 > end:
            kept.append(tick)
            end = box.x1 + box.height / 2
    axes.set_xticks(kept)


def plain(axes: Axes) -> None:
    """Draw two spines and a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.9")
    axes.set_axisbelow(True)


def save_figure(figure: Figure, path: Path, words: str = "") -> None:
    """Write `figure` in the format of the suffix; the same figure gives the same bytes.

    `words` say in the file what it shows, for people who do not see it. Raises MnistCliError if the
    file cannot be written.
    """
    write(path, _draw(figure, path.suffix.lower().removeprefix("."), words))


def embed_figure(figure: Figure) -> str:
    """The SVG of `figure` as a data URI, without background, in the fonts of the browser."""
    with matplotlib.rc_context({"svg.fonttype": "none", "savefig.transparent": True}):
        return to_uri(_draw(figure, "svg"), "svg+xml")


def to_uri(image: bytes, kind: str) -> str:
    """The content of a picture file, image/`kind`, as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


def _draw(figure: Figure, suffix: str, words: str = "") -> bytes:
    drawn = BytesIO()
    date, description = METADATA[suffix]
    metadata = {date: None, description: words or None}
    with matplotlib.rc_context({"svg.hashsalt": "mnist-cli"}):
        figure.savefig(drawn, format=suffix, metadata=metadata)
    return drawn.getvalue()
