"""The charts of a page, as data URIs, each with a description in words."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnist_cli.formatting import format_percent
from mnist_cli.report.pictures import plots
from mnist_cli.report.pictures.diagram import describe, draw_diagram
from mnist_cli.report.pictures.style import (
    accuracy_ends,
    as_label,
    embed_figure,
    look,
    plain,
    point_label,
    scale,
)
from mnist_cli.schema.comparison import CompareResult, Measure, Verdict
from mnist_cli.schema.results import Stage

WIDTH, HEIGHT, ROW, LINE = 5, 3.8, 0.2, 0.18  # inches
MOST_LETTERS = 24  # in a line of the name of a row


@dataclass(frozen=True)
class Picture:
    """A data URI, and what it shows."""

    source: str
    words: str


def draw_all(result: CompareResult, stages: Mapping[str, Sequence[Stage]]) -> dict[str, Any]:
    """The pictures of a page by their names in its template."""
    costs = (_draw(draw_costs, result, cost) for cost in plots.COSTS)
    curves = (_draw(draw_curves, result, quantity) for quantity in plots.CURVES)
    return {
        "accuracies": _draw(draw_accuracies, result),
        "differences": _draw(draw_differences, result.verdicts),
        "costs": [picture for picture in costs if picture],
        "curves": [picture for picture in curves if picture],
        "diagrams": {
            name: Picture(embed_figure(draw_diagram(its)), describe(name, its))
            for name, its in stages.items()
        },
    }


def _draw(chart: Callable[..., str], *data: Any) -> Picture | None:
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    words = chart(figure, *data)
    return Picture(embed_figure(figure), words) if words else None


# Each function draws a chart and describes it; the description is empty if there is no data.


def draw_accuracies(figure: Figure, result: CompareResult) -> str:
    """A row for each network that did not fail: each seed, the mean and its bar.

    With a target they are the times to it, of the networks that always reached it.
    """
    axes = figure.subplots()
    for position, model in enumerate(result.models):
        figures = model.figures
        if figures and result.target is None:
            seeds = [run.test_accuracy * 100 for run in model.runs]
            _draw_row(axes, position, point_label(model), accuracy_ends(figures), seeds)
        elif figures and figures.train_seconds and model.always_reached_target:
            mean, half = figures.train_seconds.mean, figures.train_seconds.half_width or 0
            seeds = [run.train_seconds for run in model.runs]
            _draw_row(axes, position, point_label(model), (mean, mean - half, mean + half), seeds)
    accuracy = plots.name_quantity(plots.ACCURACY, result)
    label = plots.TIME if result.target is not None else accuracy
    _finish_rows(figure, axes, label)
    if not axes.containers:
        return ""
    return (
        f"{label.capitalize()}: a row for each network with a point for each seed, the mean and "
        "its bar, in figures in the tables below."
    )


def draw_differences(figure: Figure, verdicts: Sequence[Verdict]) -> str:
    """A row for each verdict: how far the network that its sentence names first is ahead."""
    axes = figure.subplots()
    by_time = any(verdict.measure == Measure.TRAIN_SECONDS for verdict in verdicts)
    for verdict in verdicts:
        names = [verdict.first, verdict.second]
        mean = -verdict.difference.mean if by_time else verdict.difference.mean * 100
        if verdict.better == verdict.second:
            names.reverse()
            mean = -mean
        half = (verdict.difference.half_width or 0) * (1 if by_time else 100)
        name = " and ".join(map(as_label, names))
        _draw_row(axes, 0, name, (mean, mean - half, mean + half))
    axes.plot((0, 0), (-1, len(verdicts)), color="0.4", linewidth=1)
    label = f"how far the first is ahead ({'s' if by_time else 'points'})"
    _finish_rows(figure, axes, label)
    return f"For each pair of the verdicts, with its interval: {label}." if verdicts else ""


def draw_costs(figure: Figure, result: CompareResult, cost: str) -> str:
    """Accuracy against a cost, as in `--plot`; nothing with a target, or for one network."""
    points = plots.find_points(result, cost)
    if len(points) < 2 or result.target is not None:
        return ""
    axes = figure.subplots()
    plots.draw_costs(axes, result, cost)
    figure.draw_without_rendering()
    plots.label_points(axes, points)
    models = result.models
    places = [
        f"{models[point.position].model}: {format_percent(point.figures.test_accuracy)}, "
        f"{point.cost[0]:,.4g}"
        for point in points
    ]
    words = f"Accuracy against {cost}. {'; '.join(places)}."
    if front := plots.find_front(result, points):
        best = ", ".join(models[point.position].model for point in points if point in front)
        words += f" No other network is both more accurate and cheaper than {best}."
    return words


def draw_curves(figure: Figure, result: CompareResult, quantity: str) -> str:
    """A quantity by epoch, as in `--plot`, and its mean over the seeds of each network."""
    axes = figure.subplots()
    plots.draw_curves(axes, result, quantity)
    words = []
    for position, curves in plots.find_curves(result, quantity).items():
        # Over the epochs that all seeds have, because a run may end early at a target.
        mean = [(same[0][0], fmean(y for _, y in same)) for same in zip(*curves, strict=False)]
        axes.plot(*zip(*mean, strict=True), linewidth=2.5, **look(position))
        name = result.models[position].model
        words.append(f"{name} from {mean[0][1]:.4g} to {mean[-1][1]:.4g}")
    if not words:
        return ""
    axes.legend(frameon=False)
    label = plots.name_quantity(quantity, result).capitalize()
    return f"{label} by epoch, means over the seeds: {'; '.join(words)}."


def _draw_row(
    axes: Axes, position: int, name: str, ends: plots.Ends, seeds: Sequence[float] = ()
) -> None:
    """Draw a mean and its bar below the last row, with a pale point for each seed."""
    row = len(axes.containers)
    places = [row + (number * 0.618 % 1 - 0.5) * 0.4 for number in range(len(seeds))]
    axes.plot(seeds, places, "o", color=look(position)["color"], alpha=0.4, markersize=5)
    plots.mark(axes, position, [ends[0]], [row], xerr=plots.reach([ends]), label=name)


def _finish_rows(figure: Figure, axes: Axes, label: str) -> None:
    names = [textwrap.fill(str(each.get_label()), MOST_LETTERS) for each in axes.containers]
    rows, lines = len(names), max((name.count("\n") for name in names), default=0) + 1
    axes.set(xlabel=label, ylim=(rows - 0.4, -0.6))
    axes.set_yticks(range(rows), names)
    axes.tick_params("y", length=0)
    scale(axes)
    plain(axes)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    figure.set_figheight((ROW + LINE * lines) * rows + 0.6)
