"""The pictures of a page, as data URIs, each with a description in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnist_cli.formatting import format_accuracy
from mnist_cli.report.pictures import charts
from mnist_cli.report.pictures.diagram import describe, draw_diagram
from mnist_cli.report.pictures.style import embed_figure, look
from mnist_cli.schema.comparison import CompareResult
from mnist_cli.schema.results import Stage

WIDTH, ROW, PANEL = 5, 0.45, 3.8  # inches: of all, and the heights of a row and of a panel


@dataclass(frozen=True)
class Picture:
    """A data URI, and what it shows."""

    source: str
    words: str


def accuracy_rows(result: CompareResult) -> Picture | None:
    """The accuracy of each network with its seeds, or with a target the time to it."""
    figure, axes = _make_axes()
    charts.draw_accuracies(axes, result)
    words = (
        f"{axes.get_xlabel().capitalize()}: a row for each network with a point for each seed, the "
        "mean and its bar, in figures in the tables below."
    )
    return _embed_rows(figure, axes, words)


def difference_rows(result: CompareResult) -> Picture | None:
    """The difference and its interval for each verdict."""
    figure, axes = _make_axes()
    charts.draw_differences(axes, result.verdicts)
    words = f"For each pair above, with its interval: {axes.get_xlabel()}."
    return _embed_rows(figure, axes, words)


def cost_panels(result: CompareResult) -> list[Picture]:
    """Accuracy against each cost; none with a target, or for one network."""
    pictures = []
    for cost in (charts.PARAMETERS, charts.MULT_ADDS, charts.TIME):
        points = charts.find_points(result, cost)
        if len(points) < 2 or result.target is not None:
            continue
        figure, axes = _make_axes()
        charts.draw_costs(axes, result, cost)
        figure.draw_without_rendering()
        charts.label_points(axes, points)
        models = result.models
        places = [
            f"{models[point.position].model}: {format_accuracy(point.figures.test_accuracy)}, "
            f"{point.cost[0]:,.4g}"
            for point in points
        ]
        words = f"Accuracy against {cost}. {'; '.join(places)}."
        if front := charts.find_front(result, points):
            names = ", ".join(models[place].model for place in sorted(p.position for p in front))
            words += f" No other network is both more accurate and cheaper than {names}."
        pictures.append(Picture(embed_figure(figure), words))
    return pictures


def curve_panels(result: CompareResult) -> list[Picture]:
    """Accuracy and losses by epoch: a curve for each seed, and the mean of each network."""
    pictures = []
    for quantity in charts.CURVES:
        curves = charts.find_curves(result, quantity)
        if not curves:
            continue
        figure, axes = _make_axes()
        charts.draw_curves(axes, result, quantity)
        axes.legend(frameon=False)
        words = []
        for position, its in curves.items():
            mean = charts.mean_curve(its)
            axes.plot(*zip(*mean, strict=True), linewidth=2.5, **look(position))
            name = result.models[position].model
            words.append(f"{name} from {mean[0][1]:.4g} to {mean[-1][1]:.4g}")
        label = axes.get_ylabel().capitalize()
        said = f"{label} by epoch, means over the seeds: {'; '.join(words)}."
        pictures.append(Picture(embed_figure(figure), said))
    return pictures


def diagrams(networks: Mapping[str, Sequence[Stage]]) -> dict[str, Picture]:
    """The diagram of each network."""
    return {
        name: Picture(embed_figure(draw_diagram(stages)), describe(name, stages))
        for name, stages in networks.items()
    }


def _make_axes() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, PANEL), layout="constrained")
    return figure, figure.subplots()


def _embed_rows(figure: Figure, axes: Axes, words: str) -> Picture | None:
    if not axes.containers:
        return None
    figure.set_figheight(ROW * (len(axes.containers) + 1.5))
    return Picture(embed_figure(figure), words)
