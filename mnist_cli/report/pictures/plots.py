"""Results as plots: costs or a varied setting against accuracy, and learning curves."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import Bbox

from mnist_cli.report.pictures.style import (
    COLOURS,
    accuracy_bar,
    accuracy_ends,
    as_label,
    look,
    plain,
    point_label,
    save_figure,
    scale,
    thin,
    title,
)
from mnist_cli.report.pictures.widths import join_widths
from mnist_cli.schema.comparison import Aggregate, CompareResult
from mnist_cli.schema.results import TrainResult

MOST_TICKS = 8  # more tick labels would overlap
# Possible offsets of a label from its point, in points to the right and up, the best first.
OFFSETS: tuple[tuple[int, int, Literal["left", "center", "right"]], ...] = (
    (8, -12, "left"),
    (-8, 6, "right"),
    (8, 6, "left"),
    (-8, -12, "right"),
    (0, 10, "center"),
    (0, -20, "center"),
)


def plot_comparison(path: Path, result: CompareResult) -> None:
    """Plot accuracy against parameters and training time, or against a varied number.

    Axes are logarithmic if costs differ much. Bars are the 95 % interval of the accuracy and the
    range of the times; the grey line is the Pareto front, and a coloured one joins the sizes of one
    network. Below are the epochs of each run. Raises MnistCliError if the file cannot be written.
    """
    if setting := varied_number(result):
        plot_setting(path, result, setting)
        return
    rows = [
        (position, model.total_parameters, model.figures)
        for position, model in enumerate(result.models)
        if model.figures and model.total_parameters
    ]
    figure, (by_size, by_time) = with_curves(result)
    by_time.sharey(by_size)
    by_time.tick_params(labelleft=False)
    for position, parameters, figures in rows:
        _draw_point(by_size, position, parameters, figures)
        if figures.times:
            _draw_point(by_time, position, figures.times[0], figures, figures.times[1:])
    for first, places in join_widths(result):
        by_size.plot(*zip(*places, strict=True), color=look(first)["color"], linewidth=1)
    _finish(by_size, [(p, f) for _, p, f in rows if f.pareto_parameters])
    _finish(by_time, [(f.times[0], f) for _, _, f in rows if f.times and f.pareto_seconds])
    by_size.set(xlabel="parameters", ylabel=f"{result.dataset.evaluated_on} accuracy (%)")
    by_time.set(xlabel="training time (s)" if any(f.times for *_, f in rows) else "no times")
    figure.suptitle(title(result), fontsize="medium")
    figure.draw_without_rendering()  # computes the layout
    names = list(map(point_label, result.models))
    sized = [(names[at], size, f.test_accuracy.mean) for at, size, f in rows]
    _draw_labels(by_size, sized)
    timed = [(names[at], f.times[0], f.test_accuracy.mean) for at, _, f in rows if f.times]
    _draw_labels(by_time, timed)
    save_figure(figure, path)


def plot_training(path: Path, result: TrainResult) -> None:
    """Plot losses and accuracy by epoch; raises MnistCliError if `path` cannot be written."""
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    losses, accuracies = figure.subplots(1, 2)
    epochs = [epoch.epoch for epoch in result.epochs]
    for label, values, marker, colour in (
        ("training, mean over the epoch", [e.train_loss for e in result.epochs], "o", COLOURS[0]),
        (
            f"{result.dataset.evaluated_on}, after the epoch",
            [e.test_loss for e in result.epochs],
            "s",
            COLOURS[1],
        ),
    ):
        losses.plot(epochs, values, marker=marker, color=colour, label=label)
    losses.legend(frameon=False)
    losses.set(xlabel="epoch", ylabel="cross-entropy (nats)", ylim=(0, None))
    accuracies.plot(
        epochs, [e.test_accuracy * 100 for e in result.epochs], marker="s", color=COLOURS[1]
    )
    accuracies.set(xlabel="epoch", ylabel=f"{result.dataset.evaluated_on} accuracy (%)")
    for axes in (losses, accuracies):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        plain(axes)
    figure.suptitle(
        as_label(f"{result.model} on {result.dataset.name}, seed {result.seed}"), fontsize="medium"
    )
    save_figure(figure, path)


def _draw_point(
    axes: Axes,
    position: int,
    cost: float,
    figures: Aggregate,
    spread: tuple[float, float] | None = None,
) -> None:
    _draw_marks(
        axes,
        position,
        [(cost, figures.test_accuracy.mean * 100)],
        xerr=[[cost - spread[0]], [spread[1] - cost]] if spread else None,
        yerr=accuracy_bar(figures) if figures.test_accuracy.n > 1 else None,
        linestyle="none",
        zorder=3,
    )


def _draw_marks(
    axes: Axes, position: int, places: Sequence[tuple[float, float]], **options: Any
) -> None:
    """Draw the places of the network at `position`, with error bars."""
    x, y = [x for x, _ in places], [y for _, y in places]
    axes.errorbar(x, y, capsize=4, markersize=7, **look(position), **options)


def _draw_labels(axes: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Write the name of each (name, cost, accuracy) beside its point, where it covers least."""
    taken = [legend.get_window_extent()] if (legend := axes.get_legend()) else []
    for container in axes.containers:
        assert isinstance(container, ErrorbarContainer)
        marker, _caps, bars = container.lines
        segments = [segment for bar in bars for segment in bar.get_segments()]
        taken += [Bbox(axes.transData.transform(segment)) for segment in segments]
        taken.append(marker.get_window_extent())
    for name, cost, accuracy in points:
        label = axes.annotate(name, (cost, accuracy * 100), (0, 0), textcoords="offset points")
        overlaps = []
        for right, up, alignment in OFFSETS:
            label.set(position=(right, up), horizontalalignment=alignment)
            box = label.get_window_extent()
            outside = box.x0 < axes.bbox.x0 or box.x1 > axes.bbox.x1
            overlaps.append(len(taken) * outside + box.count_overlaps(taken))
        right, up, alignment = OFFSETS[overlaps.index(min(overlaps))]
        label.set(position=(right, up), horizontalalignment=alignment)
        taken.append(label.get_window_extent())


def _finish(axes: Axes, points: list[tuple[float, Aggregate]]) -> None:
    points.sort(key=lambda point: point[0])
    axes.plot(
        [cost for cost, _ in points],
        [figures.test_accuracy.mean * 100 for _, figures in points],
        color="0.6",
        linestyle="--",
        zorder=1,
        label="Pareto-optimal by these figures",
    )
    axes.margins(x=0.18, y=0.1)
    scale(axes)
    plain(axes)
    if len(points) > 1:
        axes.legend(frameon=False, loc="lower right")


def varied_number(result: CompareResult) -> str | None:
    """The varied setting, if it is the only one and its values are numbers."""
    rows = [model.varied for model in result.models]
    keys = {key for row in rows for key in row}
    if len(keys) != 1:
        return None
    [key] = keys
    numbers = {row[key] for row in rows if isinstance(row[key], int | float)}
    return key if len(numbers) > 1 else None


def plot_setting(path: Path, result: CompareResult, setting: str) -> None:
    """Plot each network over a setting, else as `plot_comparison`; raises MnistCliError as it."""
    networks: dict[str, list[tuple[float, Aggregate]]] = {}
    for model in result.models:
        if model.figures:
            place = (float(model.varied[setting]), model.figures)
            networks.setdefault(model.network, []).append(place)
    figure, (accuracies, times) = with_curves(result)
    for position, (network, points) in enumerate(networks.items()):
        points.sort(key=lambda point: point[0])
        _draw_line(accuracies, position, network, [(x, accuracy_ends(f)) for x, f in points])
        _draw_line(times, position, network, [(x, f.times) for x, f in points if f.times])
    accuracies.set(xlabel=as_label(setting), ylabel=f"{result.dataset.evaluated_on} accuracy (%)")
    times.set(xlabel=as_label(setting), ylabel="training time (s)")
    values = sorted({value for points in networks.values() for value, _ in points})
    for axes in (accuracies, times):
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
    axes: Axes,
    position: int,
    network: str,
    points: Sequence[tuple[float, tuple[float, float, float]]],
) -> None:
    """Draw a line through points (value, (height, low end of its bar, high end))."""
    _draw_marks(
        axes,
        position,
        [(value, height) for value, (height, _, _) in points],
        yerr=[
            [height - low for _, (height, low, _) in points],
            [high - height for _, (height, _, high) in points],
        ],
        label=as_label(network),
    )


def with_curves(result: CompareResult) -> tuple[Figure, tuple[Axes, Axes]]:
    """Make a figure with two empty axes, above learning curves if runs have their epochs."""
    if not any(run.history for model in result.models for run in model.runs):
        figure = Figure(figsize=(10, 4.5), layout="constrained")
        left, right = figure.subplots(1, 2)
    else:
        figure = Figure(figsize=(10, 9), layout="constrained")
        (left, right), (accuracies, losses) = figure.subplots(2, 2)
        _draw_curves(accuracies, losses, result)
    return figure, (left, right)


def _draw_curves(accuracies: Axes, losses: Axes, result: CompareResult) -> None:
    for position, model in enumerate(result.models):
        for run in model.runs:
            epochs = [epoch.epoch for epoch in run.history]
            for axes, values in (
                (accuracies, [epoch.test_accuracy * 100 for epoch in run.history]),
                (losses, [epoch.test_loss for epoch in run.history]),
            ):
                axes.plot(
                    epochs,
                    values,
                    linewidth=1,
                    markersize=4,
                    alpha=0.7,
                    **look(position),
                    label=as_label(model.model) if run is model.runs[0] else None,
                )
    accuracies.set(xlabel="epoch", ylabel=f"{result.dataset.evaluated_on} accuracy (%)")
    accuracies.legend(frameon=False, loc="lower right")
    losses.set(xlabel="epoch", ylabel=f"{result.dataset.evaluated_on} loss (nats)", yscale="log")
    losses.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    losses.yaxis.set_major_formatter("{x:g}")
    losses.yaxis.set_minor_formatter(NullFormatter())
    for axes in (accuracies, losses):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        plain(axes)
