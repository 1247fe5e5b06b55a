"""The tables of a comparison for the terminal, with bars and intervals in text."""

import math
from collections.abc import Sequence
from dataclasses import replace

from rich.console import RenderableType
from rich.table import Table

from mnist_cli.formatting import format_loss, format_parameters, format_percent
from mnist_cli.report import layout, phrases
from mnist_cli.report.conclusion import conclusion
from mnist_cli.report.rows import ONE_TIME, TIME, known_times, rows
from mnist_cli.schema.comparison import CheckpointComparison, CompareResult, ModelRuns

INTERVAL_WIDTH = 24
BAR_WIDTH = 10
SHORT_BAR_WIDTH = 4  # beside more columns, within 80 characters
EIGHTHS = " ▏▎▍▌▋▊▉"


def comparison_tables(result: CompareResult) -> list[RenderableType]:
    """The tables of accuracies and costs, then the findings."""
    if result.target is not None:
        tables: list[RenderableType] = [_make_time_table(result)]
    else:
        legend = phrases.accuracy_legend(result)
        tables = [_make_accuracy_table(result), *legend, _make_cost_table(result)]
    return [
        layout.title(conclusion(result)),
        *phrases.headline(result),
        *tables,
        " ".join(phrases.cost_legend(result)),
        phrases.trained_on(result),
        *phrases.machines(result),
        *phrases.findings(result),
        *phrases.sampling(result),
        *([f"Journal: {result.journal}"] if result.journal else []),
        *phrases.duration(result),
    ]


def checkpoint_tables(
    result: CheckpointComparison, drawn: RenderableType | None
) -> list[RenderableType]:
    """A row for each checkpoint, a line for each pair, and the disputed images, if any."""
    table = layout.table("Checkpoint", "Network", "Seed", "Params", "Accuracy", "Loss")
    for row in result.checkpoints:
        table.add_row(
            row.name,
            row.model,
            str(row.seed),
            format_parameters(row.parameters, row.total_parameters),
            format_percent(row.test_accuracy),
            format_loss(row.test_loss),
        )
    pairs = len(result.disagreements)
    adjusted = f", Bonferroni-adjusted for {pairs} pairs" if pairs > 1 else ""
    parts: list[RenderableType] = [
        layout.title(layout.dataset_line(result.dataset)),
        table,
        *map(phrases.disagreement, result.disagreements),
        "Simultaneous 95 % confidence intervals for new images of this kind; p is from exact "
        f"McNemar tests on these images{adjusted}. Neither holds for other seeds.",
    ]
    if drawn is not None:
        parts += ["", "Above an image: its label, and what each checkpoint predicts.", drawn]
    return parts


def _make_accuracy_table(result: CompareResult) -> Table:
    accuracies = [each.figures.test_accuracy if each.figures else None for each in result.models]
    known = [value for value in accuracies if value]
    ends = [value.mean + side * (value.half_width or 0) for value in known for side in (-1, 1)]
    least, most = min(ends, default=0), max(ends, default=1)
    # A t-interval may exceed 0 or 1.
    low, high, digits = nice_scale(max(least, 0) * 100, min(most, 1) * 100)
    drawn = [
        interval(value.mean * 100, (value.half_width or 0) * 100, low, high, INTERVAL_WIDTH)
        if value
        else ""
        for value in accuracies
    ]
    names = ("network", "accuracy", "balanced", "std", "n", "loss")
    return _make_table(result, names, drawn, f"axis {low:.{digits}f} to {high:.{digits}f} %")


def _make_cost_table(result: CompareResult) -> Table:
    names = ("network", "parameters", "mult-adds", TIME, ONE_TIME, "images/s")
    return _make_table(result, names, _draw_bars(result, BAR_WIDTH))


def _make_time_table(result: CompareResult) -> Table:
    """The times to the target by median; networks that missed it come last."""

    def order(model: ModelRuns) -> tuple[bool, float]:
        times = model.figures.times if model.figures else None
        return not (model.figures and model.always_reached_target), times[0] if times else math.inf

    result = replace(result, models=tuple(sorted(result.models, key=order)))
    names = ("network", "reached", TIME, ONE_TIME, "epochs", "parameters", "mult-adds")
    return _make_table(result, names, _draw_bars(result, SHORT_BAR_WIDTH))


def _make_table(
    result: CompareResult, names: Sequence[str], drawn: Sequence[str], head: str = ""
) -> Table:
    """A table of those columns `names` that exist, and of bars or intervals if there are any."""
    cells = rows(result)
    names = [name for name in names if name in cells[0]]
    table = layout.table(*(name if len(name) < 3 else name.capitalize() for name in names))
    if any(drawn):
        table.add_column(head, no_wrap=True)
    for row, cell in zip(cells, drawn, strict=True):
        table.add_row(*[row[name] for name in names], *([cell] if any(drawn) else []))
    return table


def _draw_bars(result: CompareResult, width: int) -> list[str]:
    times = [known_times(model, result) for model in result.models]
    medians = [each[0] if each else 0.0 for each in times]
    most = max(medians) or 1.0
    return [bar(median, most, width) for median in medians]


def bar(value: float, most: float, width: int) -> str:
    """A bar for `value`, in proportion to `width` characters for `most`; only 0 has no bar."""
    eighths = max(round(value / most * width * 8), int(value > 0))
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8]).strip()


def interval(middle: float, half_width: float, start: float, end: float, width: int) -> str:
    """`  ├──●──┤`: an interval on a scale from `start` to `end` that is `width` characters long."""

    def column(value: float) -> int:
        share = (value - start) / (end - start)
        return min(max(round(share * (width - 1)), 0), width - 1)

    left, right = column(middle - half_width), column(middle + half_width)
    cells = [" "] * left + ["─"] * (right - left + 1) + [" "] * (width - right - 1)
    cells[left], cells[right] = "├", "┤"
    cells[column(middle)] = "●"
    return "".join(cells)


def nice_scale(low: float, high: float) -> tuple[float, float, int]:
    """A range of round numbers that includes low and high, and their number of decimals."""
    span = high - low or 1.0
    step = 10.0 ** math.floor(math.log10(span))
    decimals = max(0, -round(math.log10(step)))
    start, end = math.floor(low / step), math.ceil(high / step)
    return start * step, max(end, start + 1) * step, decimals
