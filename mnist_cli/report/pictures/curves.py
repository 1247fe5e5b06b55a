"""What networks made of test and training images, epoch by epoch."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from mnist_cli.report.pictures.style import COLOURS, MARKERS, as_label, plain
from mnist_cli.schema.comparison import CompareResult


def with_curves(result: CompareResult) -> tuple[Figure, tuple[Axes, Axes]]:
    """A figure with two empty axes above the learning curves, where any run knows its epochs."""
    if not any(run.history for model in result.models for run in model.runs):
        figure = Figure(figsize=(10, 4.5), layout="constrained")
        left, right = figure.subplots(1, 2)
    else:
        figure = Figure(figsize=(10, 9), layout="constrained")
        (left, right), (accuracies, losses) = figure.subplots(2, 2)
        _draw(accuracies, losses, result)
    return figure, (left, right)


def _draw(accuracies: Axes, losses: Axes, result: CompareResult) -> None:
    """A line for each run, its network told by marker and colour as in the other plots."""
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
                    color=COLOURS[position % len(COLOURS)],
                    marker=MARKERS[position % len(MARKERS)],
                    label=as_label(model.model) if run is model.runs[0] else None,
                )
    accuracies.set(xlabel="epoch", ylabel="test accuracy (%)")
    accuracies.legend(frameon=False, loc="lower right")
    losses.set(xlabel="epoch", ylabel="test loss (nats)", yscale="log")
    losses.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    losses.yaxis.set_major_formatter("{x:g}")
    losses.yaxis.set_minor_formatter(NullFormatter())
    for axes in (accuracies, losses):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        plain(axes)
