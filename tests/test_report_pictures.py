"""Plots of made-up results, looked at as figures: what stands where, over what, and how far."""

import io
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console
from rich.style import Style
from rich.text import Text

from mnist_cli.errors import MnistCliError
from mnist_cli.report.pictures import grid, plots, style, terminal
from mnist_cli.report.pictures.plots import join_widths
from mnist_cli.report.pictures.style import save_figure
from mnist_cli.schema.comparison import ModelRuns
from tests.made_up import comparison, learned, network
from tests.test_reports import BAD, GOOD, TRAINED

PATH = Path("plot.svg")


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that would be written."""
    kept: list[Any] = []
    for module in (grid, plots):
        monkeypatch.setattr(module, "save_figure", lambda figure, path: kept.append(figure))
    return kept


def spans(axes: Any, series: int, direction: int) -> list[list[float]]:
    """The ends of the bars of one series, those along the x-axis (0) or the y-axis (1)."""
    bars = [segment for bar in axes.containers[series].lines[2] for segment in bar.get_segments()]
    along = [bar[:, direction] for bar in bars if np.ptp(bar[:, direction]) > 0]
    return [sorted(ends.tolist()) for ends in along]


def points(axes: Any, series: int) -> list[list[float]]:
    data: list[list[float]] = axes.containers[series].lines[0].get_xydata().tolist()
    return data


def labelled(axes: Any) -> dict[str, tuple[float, float]]:
    return {label.get_text(): label.xy for label in axes.texts}


def test_a_point_is_a_cost_and_an_accuracy_with_their_ranges(figures: list[Any]) -> None:
    small = network("small", BAD, (1.0, 1.5, 1.2, 1.4, 1.3), parameters=100)
    large = network("large", GOOD, (200.0, 210.0, 205.0, 230.0, 190.0), parameters=200)
    plots.plot_comparison(PATH, comparison(small, large))
    by_size, by_time = figures[0].axes
    for axes, costs in ((by_size, (100, 200)), (by_time, (1.3, 205.0))):
        for series, (cost, percent) in enumerate(zip(costs, (95.04, 98.04), strict=True)):
            assert points(axes, series) == [pytest.approx([cost, percent])]
        assert labelled(axes) == {
            "small": pytest.approx((costs[0], 95.04)),
            "large": pytest.approx((costs[1], 98.04)),
        }
    assert spans(by_size, 0, 0) == []
    assert spans(by_time, 0, 0) == [[1.0, 1.5]]
    assert spans(by_time, 1, 0) == [[190.0, 230.0]]
    assert spans(by_size, 1, 1) == [pytest.approx([98.04 - 0.14157, 98.04 + 0.14157], abs=1e-4)]
    # Twice the parameters are told apart on a linear axis, a hundred times the time are not.
    assert (by_size.get_xscale(), by_time.get_xscale()) == ("linear", "log")


def test_the_line_joins_the_networks_that_no_other_beats(figures: list[Any]) -> None:
    rows = (
        network("slow", (0.94,) * 5, 9.0, parameters=900),
        network("large", GOOD, 8.0, parameters=800),
        network("small", BAD, 1.0, parameters=100),
    )
    plots.plot_comparison(PATH, comparison(*rows))
    plots.plot_comparison(PATH, comparison(rows[0]))
    [line] = [line for line in figures[0].axes[1].lines if line.get_linestyle() == "--"]
    assert line.get_xydata().tolist() == [pytest.approx([1, 95.04]), pytest.approx([8, 98.04])]
    assert all(axes.get_legend() for axes in figures[0].axes)
    assert not any(axes.get_legend() for axes in figures[1].axes)  # one point is no line


def test_networks_differ_by_marker_and_one_seed_has_no_bars(figures: list[Any]) -> None:
    rows = [network(f"net{i}", (0.9 + i / 200,), 2.0, parameters=100 + i) for i in range(12)]
    plots.plot_comparison(PATH, comparison(*rows, seeds=1))
    [axes, _] = figures[0].axes
    looks = {
        (series.lines[0].get_marker(), series.lines[0].get_color()) for series in axes.containers
    }
    assert len(looks) == len(rows)
    assert all(spans(axes, series, 1) == [] for series in range(12))


def test_a_network_has_one_colour_and_marker_in_all_parts(figures: list[Any]) -> None:
    failed = network("failed", (), parameters=None, failure="no luck")
    rows = [learned(network(name, GOOD), [3, 4], [3, 4]) for name in ("a", "b")]
    plots.plot_comparison(PATH, comparison(failed, *rows))
    by_size, by_time, accuracies, _ = figures[0].axes
    looks = [
        [(series.lines[0].get_marker(), series.lines[0].get_color()) for series in axes.containers]
        for axes in (by_size, by_time)
    ]
    curves = [(line.get_marker(), line.get_color()) for line in accuracies.lines]
    assert looks[0] == looks[1] == list(dict.fromkeys(curves))
    assert list(labelled(by_size)) == ["a", "b"]


SIZES = (
    network("mlp(hidden=8)", BAD, parameters=6370),
    network("tinycnn", (), parameters=None, failure="no luck"),
    network("mlp(hidden=128)", GOOD, parameters=101_770),
    network("mlp", (0.96,) * 5, parameters=25_450),
    network("strongcnn", GOOD, parameters=467_818),
    network("strongcnn(dropout=0)", BAD, parameters=467_818),
    network("a.py:net(3)", GOOD, parameters=9000),
    network("a.py:net(2)", BAD, parameters=8000),
)


def test_a_line_joins_the_sizes_of_one_network_in_their_order(figures: list[Any]) -> None:
    plots.plot_comparison(PATH, comparison(*SIZES))
    by_size, by_time = figures[0].axes
    solid = [line for line in by_size.lines if line.get_linestyle() == "-"]
    assert [line.get_xydata().tolist() for line in solid] == [
        [pytest.approx(place) for place in ([6370, 95.04], [25_450, 96], [101_770, 98.04])],
        [pytest.approx(place) for place in ([8000, 95.04], [9000, 98.04])],
    ]
    firsts = [by_size.containers[at].lines[0].get_color() for at in (0, 5)]  # one failed
    assert [line.get_color() for line in solid] == firsts
    assert all(line.get_linestyle() != "-" for line in by_time.lines)


def test_each_setting_has_its_own_line() -> None:
    rows = [
        replace(row, model=f"{row.model} {recipe}", network=row.model, varied={"recipe": recipe})
        for row in SIZES[:4]
        for recipe in ("article", "fast")
    ]
    assert [(first, len(places)) for first, places in join_widths(comparison(*rows))] == [
        (0, 3),
        (1, 3),
    ]


@pytest.mark.parametrize("seeds", [1, 3])
def test_labels_of_nine_networks_cover_no_other_label(figures: list[Any], seeds: int) -> None:
    places = (
        *(("mlp", 90.8, 0.7, 0.06, 25_450), ("mlp(hidden=8)", 85.9, 1.6, 0.05, 6370)),
        *(("mlp(hidden=16)", 89.1, 0.4, 0.05, 12_730), ("mlp(hidden=64)", 92.0, 0.6, 0.07, 50_890)),
        ("mlp(hidden=128)", 91.9, 0.2, 0.1, 101_770),
        ("mlp(hidden=512)", 93.7, 0.5, 0.3, 407_050),
        *(("tinycnn", 91.9, 0.7, 0.6, 4266), ("cnn", 93.0, 1, 0.7, 26_698)),
        ("strongcnn", 97.2, 0.5, 3.5, 467_818),
    )
    rows = [
        network(
            name, [(mean + k * spread) / 100 for k in (0, 1, -1)[:seeds]], time, parameters=size
        )
        for name, mean, spread, time, size in places
    ]
    plots.plot_comparison(PATH, comparison(*rows, seeds=seeds))
    for axes in figures[0].axes:
        boxes = [text.get_window_extent() for text in (*axes.texts, axes.get_legend())]
        assert [box.count_overlaps(boxes) for box in boxes] == [1] * 10  # each its own


def varied(row: ModelRuns, network_name: str, **settings: Any) -> ModelRuns:
    return replace(row, network=network_name, varied=settings)


def test_a_setting_that_was_varied_in_numbers_is_the_axis(figures: list[Any]) -> None:
    result = comparison(
        varied(network("a lr=0.1", GOOD, (2.0, 2.5, 2.1, 2.0, 2.2)), "a", lr=0.1),
        varied(network("a lr=0.001", BAD, 1.0), "a", lr=0.001),
        varied(network("b lr=0.001", BAD, 3.0), "b", lr=0.001),
        varied(network("b lr=0.1", (), failure="no luck"), "b", lr=0.1),
    )
    plots.plot_comparison(PATH, result)
    accuracies, times = figures[0].axes
    assert points(accuracies, 0) == [pytest.approx([0.001, 95.04]), pytest.approx([0.1, 98.04])]
    assert points(times, 0) == [pytest.approx([0.001, 1]), pytest.approx([0.1, 2.1])]
    assert points(times, 1) == [pytest.approx([0.001, 3])]
    assert spans(times, 0, 1) == [pytest.approx([2.0, 2.5])]
    assert spans(accuracies, 0, 1)[1] == pytest.approx([97.8984, 98.1816], abs=1e-4)
    assert [text.get_text() for text in times.get_legend().get_texts()] == ["a", "b"]
    assert accuracies.get_xlabel() == times.get_xlabel() == "lr"


@pytest.mark.parametrize(
    ("settings", "axis"),
    [
        (({"lr": 0.1}, {"lr": 0.2}), "lr"),
        (({"lr": 0.1}, {"lr": 0.1}), None),
        (({"precision": "fp32"}, {"precision": "bf16"}), None),
        (({"lr": 0.1, "epochs": 1}, {"lr": 0.2, "epochs": 2}), None),
        (({}, {}), None),
    ],
)
def test_only_one_setting_in_numbers_is_an_axis(
    settings: tuple[dict[str, Any], ...], axis: str | None
) -> None:
    rows = [varied(network(f"a{i}", GOOD), "a", **each) for i, each in enumerate(settings)]
    assert plots.varied_number(comparison(*rows)) == axis


def test_a_learning_curve_has_each_epoch(figures: list[Any]) -> None:
    plots.plot_training(PATH, TRAINED)
    losses, accuracies = figures[0].axes
    curves = [line.get_xydata().tolist() for line in losses.lines]
    assert curves == [[[1, 0.5], [2, 0.4]], [[1, 0.25], [2, 0.2]]]
    names = [line.get_label() for line in losses.lines]
    assert [str(name).split(",")[0] for name in names] == ["training", "test"]
    assert [line.get_xydata().tolist() for line in accuracies.lines] == [[[1, 91], [2, 92]]]
    assert losses.get_ylim()[0] == 0


@pytest.mark.parametrize(
    ("count", "shape"), [(1, (1, 1)), (5, (2, 3)), (9, (3, 3)), (400, (20, 20)), (401, (20, 21))]
)
def test_every_image_of_a_grid_has_its_caption(
    figures: list[Any], count: int, shape: tuple[int, int]
) -> None:
    images = np.stack([np.full((28, 28), i % 200, dtype=np.uint8) for i in range(count)])
    grid.save_grid(PATH, images, [str(i) for i in range(count)])
    [axes] = figures[0].axes
    [drawn] = axes.images
    assert drawn.get_clim() == (0, 255)
    pixels = np.asarray(drawn.get_array())
    height, width = (length // cells for length, cells in zip(pixels.shape, shape, strict=True))
    for index in range(count):
        row, column = divmod(index, shape[1])
        cell = pixels[row * height : (row + 1) * height, column * width : (column + 1) * width]
        assert (cell == index % 200).sum() == 28 * 28
    texts = axes.texts
    assert len(texts) == (count if count <= 400 else 0)
    for index, text in enumerate(texts):
        x, y = text.get_position()
        assert (int(y // height), int(x // width)) == divmod(index, shape[1])
        assert text.get_text() == str(index)


@pytest.mark.parametrize("count", [900, 60_000])
def test_a_picture_of_many_images_has_a_size_that_can_be_drawn(
    figures: list[Any], count: int
) -> None:
    grid.save_grid(PATH, np.zeros((count, 28, 28), np.uint8), ["1"] * count)
    assert max(figures[0].get_size_inches()) < 50


def test_an_image_of_a_grid_is_two_inches_wide(figures: list[Any]) -> None:
    grid.save_grid(PATH, np.zeros((7, 28, 28), np.uint8), ["1"] * 7)
    assert figures[0].get_size_inches() == pytest.approx((6, 6 * 37 / 34))


def test_a_title_says_what_the_bars_are() -> None:
    several = style.title(comparison(network("a", GOOD), target=0.97))
    assert several.startswith("mnist, 10,000 test images, trained up to 97 %, 5 seeds: 95 %")
    assert style.title(comparison(network("a", GOOD[:1]), seeds=1)).endswith(
        "one seed, no interval"
    )


@pytest.mark.parametrize(
    ("costs", "kind"),
    [((100, 250), "linear"), ((0.1, 0.4), "log"), ((1, 200), "log"), ((0, 9), "linear")],
)
def test_an_axis_is_logarithmic_where_its_values_differ_much(
    costs: tuple[float, float], kind: str
) -> None:
    axes: Any = Figure().subplots()
    axes.plot(costs, (1, 2))
    style.scale(axes)
    assert axes.get_xscale() == kind
    axes.figure.draw_without_rendering()
    shown = [label.get_text() for label in axes.get_xticklabels() if label.get_text()]
    assert len(shown) > 1
    assert not any("e" in text or "$" in text for text in shown)


@pytest.mark.parametrize(
    "costs",
    [
        *((25_400, 25_600), (25_450, 25_450), (100_000, 290_000), (100_000, 310_000)),
        *(
            (25_450, 26_698),
            (467_800, 467_818),
            (1_234_567, 1_234_999),
            (4_266, 467_818),
            (100, 301),
            (5, 10**9),
        ),
    ],
)
def test_the_numbers_of_an_axis_do_not_run_together(
    figures: list[Any], costs: tuple[int, int]
) -> None:
    small, large = (network(str(cost), GOOD, cost / 999, parameters=cost) for cost in costs)
    plots.plot_comparison(PATH, comparison(small, large))
    for axes in figures[0].axes:
        assert len(apart(axes)) > 1


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((0.001, 0.003, 0.01), ["0.001", "0.003", "0.01"]),
        ((0.001, 0.0011, 0.0012, 0.05), ["0.001", "0.05"]),
        ((64, 65, 66, 128), ["64", "128"]),
        ((1, 2, 3, 4, 5, 6, 7, 8), ["1", "2", "3", "4", "5", "6", "7", "8"]),
    ],
)
def test_values_of_a_setting_that_lie_close_are_not_all_named(
    figures: list[Any], values: tuple[float, ...], shown: list[str]
) -> None:
    rows = [varied(network(f"a x={x}", GOOD), "a", x=x) for x in values]
    plots.plot_comparison(PATH, comparison(*rows))
    for axes in figures[0].axes[:2]:
        assert apart(axes) == shown


def apart(axes: Any) -> list[str]:
    """The numbers on the horizontal axis, none of which touches the next."""
    axes.figure.draw_without_rendering()
    left, right = axes.get_xlim()
    ticks = zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
    labels = [label for tick, label in ticks if left <= tick <= right and label.get_text()]
    boxes = [label.get_window_extent() for label in labels]
    assert all(before.x1 + 3 < after.x0 for before, after in pairwise(boxes))
    return [label.get_text() for label in labels]


def test_a_picture_that_cannot_be_written_is_one_line() -> None:
    with pytest.raises(MnistCliError, match=r"^cannot write no/plot\.svg: .*; choose another file"):
        save_figure(Figure(), Path("no/plot.svg"))


# In the terminal


def test_a_caption_stands_above_its_image() -> None:
    levels = (0, 255, 130)
    images = np.stack([np.full((28, 28), level, dtype=np.uint8) for level in levels])
    console = Console(file=io.StringIO(), width=60)  # room for two beside each other
    table = terminal.draw(console, images, ["black", "white", "grey"])
    cells = [[str(cell) for cell in column.cells] for column in table.columns]
    for (caption, mark), cell in zip(
        (("black", " "), ("grey", "+"), ("white", "@")), (*cells[0], cells[1][0]), strict=True
    ):
        assert cell.splitlines() == [caption, *[mark * 28] * 14]


def test_a_half_block_is_two_pixels() -> None:
    image = np.zeros((1, 28, 28), dtype=np.uint8)
    image[0, 0, :], image[0, 1, 5] = 255, 7
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=60)
    [cell] = terminal.draw(console, image, ["7"]).columns[0].cells
    assert isinstance(cell, Text)
    assert cell.plain == "7\n" + ("▀" * 28 + "\n") * 14
    styles = [span.style for span in cell.spans if isinstance(span.style, Style)]
    shown = [
        (style.color.get_truecolor().red, style.bgcolor.get_truecolor().blue)
        for style in styles
        if style.color and style.bgcolor
    ]
    assert shown[:28] == [(255, 7 if column == 5 else 0) for column in range(28)]
    assert set(shown[28:]) == {(0, 0)}
