"""Accuracy and time over a setting that was varied."""

from pathlib import Path

from matplotlib.axes import Axes

from mnist_cli.report.pictures.curves import with_curves
from mnist_cli.report.pictures.files import save_figure
from mnist_cli.report.pictures.style import (
    COLOURS,
    MARKERS,
    accuracy_bar,
    as_label,
    plain,
    scale,
    thin,
    title,
)
from mnist_cli.schema.comparison import Aggregate, CompareResult, ModelRuns

MOST_TICKS = 8  # more than so many values would be written over each other

Points = list[tuple[float, Aggregate]]


def varied_number(result: CompareResult) -> str | None:
    """The one setting that was varied, where its values are numbers."""
    rows = [model.varied for model in result.models]
    keys = {key for row in rows for key in row}
    if len(keys) != 1:
        return None
    [key] = keys
    numbers = {row[key] for row in rows if isinstance(row[key], int | float)}
    return key if len(numbers) > 1 else None


def plot_setting(path: Path, result: CompareResult, setting: str) -> None:
    """A line for each network; bars are the interval of the accuracy and the range of the times.

    Below, the epochs of each run.

    Raises:
        MnistCliError: the file cannot be written.
    """
    networks: dict[str, Points] = {}
    for model in result.models:
        if model.figures:
            place = (_number(model, setting), model.figures)
            networks.setdefault(model.network, []).append(place)
    figure, (accuracies, times) = with_curves(result)
    for position, (network, points) in enumerate(networks.items()):
        points.sort(key=lambda point: point[0])
        _line(accuracies, position, network, points, by_time=False)
        _line(times, position, network, points, by_time=True)
    accuracies.set(xlabel=as_label(setting), ylabel="test accuracy (%)")
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


def _line(axes: Axes, position: int, network: str, points: Points, *, by_time: bool) -> None:
    if by_time:
        points = [(value, figures) for value, figures in points if figures.times]
        times = [figures.times for _, figures in points if figures.times]
        heights = [median for median, _, _ in times]
        low = [median - least for median, least, _ in times]
        high = [most - median for median, _, most in times]
    else:
        heights = [figures.test_accuracy.mean * 100 for _, figures in points]
        reaches = [accuracy_bar(figures) for _, figures in points]
        low = [below for [below], _ in reaches]
        high = [above for _, [above] in reaches]
    axes.errorbar(
        [value for value, _ in points],
        heights,
        yerr=[low, high],
        capsize=4,
        markersize=7,
        color=COLOURS[position % len(COLOURS)],
        marker=MARKERS[position % len(MARKERS)],
        label=as_label(network),
    )


def _number(model: ModelRuns, setting: str) -> float:
    return float(model.varied[setting])
