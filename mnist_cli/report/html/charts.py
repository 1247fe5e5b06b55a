"""The charts of a report as values and axes. The page draws them in percent of its width."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from mnist_cli.comparison.statistics import pareto
from mnist_cli.formatting import format_percent
from mnist_cli.report.pictures.style import accuracy_ends, is_logarithmic, tick_locator, tick_text
from mnist_cli.report.pictures.widths import join_widths
from mnist_cli.schema.comparison import CompareResult, Measure, Verdict
from mnist_cli.schema.results import EpochResult

ACCURACY, TIME = "accuracy (%)", "training time (s)"
LOSS = "loss"
CURVES: dict[str, Callable[[EpochResult], float]] = {
    ACCURACY: lambda epoch: epoch.test_accuracy * 100,
    LOSS: lambda epoch: epoch.test_loss,
    "training loss": lambda epoch: epoch.train_loss,
}
MARGIN = 0.07  # of an axis, at both of its ends

Place = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """A scale from `low` to `high`, logarithmic or not; ticks are (percent, text)."""

    label: str
    low: float
    high: float
    logarithmic: bool
    ticks: tuple[tuple[float, str], ...] = ()

    def at(self, value: float) -> float:
        """Where `value` lies between the ends, in percent."""
        ends = self.low, self.high
        low, high, here = map(math.log10, (*ends, value)) if self.logarithmic else (*ends, value)
        return round(100 * (here - low) / (high - low), 2)


@dataclass(frozen=True)
class Strip:
    """A row of a chart: a mean, its interval, and the values of all seeds."""

    mean: float
    low: float
    high: float
    seeds: Sequence[float] = ()


@dataclass(frozen=True)
class Line:
    """A line through points: a seed's, a network's mean or sizes, or the Pareto front."""

    kind: Literal["seed", "mean", "sizes", "front"]
    network: int
    places: Sequence[Place]


@dataclass(frozen=True)
class Panel:
    """A chart with two axes, a description in words, and error bars."""

    x: Axis
    y: Axis
    words: str
    lines: Sequence[Line]
    bars: Sequence[tuple[Place, Place]] = ()


def axis(label: str, values: Iterable[float], *, whole: bool = False) -> Axis:
    """An axis for all `values`, logarithmic if they differ much, with round ticks."""
    known = [value for value in values if math.isfinite(value)]
    least, most = min(known, default=0.0), max(known, default=1.0)
    logarithmic = is_logarithmic(least, most) and not whole
    if logarithmic:
        factor = (most / least) ** MARGIN
        low, high = least / factor, most * factor
    else:
        room = (most - least) * MARGIN or 0.5
        low, high = least - room, most + room
    ticks = tick_locator(least, most, whole=whole).tick_values(low, high)
    bare = Axis(label, low, high, logarithmic)
    inside = [tick for tick in ticks if low <= tick <= high and (not whole or tick % 1 == 0)]
    return replace(bare, ticks=tuple((bare.at(tick), tick_text(tick)) for tick in inside))


def accuracy_strips(result: CompareResult) -> tuple[Axis, dict[str, Strip]]:
    """For each network that did not fail: the accuracy, or with a target the time to it."""
    by_time = result.target is not None
    strips = {}
    for model in result.models:
        figures = model.figures
        if not figures:
            continue
        if not by_time:
            accuracies = [run.test_accuracy * 100 for run in model.runs]
            strips[model.model] = Strip(*accuracy_ends(figures), accuracies)
        elif figures.train_seconds and model.always_reached_target:
            seconds = [run.train_seconds for run in model.runs]
            mean, half = figures.train_seconds.mean, figures.train_seconds.half_width or 0
            strips[model.model] = Strip(mean, mean - half, mean + half, seconds)
    seen = [value for strip in strips.values() for value in (strip.low, strip.high, *strip.seeds)]
    return axis(TIME if by_time else _name(ACCURACY, result), seen), strips


def _name(figure: str, result: CompareResult) -> str:
    """A figure with the images it is about: `test accuracy (%)`, `validation loss`."""
    is_evaluated = figure in {ACCURACY, LOSS}
    return f"{result.dataset.evaluated_on} {figure}" if is_evaluated else figure


def verdict_strips(verdicts: Sequence[Verdict]) -> tuple[Axis, list[Strip]]:
    """For each verdict, how far the network that it names first is ahead, in points or seconds."""
    by_time = any(verdict.measure == Measure.TRAIN_SECONDS for verdict in verdicts)
    strips = []
    for verdict in verdicts:
        mean = -verdict.difference.mean if by_time else verdict.difference.mean * 100
        mean = abs(mean) if verdict.better else mean  # the sentence names the better one first
        half = (verdict.difference.half_width or 0) * (1 if by_time else 100)
        strips.append(Strip(mean, mean - half, mean + half))
    label = f"how far the first is ahead ({'s' if by_time else 'points'})"
    return axis(label, [0, *(end for strip in strips for end in (strip.low, strip.high))]), strips


def cost_panels(result: CompareResult) -> list[Panel]:
    """Accuracy against each cost, with the Pareto front; none with a target, or for one network."""
    panels = []
    for label in ("parameters", "mult-adds", TIME):
        lines, bars, words, points = [], [], [], []
        for place, model in enumerate(result.models):
            figures = model.figures
            if not figures or result.target is not None:
                continue
            size = model.total_parameters if label == "parameters" else model.mult_adds
            known = figures.times if label == TIME else size and (size, size, size)
            if not known:
                continue
            cost, least, most = map(float, known)
            mean, low, high = accuracy_ends(figures)
            lines.append(Line("mean", place, [(cost, mean)]))
            bars += [((cost, low), (cost, high)), ((least, mean), (most, mean))]
            words.append(f"{model.model}: {format_percent(figures.test_accuracy)}, {cost:,.4g}")
            points.append((mean, cost))
        if len(lines) > 1:
            best = [line for line, is_best in zip(lines, pareto(points), strict=True) if is_best]
            names = ", ".join(result.models[line.network].model for line in best)
            front = Line("front", 0, sorted(line.places[0] for line in best))
            curves = join_widths(result) if label == "parameters" else []
            sizes = [Line("sizes", network, places) for network, places in curves]
            ends = [place for bar in bars for place in bar]
            panels.append(
                Panel(
                    axis(label, [x for x, _ in ends]),
                    axis(_name(ACCURACY, result), [y for _, y in ends]),
                    f"Accuracy against {label}. {'; '.join(words)}. No other network is both "
                    f"more accurate and cheaper than {names}.",
                    [front, *sizes, *lines],
                    bars,
                )
            )
    return panels


def curve_panels(result: CompareResult) -> list[Panel]:
    """Accuracy and losses by epoch: a curve for each seed, and the mean of each network."""
    panels = []
    for what, figure in CURVES.items():
        label = _name(what, result)
        seeds, means, words = [], [], []
        for place, model in enumerate(result.models):
            runs = [run.history for run in model.runs if run.history and model.figures]
            curves = [[(epoch.epoch, figure(epoch)) for epoch in history] for history in runs]
            if curves:
                # Over the epochs that all seeds have, because a run may end early at a target.
                mean = [(p[0][0], fmean(y for _, y in p)) for p in zip(*curves, strict=False)]
                seeds += [Line("seed", place, curve) for curve in curves]
                means.append(Line("mean", place, mean))
                words.append(f"{model.model} from {mean[0][1]:.4g} to {mean[-1][1]:.4g}")
        ends = [place for line in seeds for place in line.places]
        if ends:
            panels.append(
                Panel(
                    axis("epoch", [x for x, _ in ends], whole=True),
                    axis(label, [y for _, y in ends]),
                    f"{label.capitalize()} by epoch, means over the seeds: {'; '.join(words)}.",
                    [*seeds, *means],
                )
            )
    return panels
