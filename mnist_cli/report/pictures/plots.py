"""Results as plots."""

from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from mnist_cli.report.pictures.curves import with_curves
from mnist_cli.report.pictures.files import save_figure
from mnist_cli.report.pictures.setting_plot import plot_setting, varied_number
from mnist_cli.report.pictures.style import (
    COLOURS,
    MARKERS,
    accuracy_bar,
    as_label,
    plain,
    point_label,
    scale,
    title,
)
from mnist_cli.schema.comparison import Aggregate, CompareResult
from mnist_cli.schema.results import TrainResult

# Where a label may stand beside its point, the best first: points to the right and up.
PLACES: tuple[tuple[int, int, Literal["left", "center", "right"]], ...] = (
    (8, -12, "left"),
    (-8, 6, "right"),
    (8, 6, "left"),
    (-8, -12, "right"),
    (0, 10, "center"),
    (0, -20, "center"),
)


def plot_comparison(path: Path, result: CompareResult) -> None:
    """Accuracy against parameters and training time, or over a setting that was varied in numbers.

    The axes are logarithmic where costs differ much. Bars are the 95 % interval of the accuracy and
    the range of the times; the grey line joins the networks that no other beats at their cost.
    Below are the epochs of each run.

    Raises:
        MnistCliError: the file cannot be written.
    """
    if setting := varied_number(result):
        plot_setting(path, result, setting)
        return
    rows = [
        (point_label(model), model.total_parameters, model.figures)
        for model in result.models
        if model.figures and model.total_parameters
    ]
    figure, (by_size, by_time) = with_curves(result)
    by_time.sharey(by_size)
    by_time.tick_params(labelleft=False)
    for position, (_, parameters, figures) in enumerate(rows):
        _point(by_size, position, parameters, figures)
        if figures.times:
            _point(by_time, position, figures.times[0], figures, figures.times[1:])
    _finish(by_size, [(p, f) for _, p, f in rows if f.pareto_parameters])
    _finish(by_time, [(f.times[0], f) for _, _, f in rows if f.times and f.pareto_seconds])
    by_size.set(xlabel="parameters", ylabel="test accuracy (%)")
    by_time.set(xlabel="training time (s)" if any(f.times for *_, f in rows) else "no times")
    figure.suptitle(title(result), fontsize="medium")
    figure.draw_without_rendering()  # only now is it known where everything lies
    _label(by_size, [(name, parameters, f.test_accuracy.mean) for name, parameters, f in rows])
    timed = [(name, f.times[0], f.test_accuracy.mean) for name, _, f in rows if f.times]
    _label(by_time, timed)
    save_figure(figure, path)


def plot_training(path: Path, result: TrainResult) -> None:
    """The learning curve: loss on training and test images, and test accuracy, by epoch.

    Raises:
        MnistCliError: the file cannot be written.
    """
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    losses, accuracies = figure.subplots(1, 2)
    epochs = [epoch.epoch for epoch in result.epochs]
    for label, values, marker, colour in (
        ("training, mean over the epoch", [e.train_loss for e in result.epochs], "o", COLOURS[0]),
        ("test, after the epoch", [e.test_loss for e in result.epochs], "s", COLOURS[1]),
    ):
        losses.plot(epochs, values, marker=marker, color=colour, label=label)
    losses.legend(frameon=False)
    losses.set(xlabel="epoch", ylabel="cross-entropy (nats)", ylim=(0, None))
    accuracies.plot(
        epochs, [e.test_accuracy * 100 for e in result.epochs], marker="s", color=COLOURS[1]
    )
    accuracies.set(xlabel="epoch", ylabel="test accuracy (%)")
    for axes in (losses, accuracies):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        plain(axes)
    figure.suptitle(
        as_label(f"{result.model} on {result.dataset.name}, seed {result.seed}"), fontsize="medium"
    )
    save_figure(figure, path)


def _point(
    axes: Axes,
    position: int,
    cost: float,
    figures: Aggregate,
    spread: tuple[float, float] | None = None,
) -> None:
    accuracy = figures.test_accuracy
    axes.errorbar(
        cost,
        accuracy.mean * 100,
        yerr=accuracy_bar(figures) if accuracy.n > 1 else None,
        xerr=[[cost - spread[0]], [spread[1] - cost]] if spread else None,
        capsize=4,
        markersize=7,
        linestyle="none",
        zorder=3,
        color=COLOURS[position % len(COLOURS)],
        marker=MARKERS[position % len(MARKERS)],
    )


def _label(axes: Axes, points: list[tuple[str, float, float]]) -> None:
    """Write each name beside its (name, cost, accuracy), over nothing else if there is room."""
    taken = []
    for container in axes.containers:
        assert isinstance(container, ErrorbarContainer)
        marker, _caps, bars = container.lines
        segments = [segment for bar in bars for segment in bar.get_segments()]
        taken += [Bbox(axes.transData.transform(segment)) for segment in segments]
        taken.append(marker.get_window_extent())
    for name, cost, accuracy in points:
        label = axes.annotate(name, (cost, accuracy * 100), (0, 0), textcoords="offset points")
        crossed = []
        for right, up, alignment in PLACES:
            label.set(position=(right, up), horizontalalignment=alignment)
            box = label.get_window_extent()
            outside = box.x0 < axes.bbox.x0 or box.x1 > axes.bbox.x1
            crossed.append(len(taken) * outside + box.count_overlaps(taken))
        right, up, alignment = PLACES[crossed.index(min(crossed))]
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
