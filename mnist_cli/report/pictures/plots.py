"""Results as plots: costs or a varied setting against accuracy, and learning curves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from mnist_cli.comparison.statistics import pareto
from mnist_cli.networks.registry import plain_name
from mnist_cli.report.pictures.style import (
    COLOURS,
    accuracy_ends,
    as_label,
    look,
    number_epochs,
    plain,
    point_label,
    save_figure,
    scale,
    thin,
    title,
)
from mnist_cli.schema.comparison import Aggregate, CompareResult
from mnist_cli.schema.results import EpochResult, TrainResult

Place = tuple[float, float]
Ends = tuple[float, float, float]  # a value, and the low and the high end of its bar

MOST_TICKS = 8  # more tick labels would overlap
COSTS = PARAMETERS, MULT_ADDS, TIME = "parameters", "mult-adds", "training time (s)"
ACCURACY, LOSS, TRAINING_LOSS = "accuracy (%)", "loss (nats)", "training loss (nats)"
CURVES: dict[str, Callable[[EpochResult], float]] = {
    ACCURACY: lambda epoch: epoch.test_accuracy * 100,
    LOSS: lambda epoch: epoch.test_loss,
    TRAINING_LOSS: lambda epoch: epoch.train_loss,
}
# Possible offsets of a label from its point, in points to the right and up, the best first.
NEAR: tuple[tuple[int, int, Literal["left", "center", "right"]], ...] = (
    (8, -12, "left"),
    (-8, 6, "right"),
    (8, 6, "left"),
    (-8, -12, "right"),
    (0, 10, "center"),
    (0, -20, "center"),
)
OFFSETS = [*NEAR, *((right, up + (18 if up > 0 else -18), side) for right, up, side in NEAR)]


@dataclass(frozen=True)
class Point:
    """A network in a chart of costs; `cost` is the median, the least and the most."""

    position: int
    name: str
    figures: Aggregate
    cost: Ends

    @property
    def place(self) -> Place:
        """The median cost and the accuracy in percent."""
        return self.cost[0], self.figures.test_accuracy.mean * 100


def plot_comparison(path: Path, result: CompareResult) -> None:
    """Plot accuracy against parameters and training time, or against a varied number.

    Bars are the 95 % interval of the accuracy and the range of the times. Below are the epochs of
    each run. Raises MnistCliError if the file cannot be written.
    """
    if setting := varied_number(result):
        _plot_setting(path, result, setting)
        return
    figure, (by_size, by_time) = _with_curves(result)
    by_time.sharey(by_size)
    by_time.tick_params(labelleft=False)
    draw_costs(by_size, result, PARAMETERS)
    draw_costs(by_time, result, TIME)
    timed = find_points(result, TIME)
    by_time.set(xlabel=TIME if timed else "no times", ylabel="")
    figure.suptitle(title(result), fontsize="medium")
    figure.draw_without_rendering()  # computes the layout
    label_points(by_size, find_points(result, PARAMETERS))
    label_points(by_time, timed)
    save_figure(figure, path)


def plot_training(path: Path, result: TrainResult) -> None:
    """Plot losses and accuracy by epoch; raises MnistCliError if `path` cannot be written."""
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    losses, accuracies = figure.subplots(1, 2)
    epochs = [epoch.epoch for epoch in result.epochs]
    evaluated_on = result.dataset.evaluated_on
    for label, values, marker, colour in (
        ("training, mean over the epoch", [e.train_loss for e in result.epochs], "o", COLOURS[0]),
        (f"{evaluated_on}, after the epoch", [e.test_loss for e in result.epochs], "s", COLOURS[1]),
    ):
        losses.plot(epochs, values, marker=marker, color=colour, label=label)
    losses.legend(frameon=False)
    losses.set(ylabel="cross-entropy (nats)", ylim=(0, None))
    accuracies.plot(
        epochs, [e.test_accuracy * 100 for e in result.epochs], marker="s", color=COLOURS[1]
    )
    accuracies.set(ylabel=f"{evaluated_on} accuracy (%)")
    for axes in (losses, accuracies):
        number_epochs(axes)
        plain(axes)
    figure.suptitle(
        as_label(f"{result.model} on {result.dataset.name}, seed {result.seed}"), fontsize="medium"
    )
    save_figure(figure, path)


def varied_number(result: CompareResult) -> str | None:
    """The varied setting, if it is the only one and its values are numbers."""
    rows = [model.varied for model in result.models]
    keys = {key for row in rows for key in row}
    if len(keys) != 1:
        return None
    [key] = keys
    numbers = {row[key] for row in rows if isinstance(row[key], int | float)}
    return key if len(numbers) > 1 else None


def _plot_setting(path: Path, result: CompareResult, setting: str) -> None:
    """Plot accuracy and time of each network over a setting."""
    networks: dict[str, list[tuple[float, Aggregate]]] = {}
    for model in result.models:
        if model.figures:
            place = (float(model.varied[setting]), model.figures)
            networks.setdefault(model.network, []).append(place)
    figure, (accuracies, times) = _with_curves(result)
    for position, (network, points) in enumerate(networks.items()):
        points.sort(key=lambda point: point[0])
        _draw_line(accuracies, position, network, [(x, accuracy_ends(f)) for x, f in points])
        _draw_line(times, position, network, [(x, f.times) for x, f in points if f.times])
    accuracies.set(ylabel=name_quantity(ACCURACY, result))
    times.set(ylabel=TIME)
    values = sorted({value for points in networks.values() for value, _ in points})
    for axes in (accuracies, times):
        axes.set(xlabel=as_label(setting))
        scale(axes)
        if len(values) <= MOST_TICKS:
            axes.set_xticks(values)
        plain(axes)
        axes.legend(frameon=False)
    figure.suptitle(title(result), fontsize="medium")
    figure.draw_without_rendering()
    thin(accuracies)
    thin(times)
    save_figure(figure, path)


def _draw_line(
    axes: Axes, position: int, network: str, points: Sequence[tuple[float, Ends]]
) -> None:
    x, heights = [value for value, _ in points], [ends for _, ends in points]
    y = [height for height, _, _ in heights]
    mark(axes, position, x, y, yerr=reach(heights), label=as_label(network))


def _with_curves(result: CompareResult) -> tuple[Figure, tuple[Axes, Axes]]:
    """Make a figure with two empty axes, above learning curves if runs have their epochs."""
    rows = 2 if find_curves(result, ACCURACY) else 1
    figure = Figure(figsize=(10, 4.5 * rows), layout="constrained")
    [(left, right), *below] = figure.subplots(rows, 2, squeeze=False)
    for accuracies, losses in below:
        draw_curves(accuracies, result, ACCURACY)
        accuracies.legend(frameon=False, loc="lower right")
        draw_curves(losses, result, LOSS)
    return figure, (left, right)


def name_quantity(quantity: str, result: CompareResult) -> str:
    """A quantity with the images it is about: `test accuracy (%)`, `validation loss (nats)`."""
    return quantity if quantity == TRAINING_LOSS else f"{result.dataset.evaluated_on} {quantity}"


def find_points(result: CompareResult, cost: str) -> list[Point]:
    """The networks whose accuracy and cost are known."""
    points = []
    for position, model in enumerate(result.models):
        figures = model.figures
        if not figures:
            continue
        size = model.total_parameters if cost == PARAMETERS else model.mult_adds
        known = figures.times if cost == TIME else size and (size, size, size)
        if known:
            points.append(Point(position, point_label(model), figures, known))
    return points


def find_front(result: CompareResult, points: Sequence[Point]) -> list[Point]:
    """The Pareto-optimal points by cost; none with a target or if one network has no point."""
    is_whole = len(points) == sum(model.figures is not None for model in result.models)
    if result.target is not None or not is_whole or len(points) < 2:
        return []
    best = pareto([(point.figures.test_accuracy.mean, point.cost[0]) for point in points])
    front = [point for point, is_best in zip(points, best, strict=True) if is_best]
    return sorted(front, key=lambda point: point.cost[0])


def join_widths(result: CompareResult) -> list[tuple[int, list[Place]]]:
    """The curve of each network that a comparison has in several sizes.

    These are rows that differ only in arguments, such as `mlp` and `mlp(hidden=128)`. A curve is
    the position of its first row, and (parameters, accuracy in percent) in the order of parameters.
    """
    curves: dict[tuple[object, ...], tuple[int, list[Place]]] = {}
    for point in find_points(result, PARAMETERS):
        model = result.models[point.position]
        network = plain_name(model.network or model.model), *model.varied.items()
        curves.setdefault(network, (point.position, []))[1].append(point.place)
    joined = [(first, sorted(places)) for first, places in curves.values()]
    return [(first, places) for first, places in joined if places[0][0] < places[-1][0]]


def draw_costs(axes: Axes, result: CompareResult, cost: str) -> None:
    """Accuracy against a cost, with bars; logarithmic if the costs differ much.

    A dashed line is the Pareto front, and a coloured one joins the sizes of one network.
    """
    points = find_points(result, cost)
    for point in points:
        figures, (x, y) = point.figures, point.place
        mark(
            axes,
            point.position,
            [x],
            [y],
            xerr=reach([point.cost]) if cost == TIME else None,
            yerr=reach([accuracy_ends(figures)]) if figures.test_accuracy.n > 1 else None,
            linestyle="none",
            zorder=3,
        )
    for first, places in join_widths(result) if cost == PARAMETERS else []:
        axes.plot(*zip(*places, strict=True), color=look(first)["color"], linewidth=1)
    front = [point.place for point in find_front(result, points)]
    axes.plot(
        [x for x, _ in front],
        [y for _, y in front],
        color="0.6",
        linestyle="--",
        zorder=1,
        label="Pareto-optimal by these figures",
    )
    axes.margins(x=0.18, y=0.1)
    scale(axes)
    plain(axes)
    if len(front) > 1:
        axes.legend(frameon=False, loc="lower right")
    axes.set(xlabel=cost, ylabel=name_quantity(ACCURACY, result))


def mark(axes: Axes, position: int, x: Sequence[float], y: Sequence[float], **options: Any) -> None:
    """Draw points of the network at `position`, with error bars."""
    axes.errorbar(x, y, capsize=4, markersize=7, **look(position), **options)


def reach(bars: Sequence[Ends]) -> list[list[float]]:
    """How far bars reach down and up from their values."""
    return [[value - low for value, low, _ in bars], [high - value for value, _, high in bars]]


def label_points(axes: Axes, points: Sequence[Point]) -> None:
    """Write the name of each point beside it, where it covers least; the layout must be known."""
    taken = [legend.get_window_extent()] if (legend := axes.get_legend()) else []
    for container in axes.containers:
        assert isinstance(container, ErrorbarContainer)
        marker, _caps, bars = container.lines
        segments = [segment for bar in bars for segment in bar.get_segments()]
        taken += [Bbox(axes.transData.transform(segment)) for segment in segments]
        taken.append(marker.get_window_extent())
    for point in points:
        label = axes.annotate(point.name, point.place, (0, 0), textcoords="offset points")
        overlaps = []
        for right, up, alignment in OFFSETS:
            label.set(position=(right, up), horizontalalignment=alignment)
            box = label.get_window_extent()
            outside = box.x0 < axes.bbox.x0 or box.x1 > axes.bbox.x1
            overlaps.append(len(taken) * outside + box.count_overlaps(taken))
        right, up, alignment = OFFSETS[overlaps.index(min(overlaps))]
        label.set(position=(right, up), horizontalalignment=alignment)
        taken.append(label.get_window_extent())


def find_curves(result: CompareResult, quantity: str) -> dict[int, list[list[Place]]]:
    """For the position of each network that did not fail: (epoch, quantity) of each of its runs."""
    value = CURVES[quantity]
    curves: dict[int, list[list[Place]]] = {}
    for position, model in enumerate(result.models):
        histories = [run.history for run in model.runs if run.history and model.figures]
        if histories:
            curves[position] = [[(e.epoch, value(e)) for e in history] for history in histories]
    return curves


def draw_curves(axes: Axes, result: CompareResult, quantity: str) -> None:
    """A quantity by epoch, with a curve for each run."""
    for position, curves in find_curves(result, quantity).items():
        for number, curve in enumerate(curves):
            axes.plot(
                *zip(*curve, strict=True),
                linewidth=1,
                markersize=4,
                alpha=0.7,
                **look(position),
                label=as_label(result.models[position].model) if number == 0 else None,
            )
    axes.set(ylabel=name_quantity(quantity, result))
    if quantity != ACCURACY:
        scale(axes, "y")
    number_epochs(axes)
    plain(axes)
