"""What a person reads of several networks."""

from collections.abc import Iterable
from math import inf
from statistics import median

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mnist_cli.formatting import (
    format_accuracy,
    format_count,
    format_loss,
    format_loss_estimate,
    format_parameters,
    format_percent,
    format_seconds,
    format_seconds_range,
)
from mnist_cli.report import layout, phrases
from mnist_cli.report.conclusion import conclusion
from mnist_cli.report.text_bars import bar, interval, nice_scale
from mnist_cli.schema.comparison import Aggregate, CheckpointComparison, CompareResult, ModelRuns

INTERVAL_WIDTH = 24
BAR_WIDTH = 10
SHORT_BAR_WIDTH = 4  # beside more columns, within 80 characters


def comparison_tables(result: CompareResult) -> list[RenderableType]:
    """What was learned and what it cost, network by network; then the verdicts."""
    tables: list[RenderableType] = [_times(result)]
    if result.target is None:
        tables = [_accuracies(result), *phrases.accuracy_legend(result), _costs(result)]
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
    """A row for each checkpoint, a line for each pair, and the disputed images if asked for."""
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
    adjusted = f", times {pairs} for as many pairs" if pairs > 1 else ""
    parts: list[RenderableType] = [
        layout.title(layout.dataset_line(result.dataset)),
        table,
        *phrases.disagreements(result),
        "Intervals are for new images of this kind and hold together with 95 %; p is that of exact "
        f"McNemar tests on these images{adjusted}. Neither says anything about other seeds.",
    ]
    if drawn is not None:
        parts += ["", "Above an image: its label, and what each checkpoint takes it for.", drawn]
    return parts


def _accuracies(result: CompareResult) -> Table:
    figures = [model.figures.test_accuracy for model in result.models if model.figures]
    ends = [value.mean + side * (value.half_width or 0) for value in figures for side in (-1, 1)]
    ends = [min(max(end, 0), 1) for end in ends]  # a t interval may reach beyond 0 and 1
    low, high, digits = nice_scale(min(ends, default=0) * 100, max(ends, default=1) * 100)
    scale = f"{low:.{digits}f} to {high:.{digits}f} %"
    deviation = ["sd"] if result.settling else []
    table = layout.table("Network", "Accuracy", *deviation, "n", "Loss")
    if figures:
        table.add_column(scale, no_wrap=True)
    for model in result.models:
        if model.figures is None:
            state = "failed" if model.failure else "-"
            table.add_row(model.model, state, *["-" for _ in deviation], str(len(model.runs)), "-")
            continue
        value = model.figures.test_accuracy
        half = value.half_width or 0
        table.add_row(
            model.model,
            format_accuracy(value),
            *[format_percent(model.figures.accuracy_deviation) for _ in deviation],
            str(value.n),
            format_loss_estimate(model.figures.test_loss),
            interval(value.mean * 100, half * 100, low, high, INTERVAL_WIDTH),
        )
    return table


def _costs(result: CompareResult) -> Table:
    several = len(result.seeds) > 1
    table = layout.table(
        "Network", "Params", "Mult-adds", *_time_headers("Time", several), "Images/s"
    )
    most = _longest(model.figures for model in result.models)
    if most:
        table.add_column("", no_wrap=True)
    for model in result.models:
        figures = model.figures
        small, quick = (figures.pareto_parameters, figures.pareto_seconds) if figures else (0, 0)
        table.add_row(
            model.model,
            _starred(format_parameters(model.parameters, model.total_parameters), bool(small)),
            format_count(model.mult_adds),
            _starred(_median(figures), bool(quick)),
            *_range(figures, several),
            f"{figures.images_per_second:,.0f}" if figures and figures.images_per_second else "-",
            *_bar(figures, most, BAR_WIDTH),
        )
    return table


def _times(result: CompareResult) -> Table:
    """Those that reached the target in every run first, by their median time."""
    several = len(result.seeds) > 1
    table = layout.table(
        "Network", "Reached", *_time_headers("Time", several), "Epochs", "Params", "Mult-adds"
    )
    most = _longest(model.figures for model in result.models if model.always_reached_target)
    if most:
        table.add_column("", no_wrap=True)

    def order(model: ModelRuns) -> tuple[bool, float]:
        arrived = model.figures is not None and model.always_reached_target
        times = model.figures.times if model.figures else None
        return not arrived, times[0] if times else inf

    for model in sorted(result.models, key=order):
        figures = model.figures if model.always_reached_target else None
        table.add_row(
            model.model,
            "failed" if model.failure else phrases.reached(model),
            _median(figures),
            *_range(figures, several),
            f"{median(run.epochs for run in model.runs):g}" if figures else "-",
            format_parameters(model.parameters, model.total_parameters),
            format_count(model.mult_adds),
            *_bar(figures, most, SHORT_BAR_WIDTH),
        )
    return table


def _time_headers(name: str, several: bool) -> list[str]:
    return ["Median time", "(min-max)"] if several else [name]


def _median(figures: Aggregate | None) -> str:
    return format_seconds(figures.times[0]) if figures and figures.times else "-"


def _range(figures: Aggregate | None, several: bool) -> list[str]:
    if not several:
        return []
    times = figures.times if figures else None
    return [format_seconds_range(*times[1:]) if times else "-"]


def _longest(figures: Iterable[Aggregate | None]) -> float:
    return max((each.times[0] for each in figures if each and each.times), default=0.0)


def _bar(figures: Aggregate | None, most: float, width: int) -> list[str]:
    """The cell of a bar; none where no network has one, as an empty column takes room."""
    if not most:
        return []
    times = figures.times if figures else None
    return [bar(times[0], most, width) if times else ""]


def _starred(text: str, star: bool) -> Text:
    return Text(f"{text}*", "bold") if star else Text(f"{text} ")
