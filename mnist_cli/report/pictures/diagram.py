"""The diagram of a network: its stages as volumes in rows, in points with the origin top left.

Sheets are to scale. The bar of a longer vector is longer, but not in proportion.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mnist_cli.report.pictures.style import COLOURS, as_label, save_figure
from mnist_cli.schema.results import ModelSummary, Stage

LEAST_WIDTH, MOST_WIDTH = 300, 800  # of a row
PIXEL, LEAST_SIDE, MOST_SIDE = 2.2, 5, 84
MOST_DRAWN, SHEET = 16, 1.6  # a sheet is that far from the next one
CELL = 5
GAP, LINE, MARGIN = 16, 11, 10
FONT, CHARACTER = 8, 4.9  # the size of the text and the width of a character
MOST_LINES, MOST_CHARACTERS = 5, 24  # of operations, and of each
# The colours by what a stage does.
FILLS = {"kernel": COLOURS[0], "pool": COLOURS[4], "weights": COLOURS[2], "other": "#999999"}
LEGEND = f"A sheet is a channel, a cell a unit; {MOST_DRAWN} at most are drawn one by one."

Place = tuple[float, float]


def draw_diagram(stages: Sequence[Stage], title: str = "") -> Figure:
    """Draw the stages of a network in rows, with lines from each to the next of its row."""
    figure = Figure(dpi=200)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    axes.text(0, -1.6 * LINE, title, fontsize=11)
    axes.text(0, -0.4 * LINE, LEGEND, fontsize=FONT, color="0.35")
    right, bottom = float(LEAST_WIDTH), 0.0
    for row in _split_rows([_Volume(stage) for stage in stages]):
        end, bottom = _draw_row(axes, row, bottom)
        right = max(right, end)
    head = (3 if title else 1.5) * LINE
    width, height = right + 2 * MARGIN, bottom + head + MARGIN
    figure.set_size_inches(width / 72, height / 72)
    axes.set(xlim=(-MARGIN, width - MARGIN), ylim=(height - head, -head))
    return figure


def save_diagram(path: Path, model: ModelSummary) -> None:
    """Draw the diagram into a picture file; raises MnistCliError if it cannot be written."""
    title = f"{as_label(model.model)}: {model.parameters:,} trainable parameters"
    save_figure(draw_diagram(model.stages, title), path, describe(model.model, model.stages))


def describe(name: str, stages: Sequence[Stage]) -> str:
    """A network in words, for people who do not see its diagram."""
    parts = [f"{name}, from images of {_size(stages[0])}"]
    for stage in stages[1:]:
        counted = f" with {stage.parameters:,} parameters" if stage.parameters else ""
        parts.append(f"{', '.join(stage.operations)} to {_size(stage)}{counted}")
    return f"{'; '.join(parts)}."


def _draw_row(axes: Axes, row: Sequence["_Volume"], top: float) -> Place:
    """Draw volumes side by side below `top`; returns where they end on the right and below."""
    tallest = max(volume.height for volume in row)
    middle = top + tallest / 2 + LINE
    baseline = middle + tallest / 2 + 1.5 * LINE
    x, previous = 0.0, None
    for volume in row:
        volume.x = x + (volume.column - volume.width) / 2
        volume.y = middle - volume.height / 2
        if previous:
            previous.join(axes, volume)
        volume.draw(axes)
        for number, (text, style) in enumerate(volume.texts):
            place = volume.x + volume.width / 2, baseline + number * LINE
            axes.text(*place, text, parse_math=False, fontsize=FONT, ha="center", zorder=4, **style)
        previous, x = volume, x + volume.column + GAP
    return x - GAP, baseline + max(len(volume.texts) for volume in row) * LINE


class _Volume:
    """A stage as a stack of sheets, or as a column of cells if its output is a vector."""

    def __init__(self, stage: Stage) -> None:
        size = stage.output_size
        self.stage, self.texts = stage, _texts(stage)
        self.x = self.y = 0.0
        self.sheets = self.cells = 1
        self.side: Place  # width and height of a sheet or cell
        if len(size) > 1:
            height, width = (min(max(n * PIXEL, LEAST_SIDE), MOST_SIDE) for n in size[-2:])
            self.side = width, height
            self.sheets = min(math.prod(size[:-2]), MOST_DRAWN)
        elif (units := math.prod(size)) <= MOST_DRAWN:
            self.side = CELL, CELL
            self.cells = units
        else:
            self.side = CELL, MOST_DRAWN * CELL * (1 + math.log2(units / MOST_DRAWN) / 12)
        self.depth = (self.sheets - 1) * SHEET
        self.width = self.side[0] + self.depth
        self.height = self.side[1] * self.cells + self.depth
        self.column = max(self.width, *(len(text) * CHARACTER for text, _ in self.texts))

    @property
    def kind(self) -> str:
        stage = self.stage
        trained = stage.parameters > 0 or stage.reuses_weights
        if stage.kernel_size and trained:
            return "kernel"
        if "pool" in stage.operations[0].lower():
            return "pool"
        return "weights" if trained else "other"

    def draw(self, axes: Axes) -> None:
        """Draw the sheets from the back to the front, which is at the bottom left."""
        colour = FILLS[self.kind]
        for back in range(self.sheets - 1, -1, -1):
            x, y = self.x + back * SHEET, self.y + self.depth - back * SHEET
            for cell in range(self.cells):
                place = x, y + cell * self.side[1]
                _draw_box(axes, place, self.side, facecolor=_lighten(colour), edgecolor=colour)

    def join(self, axes: Axes, after: "_Volume") -> None:
        """Draw lines to the next volume: from the outline of its kernel, or from the ends."""
        kernel = after.stage.kernel_size
        right = self.x + self.side[0]
        middle = self.y + self.height / 2
        if len(kernel) == 2:
            height, width = (
                min(n * PIXEL, side) for n, side in zip(kernel, self.side[::-1], strict=True)
            )
            x = self.x + 0.55 * (self.side[0] - width)
            y = self.y + self.depth + 0.3 * (self.side[1] - height)
            style = {"facecolor": "none", "edgecolor": "black", "linewidth": 0.8}
            _draw_box(axes, (x, y), (width, height), **style)
            end = after.x + 0.55 * after.side[0], after.y + after.depth + 0.3 * after.side[1]
            lines = [((x + width, y), end), ((x + width, y + height), end)]
        elif after.kind != "weights" or after.side[0] > CELL:
            lines = [((self.x + self.width + 3, middle), (after.x - 3, middle))]
        else:
            lines = [
                ((right, self.y + self.depth), (after.x, after.y)),
                ((right, self.y + self.height), (after.x, after.y + after.height)),
            ]
        for (x1, y1), (x2, y2) in lines:
            axes.plot([x1, x2], [y1, y2], color="0.45", linewidth=0.6, zorder=3)


def _draw_box(axes: Axes, place: Place, side: Place, **style: Any) -> None:
    """Draw a rectangle on top of the rectangles that were drawn before."""
    order = 2 + len(axes.patches) / 1e6
    axes.add_patch(Rectangle(place, *side, **{"linewidth": 0.6, "zorder": order, **style}))


def _split_rows(volumes: Sequence[_Volume]) -> Iterator[list[_Volume]]:
    row: list[_Volume] = []
    for volume in volumes:
        if row and sum(each.column + GAP for each in (*row, volume)) - GAP > MOST_WIDTH:
            yield row
            row = []
        row.append(volume)
    yield row


def _texts(stage: Stage) -> list[tuple[str, dict[str, Any]]]:
    """The lines below a volume, with their style."""
    shown = [text[:MOST_CHARACTERS] for text in stage.operations[:MOST_LINES]]
    if more := len(stage.operations) - len(shown):
        shown[-1] = f"and {more + 1} more"
    grey = []
    if stage.parameters:
        grey += [f"{stage.parameters:,}", "parameters"]
    if stage.reuses_weights:
        grey.append("weights used again")
    return [
        (_size(stage), {"fontweight": "bold"}),
        *((text, {}) for text in shown),
        *((text, {"color": "0.35"}) for text in grey),
    ]


def _size(stage: Stage) -> str:
    return "×".join(map(str, stage.output_size))


def _lighten(colour: str) -> tuple[float, ...]:
    return tuple(1 - 0.35 * (1 - part) for part in to_rgb(colour))
