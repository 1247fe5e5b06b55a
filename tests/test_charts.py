"""The charts of made-up results, looked at as axes: what stands where, and how it is told."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from matplotlib.figure import Figure

from mnist_cli.report.html import charts
from mnist_cli.report.html.charts import draw_accuracies, draw_differences
from mnist_cli.report.html.document import page
from mnist_cli.report.pictures import plots, style
from mnist_cli.report.pictures.plots import Point, label_points
from mnist_cli.schema.comparison import CompareResult, Settling
from tests.made_up import comparison, learned, network
from tests.test_report_page import LABELS, two
from tests.test_report_pictures import labelled, spans
from tests.test_reports import BAD, GOOD

YES = (True,) * 5


def draw(chart: Callable[..., str], *data: Any) -> tuple[Any, str]:
    figure = Figure(figsize=(charts.WIDTH, charts.HEIGHT), layout="constrained")
    words = chart(figure, *data)
    return figure.axes[0] if words else None, words


def draw_axes(chart: Callable[..., str], *data: Any) -> Any:
    axes, _ = draw(chart, *data)
    return axes


def cost_panels(result: CompareResult) -> list[tuple[Any, str]]:
    """The charts of costs that a page has, and what is said of each."""
    drawn = [draw(charts.draw_costs, result, cost) for cost in plots.COSTS]
    return [(axes, words) for axes, words in drawn if words]


def curve_panels(result: CompareResult) -> list[tuple[Any, str]]:
    """The learning curves that a page has, and what is said of each."""
    drawn = [draw(charts.draw_curves, result, figure) for figure in plots.CURVES]
    return [(axes, words) for axes, words in drawn if words]


def bars(axes: Any) -> list[tuple[float, float, float]]:
    """The low end, the mark and the high end of each row."""
    rows = []
    for mark, _, [bar] in (container.lines for container in axes.containers):
        [[[low, _], [high, _]]] = bar.get_segments()
        rows.append((low, mark.get_xdata()[0], high))
    return rows


def names(axes: Any) -> list[str]:
    """The names of the rows."""
    return [label.get_text() for label in axes.get_yticklabels()]


def seeds(axes: Any) -> list[list[float]]:
    """The pale points of each row."""
    return [line.get_xdata() for line in axes.lines if line.get_alpha() == 0.4]


def rounded(line: Any) -> list[tuple[float, float]]:
    return [(round(x, 6), round(y, 6)) for x, y in line.get_xydata()]


def shown(axes: Any) -> list[str]:
    """The numbers on the horizontal axis."""
    axes.figure.draw_without_rendering()
    low, high = axes.get_xlim()
    ticks = zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
    return [label.get_text() for tick, label in ticks if low <= tick <= high]


def test_each_seed_and_each_epoch_is_drawn() -> None:
    result = two()
    good, bad = seeds(draw_axes(draw_accuracies, result))
    assert list(good) == pytest.approx([98.0, 98.1, 97.9, 98.2, 98.0])
    assert list(bad) == pytest.approx([95.0, 95.2, 94.9, 95.1, 95.0])
    (axes, said), (_, said_of_test), (_, said_of_training) = curve_panels(result)
    lines = axes.lines
    assert [line.get_alpha() for line in lines] == [0.7] * 10 + [None] * 2  # seeds and means
    assert rounded(lines[3]) == [(1, 97.2), (2, 98.2)]
    assert rounded(lines[-1]) == [(1, 94.04), (2, 95.04)]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["good", "bad"]
    assert said == (
        "Test accuracy (%) by epoch, means over the seeds: good from 97.04 to 98.04; "
        "bad from 94.04 to 95.04."
    )
    assert said_of_test.endswith("bad from 1.1 to 0.1.")
    assert said_of_training.endswith("bad from 1.2 to 0.2.")
    once = replace(
        result.models[0],
        runs=tuple(replace(run, history=run.history[:1]) for run in result.models[0].runs),
    )
    (axes, _), *_ = curve_panels(replace(result, models=(once,)))
    seed = axes.lines[0]
    assert len(seed.get_xdata()) == 1 and seed.get_marker() == "o"  # a line would not be seen


def test_the_front_joins_those_that_no_other_beats_at_their_cost() -> None:
    result = comparison(
        network("dear", BAD, (9.0, 8.0, 9.5, 9.0, 9.0), parameters=9000),
        network("good", GOOD, 5.0, parameters=9000),
        network("cheap", BAD, 1.0, parameters=900),
    )
    panels = cost_panels(result)
    costs = ((900, 9000), (900 * 64, 9000 * 64), (1.0, 5.0))
    for (axes, said), (cheap, dear) in zip(panels, costs, strict=True):
        [front] = [line for line in axes.lines if line.get_linestyle() == "--"]
        assert rounded(front) == [(cheap, 95.04), (dear, 98.04)]
        assert list(labelled(axes)) == ["dear", "good", "cheap"]
        assert said.endswith("both more accurate and cheaper than good, cheap.")
    assert panels[0][1].startswith(
        "Accuracy against parameters. dear: 95.04 ± 0.14 %, 9,000; good: 98.04 ± 0.14 %, 9,000; "
    )
    # The first network's bars: the interval of its accuracy, and the range of its times.
    by_time, _ = panels[2]
    assert spans(by_time, 0, 0) == [[8.0, 9.5]]
    [[low, high]] = spans(by_time, 0, 1)
    assert (low + high) / 2 == pytest.approx(95.04) and low < 95.03
    assert cost_panels(comparison(network("alone", GOOD))) == []


def test_a_line_joins_the_sizes_of_one_network() -> None:
    result = comparison(
        network("cnn", GOOD, 9.0, parameters=5000),
        network("mlp(hidden=9)", GOOD, 2.0, parameters=9000),
        network("mlp", BAD, parameters=4000),
    )
    [[line], *others] = [
        [line for line in axes.lines if line.get_linestyle() == "-"]
        for axes, _ in cost_panels(result)
    ]
    assert line.get_color() == style.look(1)["color"]
    assert rounded(line) == [(4000, 95.04), (9000, 98.04)]
    assert others == [[], []]
    assert page(result, None).count("A solid line joins the sizes of one") == 1
    assert "A solid line" not in page(two(), None)


def test_the_better_one_is_ahead_whichever_comes_first() -> None:
    for models in (
        (network("a", GOOD), network("b", BAD)),
        (network("b", BAD), network("a", GOOD)),
    ):
        axes = draw_axes(draw_differences, comparison(*models).verdicts)
        [(low, mean, high)] = bars(axes)
        assert 0 < low < mean < high
        assert axes.get_xlabel() == "how far the first is ahead (points)"
        assert names(axes) == ["a and b"]
    slow = network("slow", GOOD, (8.0, 8.1, 8.2, 8.0, 8.1), epochs=5, reached=YES)
    quick = network("quick", GOOD, (1.0, 1.1, 1.0, 1.2, 1.1), epochs=2, reached=YES)
    axes = draw_axes(draw_differences, comparison(slow, quick, target=0.97).verdicts)
    [(low, mean, _)] = bars(axes)
    assert axes.get_xlabel().endswith("(s)") and 0 < low < mean
    later = network("later", GOOD, (8.1, 8.3, 8.2, 8.1, 8.1), epochs=5, reached=YES)
    [(low, mean, high)] = bars(
        draw_axes(draw_differences, comparison(later, slow, target=0.97).verdicts)
    )
    assert low < mean < 0 < high  # not distinguishable: the first took longer


def test_a_difference_stands_where_the_sentence_says() -> None:
    result: Any = comparison(network("b", BAD), network("a", GOOD), network("c", GOOD[::-1]))
    axes = draw_axes(draw_differences, result.verdicts)
    assert [pair.better for pair in result.verdicts] == ["a", "c", None]
    first, second, third = (pair.difference.mean * 100 for pair in result.verdicts)
    assert [mean for _, mean, _ in bars(axes)] == pytest.approx([-first, -second, third])
    for (_, mean, high), pair in zip(bars(axes), result.verdicts, strict=True):
        assert high - mean == pytest.approx(pair.difference.half_width * 100)
    assert names(axes) == ["a and b", "c and b", "a and c"]
    low, high = axes.get_xlim()
    assert all(low < start and end < high for start, _, end in bars(axes)) and low < 0 < high
    picture = charts.draw_all(result, {})["differences"]
    assert picture.words.endswith("how far the first is ahead (points).")
    assert charts.draw_all(comparison(network("alone", GOOD)), {})["differences"] is None


def test_the_rows_of_accuracies_end_at_what_is_possible() -> None:
    axes = draw_axes(draw_accuracies, comparison(network("a", (0.5, 0.99)), seeds=2))
    [(low, _, high)] = bars(axes)
    assert (low, high) == (0, 100)
    assert axes.get_xlabel() == "test accuracy (%)"
    never = network("never", BAD, 3.0, reached=(True,) * 4 + (False,))
    quick = network("a", GOOD, (1, 2, 3, 2, 2), reached=YES)
    axes = draw_axes(draw_accuracies, comparison(quick, never, target=0.97))
    assert axes.get_xlabel() == "training time (s)"
    assert [mean for _, mean, _ in bars(axes)] == [2]
    assert [list(row) for row in seeds(axes)] == [[1, 2, 3, 2, 2]]
    assert names(axes) == ["a"]


def test_long_names_of_rows_leave_room_for_the_bars() -> None:
    rows = [network("name" * 30 + str(place), GOOD) for place in range(3)]
    result = comparison(*rows)
    for axes in (
        draw_axes(draw_accuracies, result),
        draw_axes(draw_differences, result.verdicts),
    ):
        axes.figure.draw_without_rendering()
        boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
        assert len(boxes) == 3 and all(box.x0 >= 0 for box in boxes)
        assert [box.count_overlaps(boxes) for box in boxes] == [1] * 3  # each its own
        assert axes.bbox.width > axes.figure.bbox.width / 4


def test_until_settled_bars_are_deviations_and_an_interval_goes_before_one() -> None:
    settled: Any = comparison(network("a", GOOD), network("b", BAD), settling=Settling(10))
    (_, mean, high), _ = bars(draw_axes(draw_accuracies, settled))
    deviation = settled.models[0].figures.accuracy_deviation
    assert high - mean == pytest.approx(deviation * 100) != 0
    fixed: Any = comparison(network("a", GOOD), network("b", BAD))
    half = fixed.models[0].figures.test_accuracy.half_width
    (low, mean, _), _ = bars(draw_axes(draw_accuracies, fixed))
    assert mean - low == pytest.approx(half * 100)
    assert half != pytest.approx(fixed.models[0].figures.accuracy_deviation)
    [[low, high]] = spans(cost_panels(settled)[0][0], 0, 1)
    assert high - low == pytest.approx(2 * deviation * 100)
    one = comparison(network("a", GOOD[:1]), seeds=1)
    assert bars(draw_axes(draw_accuracies, one)) == [(98, 98, 98)]


def test_a_curve_has_the_epochs_that_all_seeds_have() -> None:
    labels = LABELS.astype(int).tolist()
    long, short = (learned(network("a", GOOD[:2]), labels, labels, epochs=n) for n in (3, 2))
    both = replace(long, runs=(long.runs[0], replace(short.runs[0], seed=1)))
    (axes, _), *_ = curve_panels(comparison(both, seeds=2))
    lines = axes.lines
    assert [len(line.get_xdata()) for line in lines] == [3, 2, 2]
    assert rounded(lines[-1])[0] == pytest.approx((1, (96 + 97) / 2), abs=0.1)
    failed = replace(both, failure="no luck")
    assert curve_panels(comparison(failed, seeds=2)) == []


def test_no_front_where_nothing_is_known_to_compare() -> None:
    unknown = replace(network("b", BAD), mult_adds=None)
    panels = cost_panels(comparison(network("a", GOOD), unknown))
    assert [axes.get_xlabel() for axes, _ in panels] == ["parameters", "training time (s)"]
    shared = network("b", BAD, runs_at_once=(2,))
    panels = cost_panels(comparison(network("a", GOOD), shared))
    assert [axes.get_xlabel() for axes, _ in panels] == ["parameters", "mult-adds"]
    panels = cost_panels(comparison(network("a", GOOD), network("c", GOOD), unknown))
    assert ["cheaper" in said for _, said in panels] == [True, False, True]
    rows = (network(name, GOOD, reached=YES) for name in "ab")
    assert cost_panels(comparison(*rows, target=0.9)) == []


@pytest.mark.parametrize("epochs", [1, 3])
def test_epochs_are_whole(epochs: int) -> None:
    labels = LABELS.astype(int).tolist()
    row = learned(network("a", GOOD), labels, labels, epochs=epochs)
    axes, _ = curve_panels(comparison(row))[0]
    assert shown(axes) == [str(epoch + 1) for epoch in range(epochs)]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((4266, 467_818), ["10k", "100k"]),
        ((2, 50), ["2", "5", "10", "20", "50"]),
        ((97.1, 98.9), ["97.5", "98", "98.5"]),
        ((0, 0, 9), ["0", "2", "4", "6", "8"]),
        ((1, 100), ["1", "2", "5", "10", "20", "50", "100"]),
        ((1, 101), ["1", "10", "100"]),
        ((999, 1001), ["999", "999.5", "1k", "1.0005k", "1.001k"]),
    ],
)
def test_axes_have_round_ticks(values: tuple[float, ...], texts: list[str]) -> None:
    assert shown(scaled(values)) == texts


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ((1, 3), "linear"),
        ((1, 3.0001), "log"),
        ((3.0001, 1), "log"),
        ((0, 9), "linear"),
        ((-1, 9), "linear"),
        ((1, float("inf"), 2), "linear"),
        ((1, float("nan"), 4), "log"),
        ((0.5,), "linear"),
        ((), "linear"),
    ],
)
def test_an_axis_is_logarithmic_from_more_than_three_times_on(
    values: tuple[float, ...], kind: str
) -> None:
    assert scaled(values).get_xscale() == kind
    assert len(shown(scaled(values))) > 1


def test_losses_that_differ_little_have_several_ticks() -> None:
    labels = LABELS.astype(int).tolist()
    row = learned(network("a", GOOD, loss=2.1), labels, labels)
    axes, _ = curve_panels(comparison(row))[1]
    axes.figure.draw_without_rendering()
    low, high = axes.get_ylim()
    assert sum(low <= tick <= high for tick in axes.get_yticks()) > 2


def scaled(values: tuple[float, ...]) -> Any:
    axes: Any = Figure().subplots()
    axes.plot(values, range(len(values)))
    style.scale(axes)
    return axes


def test_labels_of_points_do_not_cover_each_other() -> None:
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    [model] = comparison(network("a", GOOD)).models
    assert model.figures
    places = []
    wanted = (("first", 1, 0.9), ("second", 1.01, 0.901), ("a long name", 2, 0.95))
    for name, cost, accuracy in wanted:
        mean = replace(model.figures.test_accuracy, mean=accuracy)
        figures = replace(model.figures, test_accuracy=mean)
        places.append(Point(0, name, figures, (cost, cost, cost)))
        axes.errorbar(cost, accuracy * 100, yerr=0.2, marker="o")
    figure.draw_without_rendering()
    label_points(axes, places)
    boxes = [label.get_window_extent() for label in axes.texts]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 for box in boxes)


def test_labels_of_eight_sizes_on_a_page_cover_no_other_label() -> None:
    places = (
        *(("mlp(hidden=8)", 91.67, 408_960), ("mlp", 95.63, 1_628_800)),
        *(("mlp(hidden=128)", 97.39, 6_513_280), ("mlp(hidden=512)", 97.92, 26_051_200)),
        *(("tinycnn", 97.71, 5_970_000), ("cnn(channels=4)", 97.84, 6_550_000)),
        *(("cnn", 98.53, 20_290_000), ("cnn(channels=16)", 98.66, 69_470_000)),
    )
    rows = [
        replace(network(name, (mean / 100,) * 5), mult_adds=count) for name, mean, count in places
    ]
    [axes] = [
        axes for axes, _ in cost_panels(comparison(*rows)) if axes.get_xlabel() == "mult-adds"
    ]
    boxes = [text.get_window_extent() for text in axes.texts]
    assert [box.count_overlaps(boxes) for box in boxes] == [1] * 8  # each its own
