"""The diagram of a network: its stages as volumes in rows, in points with the origin top left.

Sheets are to scale. The bar of a longer vector is longer, but not in proportion.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib import patches
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from mnist_cli.report.pictures.style import COLOURS, as_label, save_figure
from mnist_cli.schema.results import ModelSummary, Stage

LEAST_WIDTH, MOST_WIDTH = 300, 800  # of a row
PIXEL, LEAST_SIDE, MOST_SIDE = 2.2, 5, 84
MOST_DRAWN, SHEET = 16, 1.6  # a sheet is that far from the next one
CELL = 5
GAP, LINE = 16, 11
FONT, CHARACTER = 8, 4.9  # the size of the text and the width of a character
MOST_LINES, MOST_CHARACTERS = 5, 24  # of operations, and of each
# The fill colours by what a stage does; the page has the same in style.css.
FILLS = {"input": "#999999", "kernel": COLOURS[0], "pool": COLOURS[4], "weights": COLOURS[2]}
FILLS["other"] = FILLS["input"]
LEGEND = f"A sheet is a channel, a cell a unit; {MOST_DRAWN} at most are drawn one by one."


@dataclass(frozen=True)
class Box:
    """A sheet, a cell or the outline of a kernel; `kind` is a key of FILLS or `window`."""

    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True)
class Label:
    """A centred line of text on the baseline `y`; `kind` is size, operation or parameters."""

    x: float
    y: float
    text: str
    kind: str


@dataclass
class Diagram:
    """What to draw, the boxes from back to front, and the same in words."""

    words: str
    width: float = LEAST_WIDTH
    height: float = 0
    boxes: list[Box] = field(default_factory=list)
    lines: list[tuple[float, ...]] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)


def lay_out(name: str, stages: Sequence[Stage]) -> Diagram:
    """Place the stages of a network in rows, with lines from each to the next of its row."""
    diagram = Diagram(describe(name, stages))
    for row in _split_rows(stages):
        volumes = [_Volume.of(stage) for stage in row]
        middle = diagram.height + max(volume.height for volume in volumes) / 2 + LINE
        x, previous = 0.0, None
        for volume in volumes:
            column = _column_width(volume.stage)
            volume.x = x + (column - volume.width) / 2
            volume.y = middle - volume.height / 2
            if previous:
                diagram.lines += previous.lines_to(volume, diagram.boxes)
            diagram.boxes += volume.boxes()
            previous, x = volume, x + column + GAP
        diagram.width = max(diagram.width, x - GAP)
        top = middle + max(volume.height for volume in volumes) / 2 + 1.5 * LINE
        for volume in volumes:
            centre = volume.x + volume.width / 2
            for number, (text, kind) in enumerate(_texts(volume.stage)):
                diagram.labels.append(Label(centre, top + number * LINE, text, kind))
        diagram.height = top + max(len(list(_texts(stage))) for stage in row) * LINE
    return diagram


def describe(name: str, stages: Sequence[Stage]) -> str:
    """A network in words, for people who do not see its diagram."""
    parts = [f"{name}, from images of {_size(stages[0])}"]
    for stage in stages[1:]:
        counted = f" with {stage.parameters:,} parameters" if stage.parameters else ""
        parts.append(f"{', '.join(stage.operations)} to {_size(stage)}{counted}")
    return f"{'; '.join(parts)}."


def save_diagram(path: Path, model: ModelSummary) -> None:
    """Draw the diagram into a picture file; raises MnistCliError if it cannot be written."""
    diagram = lay_out(model.model, model.stages)
    head, margin = 3 * LINE, 10
    width, height = diagram.width + 2 * margin, diagram.height + head + margin
    figure = Figure(figsize=(width / 72, height / 72), dpi=200)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-margin, width - margin), ylim=(height - head, -head))
    axes.axis("off")
    title = f"{as_label(model.model)}: {model.parameters:,} trainable parameters"
    axes.text(0, -1.6 * LINE, title, fontsize=11)
    axes.text(0, -0.4 * LINE, LEGEND, fontsize=FONT, color="0.35")
    for order, box in enumerate(diagram.boxes):
        is_window = box.kind == "window"
        rectangle = patches.Rectangle(
            *((box.x, box.y), box.width, box.height),
            facecolor="none" if is_window else _lighten(FILLS[box.kind]),
            edgecolor="black" if is_window else FILLS[box.kind],
            linewidth=0.8 if is_window else 0.6,
            zorder=2 + order / 1e6,
        )
        axes.add_patch(rectangle)
    for x1, y1, x2, y2 in diagram.lines:
        axes.plot([x1, x2], [y1, y2], color="0.45", linewidth=0.6, zorder=3)
    for label in diagram.labels:
        weight = "bold" if label.kind == "size" else "normal"
        colour = "0.35" if label.kind == "parameters" else "black"
        style: dict[str, Any] = {
            "fontsize": FONT,
            "fontweight": weight,
            "color": colour,
            "ha": "center",
        }
        axes.text(label.x, label.y, label.text, parse_math=False, **style)
    save_figure(figure, path, diagram.words)


@dataclass
class _Volume:
    """A stage as a stack of sheets, or as a column of cells if its output is a vector."""

    stage: Stage
    side: tuple[float, float]  # width and height of a sheet or cell
    sheets: int
    cells: int
    x: float = 0
    y: float = 0

    @classmethod
    def of(cls, stage: Stage) -> "_Volume":
        size = stage.output_size
        if len(size) < 2:
            units = math.prod(size)
            if units <= MOST_DRAWN:
                return cls(stage, (CELL, CELL), 1, units)
            length = MOST_DRAWN * CELL * (1 + math.log2(units / MOST_DRAWN) / 12)
            return cls(stage, (CELL, length), 1, 1)
        height, width = (min(max(n * PIXEL, LEAST_SIDE), MOST_SIDE) for n in size[-2:])
        return cls(stage, (width, height), min(math.prod(size[:-2]), MOST_DRAWN), 1)

    @property
    def depth(self) -> float:
        return (self.sheets - 1) * SHEET

    @property
    def width(self) -> float:
        return self.side[0] + self.depth

    @property
    def height(self) -> float:
        return self.side[1] * self.cells + self.depth

    @property
    def kind(self) -> str:
        stage = self.stage
        if stage.operations[0] == "input":
            return "input"
        trained = stage.parameters > 0 or stage.reuses_weights
        if stage.kernel_size and trained:
            return "kernel"
        if "pool" in stage.operations[0].lower():
            return "pool"
        return "weights" if trained else "other"

    def boxes(self) -> Iterator[Box]:
        width, height = self.side
        for back in range(self.sheets - 1, -1, -1):  # the front one is at the bottom left
            for cell in range(self.cells):
                x, y = self.x + back * SHEET, self.y + self.depth - back * SHEET
                yield Box(x, y + cell * height, width, height, self.kind)

    def lines_to(self, after: "_Volume", boxes: list[Box]) -> list[tuple[float, ...]]:
        """Lines to the next volume, from a kernel's outline, which is added, or from the ends."""
        kernel = after.stage.kernel_size
        right = self.x + self.side[0]
        if len(kernel) == 2:
            height, width = (
                min(n * PIXEL, side) for n, side in zip(kernel, self.side[::-1], strict=True)
            )
            x = self.x + 0.55 * (self.side[0] - width)
            y = self.y + self.depth + 0.3 * (self.side[1] - height)
            boxes.append(Box(x, y, width, height, "window"))
            end = after.x + 0.55 * after.side[0], after.y + after.depth + 0.3 * after.side[1]
            return [(x + width, y, *end), (x + width, y + height, *end)]
        middle = self.y + self.height / 2
        if after.kind != "weights" or after.side[0] > CELL:
            return [(self.x + self.width + 3, middle, after.x - 3, middle)]
        ends = (self.y + self.depth, after.y), (self.y + self.height, after.y + after.height)
        return [(right, y1, after.x, y2) for y1, y2 in ends]


def _split_rows(stages: Sequence[Stage]) -> Iterator[list[Stage]]:
    row: list[Stage] = []
    for stage in stages:
        if row and sum(_column_width(each) + GAP for each in (*row, stage)) - GAP > MOST_WIDTH:
            yield row
            row = []
        row.append(stage)
    yield row


def _column_width(stage: Stage) -> float:
    return max(_Volume.of(stage).width, *(len(t) * CHARACTER for t, _ in _texts(stage)))


def _texts(stage: Stage) -> Iterator[tuple[str, str]]:
    """The lines below a volume."""
    yield _size(stage), "size"
    shown = [text[:MOST_CHARACTERS] for text in stage.operations[:MOST_LINES]]
    if more := len(stage.operations) - len(shown):
        shown[-1] = f"and {more + 1} more"
    for text in shown:
        yield text, "operation"
    if stage.parameters:
        yield f"{stage.parameters:,}", "parameters"
        yield "parameters", "parameters"
    if stage.reuses_weights:
        yield "weights used again", "parameters"


def _size(stage: Stage) -> str:
    return "×".join(map(str, stage.output_size))


def _lighten(colour: str) -> tuple[float, ...]:
    return tuple(1 - 0.35 * (1 - part) for part in to_rgb(colour))
