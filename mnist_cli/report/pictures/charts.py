"""The charts of a comparison, drawn into axes for the files of `--plot` and for the page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.transforms import Bbox

from mnist_cli.comparison.statistics import pareto
from mnist_cli.networks.registry import plain_name
from mnist_cli.report.pictures.style import (
    accuracy_ends,
    as_label,
    look,
    number_epochs,
    plain,
    point_label,
    reach,
    scale,
)
from mnist_cli.schema.comparison import Aggregate, CompareResult, Measure, Verdict
from mnist_cli.schema.results import EpochResult

Place = tuple[float, float]

PARAMETERS, MULT_ADDS, TIME = "parameters", "mult-adds", "training time (s)"
ACCURACY, LOSS, TRAINING_LOSS = "accuracy (%)", "loss (nats)", "training loss (nats)"
CURVES: dict[str, Callable[[EpochResult], float]] = {
    ACCURACY: lambda epoch: epoch.test_accuracy * 100,
    LOSS: lambda epoch: epoch.test_loss,
    TRAINING_LOSS: lambda epoch: epoch.train_loss,
}
# Possible offsets of a label from its point, in points to the right and up, the best first.
OFFSETS: tuple[tuple[int, int, Literal["left", "center", "right"]], ...] = (
    (8, -12, "left"),
    (-8, 6, "right"),
    (8, 6, "left"),
    (-8, -12, "right"),
    (0, 10, "center"),
    (0, -20, "center"),
)


@dataclass(frozen=True)
class Point:
    """A network in a chart of costs; `cost` is the median, the least and the most."""

    position: int
    name: str
    figures: Aggregate
    cost: tuple[float, float, float]

    @property
    def place(self) -> Place:
        """The median cost and the accuracy in percent."""
        return self.cost[0], self.figures.test_accuracy.mean * 100


def name_figure(figure: str, result: CompareResult) -> str:
    """A figure with the images it is about: `test accuracy (%)`, `validation loss (nats)`."""
    return figure if figure == TRAINING_LOSS else f"{result.dataset.evaluated_on} {figure}"


def draw_accuracies(axes: Axes, result: CompareResult) -> None:
    """A row for each network that did not fail: each seed, the mean and its bar.

    With a target they are the times to it, of the networks that always reached it.
    """
    for position, model in enumerate(result.models):
        figures = model.figures
        if not figures:
            continue
        if result.target is None:
            ends = accuracy_ends(figures)
            seeds = [run.test_accuracy * 100 for run in model.runs]
        elif figures.train_seconds and model.always_reached_target:
            mean, half = figures.train_seconds.mean, figures.train_seconds.half_width or 0
            ends = mean, mean - half, mean + half
            seeds = [run.train_seconds for run in model.runs]
        else:
            continue
        _draw_row(axes, position, point_label(model), ends, seeds)
    axes.set(xlabel=name_figure(ACCURACY, result) if result.target is None else TIME)
    _finish_rows(axes)


def draw_differences(axes: Axes, verdicts: Sequence[Verdict]) -> None:
    """A row for each verdict: how far the network that its sentence names first is ahead."""
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
    axes.set(xlabel=f"how far the first is ahead ({'s' if by_time else 'points'})")
    _finish_rows(axes)


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
        figures = point.figures
        mark(
            axes,
            point.position,
            [point.place],
            xerr=reach(point.cost) if cost == TIME else None,
            yerr=reach(accuracy_ends(figures)) if figures.test_accuracy.n > 1 else None,
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
    axes.set(xlabel=cost, ylabel=name_figure(ACCURACY, result))


def mark(axes: Axes, position: int, places: Sequence[Place], **options: Any) -> None:
    """Draw the places of the network at `position`, with error bars."""
    x, y = [x for x, _ in places], [y for _, y in places]
    axes.errorbar(x, y, capsize=4, markersize=7, **look(position), **options)


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


def find_curves(result: CompareResult, figure: str) -> dict[int, list[list[Place]]]:
    """For the position of each network that did not fail: (epoch, figure) of each of its runs."""
    curves: dict[int, list[list[Place]]] = {}
    for position, model in enumerate(result.models):
        histories = [run.history for run in model.runs if run.history and model.figures]
        if histories:
            curves[position] = [
                [(epoch.epoch, CURVES[figure](epoch)) for epoch in history] for history in histories
            ]
    return curves


def mean_curve(curves: Sequence[Sequence[Place]]) -> list[Place]:
    """The mean over the epochs that all curves have: a run may end early at a target."""
    return [(same[0][0], fmean(y for _, y in same)) for same in zip(*curves, strict=False)]


def draw_curves(axes: Axes, result: CompareResult, figure: str) -> None:
    """A figure by epoch, with a curve for each run."""
    for position, curves in find_curves(result, figure).items():
        for number, curve in enumerate(curves):
            axes.plot(
                *zip(*curve, strict=True),
                linewidth=1,
                markersize=4,
                alpha=0.7,
                **look(position),
                label=as_label(result.models[position].model) if number == 0 else None,
            )
    axes.set(ylabel=name_figure(figure, result))
    if figure != ACCURACY:
        scale(axes, "y")
    number_epochs(axes)
    plain(axes)


def _draw_row(
    axes: Axes,
    position: int,
    name: str,
    ends: tuple[float, float, float],
    seeds: Sequence[float] = (),
) -> None:
    """Draw a mean with the ends of its bar below the last row, and pale points for the seeds."""
    row = len(axes.containers)
    places = [row + (number * 0.618 % 1 - 0.5) * 0.4 for number in range(len(seeds))]
    axes.plot(seeds, places, "o", color=look(position)["color"], alpha=0.4, markersize=5)
    mark(axes, position, [(ends[0], row)], xerr=reach(ends))
    text = axes.text(0, row - 0.4, name, transform=axes.get_yaxis_transform())
    text.set_in_layout(False)


def _finish_rows(axes: Axes) -> None:
    axes.set(yticks=[], ylim=(len(axes.containers) - 0.5, -0.9))
    scale(axes)
    plain(axes)
    axes.spines["left"].set_visible(False)
