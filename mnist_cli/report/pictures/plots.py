"""Results as plots: costs or a varied setting against accuracy, and learning curves."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnist_cli.report.pictures import charts
from mnist_cli.report.pictures.style import (
    COLOURS,
    accuracy_ends,
    as_label,
    number_epochs,
    plain,
    save_figure,
    scale,
    thin,
    title,
)
from mnist_cli.schema.comparison import Aggregate, CompareResult
from mnist_cli.schema.results import TrainResult

MOST_TICKS = 8  # more tick labels would overlap


def plot_comparison(path: Path, result: CompareResult) -> None:
    """Plot accuracy against parameters and training time, or against a varied number.

    Bars are the 95 % interval of the accuracy and the range of the times. Below are the epochs of
    each run. Raises MnistCliError if the file cannot be written.
    """
    if setting := varied_number(result):
        plot_setting(path, result, setting)
        return
    figure, (by_size, by_time) = _with_curves(result)
    by_time.sharey(by_size)
    by_time.tick_params(labelleft=False)
    charts.draw_costs(by_size, result, charts.PARAMETERS)
    charts.draw_costs(by_time, result, charts.TIME)
    timed = charts.find_points(result, charts.TIME)
    by_time.set(xlabel=charts.TIME if timed else "no times", ylabel="")
    figure.suptitle(title(result), fontsize="medium")
    figure.draw_without_rendering()  # computes the layout
    charts.label_points(by_size, charts.find_points(result, charts.PARAMETERS))
    charts.label_points(by_time, timed)
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


def plot_setting(path: Path, result: CompareResult, setting: str) -> None:
    """Plot each network over a setting, else as `plot_comparison`; raises MnistCliError as it."""
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
    accuracies.set(ylabel=charts.name_figure(charts.ACCURACY, result))
    times.set(ylabel=charts.TIME)
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
    axes: Axes,
    position: int,
    network: str,
    points: list[tuple[float, tuple[float, float, float]]],
) -> None:
    """Draw a line through points (value, (height, low end of its bar, high end))."""
    charts.mark(
        axes,
        position,
        [(value, height) for value, (height, _, _) in points],
        yerr=[
            [height - low for _, (height, low, _) in points],
            [high - height for _, (height, _, high) in points],
        ],
        label=as_label(network),
    )


def _with_curves(result: CompareResult) -> tuple[Figure, tuple[Axes, Axes]]:
    """Make a figure with two empty axes, above learning curves if runs have their epochs."""
    if not charts.find_curves(result, charts.ACCURACY):
        figure = Figure(figsize=(10, 4.5), layout="constrained")
        left, right = figure.subplots(1, 2)
    else:
        figure = Figure(figsize=(10, 9), layout="constrained")
        (left, right), (accuracies, losses) = figure.subplots(2, 2)
        charts.draw_curves(accuracies, result, charts.ACCURACY)
        accuracies.legend(frameon=False, loc="lower right")
        charts.draw_curves(losses, result, charts.LOSS)
    return figure, (left, right)
