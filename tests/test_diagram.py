"""Diagrams of made-up stages: what stands where, and what a file says."""

from base64 import b64decode
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from matplotlib.colors import to_rgba
from PIL import Image

from mnist_cli.errors import ExitCode
from mnist_cli.report.html.document import page
from mnist_cli.report.pictures.diagram import (
    CELL,
    FILLS,
    MARGIN,
    MOST_DRAWN,
    MOST_WIDTH,
    PIXEL,
    describe,
    draw_diagram,
)
from mnist_cli.schema.results import Stage
from tests.conftest import RunCli, write_files
from tests.test_report_page import HOSTILE, Document, two

INPUT = Stage(("input",), (1, 28, 28))
CONV = Stage(("Conv2d 3×3", "ReLU"), (4, 28, 28), (3, 3), 40)
POOL = Stage(("MaxPool2d 2×2",), (4, 14, 14), (2, 2))
FLAT = Stage(("Flatten",), (784,))
LINEAR = Stage(("Linear",), (10,), (), 7850)


def only_axes(figure: Any) -> Any:
    """The only axes of a figure."""
    [axes] = figure.axes
    return axes


def boxes(axes: Any, kind: str) -> list[tuple[float, float]]:
    """The sides of the sheets and cells of a kind, from back to front."""
    drawn = [box for box in axes.patches if box.get_edgecolor() == to_rgba(FILLS[kind])]
    return [(box.get_width(), box.get_height()) for box in drawn]


def windows(axes: Any) -> list[Any]:
    """The outlines of kernels."""
    return [box for box in axes.patches if box.get_facecolor() == to_rgba("none")]


def labels(axes: Any) -> list[Any]:
    """The texts below the volumes."""
    return list(axes.texts[2:])  # after the title and the legend


def test_channels_are_sheets_to_scale_and_units_are_cells() -> None:
    axes = only_axes(draw_diagram((INPUT, CONV, POOL, FLAT, LINEAR)))
    assert boxes(axes, "kernel") == [pytest.approx((28 * PIXEL, 28 * PIXEL))] * 4
    assert boxes(axes, "pool") == [pytest.approx((14 * PIXEL, 14 * PIXEL))] * 4
    assert boxes(axes, "weights") == [(CELL, CELL)] * 10
    _, (width, height) = boxes(axes, "other")  # after the input, which looks the same
    assert width == CELL and height > MOST_DRAWN * CELL
    # The kernels of the convolution, on the input, and of the pooling, on its maps.
    of_convolution, of_pooling = windows(axes)
    assert of_convolution.get_width() == of_convolution.get_height() == 3 * PIXEL
    assert of_pooling.get_width() == of_pooling.get_height() == 2 * PIXEL
    image, window = axes.patches[0].get_bbox(), of_convolution.get_bbox()
    assert image.x0 <= window.x0 and window.x1 <= image.x1
    orders = [box.get_zorder() for box in axes.patches]
    assert orders == sorted(set(orders))  # each is drawn over those before


def test_a_figure_shows_all_of_a_diagram_with_the_title_above() -> None:
    axes = only_axes(draw_diagram((INPUT, CONV, POOL, FLAT, LINEAR), "a title"))
    inside = axes.transAxes.inverted()
    corners = [
        inside.transform(axes.transData.transform(point))
        for box in axes.patches
        for point in (box.get_xy(), (box.get_x() + box.get_width(), box.get_y()))
    ]
    places = [inside.transform(axes.transData.transform(t.get_position())) for t in axes.texts]
    assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in (*corners, *places))
    title, legend, *below = (y for _, y in places)
    assert title > legend > max(y for _, y in corners) > max(below)


def test_more_than_sixteen_channels_are_sixteen_sheets() -> None:
    for channels, drawn in ((16, 16), (17, 16), (500, 16)):
        stage = Stage(("Conv2d 1×1",), (channels, 5, 5), (1, 1), 9)
        assert len(boxes(only_axes(draw_diagram((INPUT, stage))), "kernel")) == drawn


def test_labels_are_size_operations_and_parameters() -> None:
    again = Stage(("Linear",), (10,), (), 0, reuses_weights=True)
    texts = [label.get_text() for label in labels(draw_diagram((INPUT, CONV, again)).axes[0])]
    assert texts == [
        *("1×28×28", "input"),
        *("4×28×28", "Conv2d 3×3", "ReLU", "40", "parameters"),
        *("10", "Linear", "weights used again"),
    ]
    many = Stage(tuple(f"step{number}" for number in range(9)), (10,))
    texts = [label.get_text() for label in labels(draw_diagram((INPUT, many)).axes[0])]
    assert texts[-5:] == ["step0", "step1", "step2", "step3", "and 5 more"]


def test_twenty_layers_stand_in_rows_of_one_width_without_overlaps() -> None:
    axes = only_axes(draw_diagram((INPUT, *[CONV] * 20, LINEAR)))
    left, right = axes.get_xlim()
    bottom, _ = axes.get_ylim()
    assert right - left <= MOST_WIDTH + 2 * MARGIN
    sizes = [label.get_position() for label in labels(axes) if label.get_weight() == "bold"]
    assert len(sizes) == 22
    baselines = sorted({y for _, y in sizes})
    assert 2 < len(baselines) < 6
    for baseline in baselines:
        row = [x for x, y in sizes if y == baseline]
        assert all(after - before > 60 for before, after in pairwise(row))
        above = [box.get_bbox() for box in axes.patches if box.get_y() < baseline]
        assert max(box.y1 for box in above) < baseline
    assert max(label.get_position()[1] for label in labels(axes)) <= bottom


def test_words_say_what_the_diagram_shows() -> None:
    assert describe("net", (INPUT, CONV, FLAT, LINEAR)) == (
        "net, from images of 1×28×28; Conv2d 3×3, ReLU to 4×28×28 with 40 parameters; "
        "Flatten to 784; Linear to 10 with 7,850 parameters."
    )


@pytest.mark.parametrize("name", ["a.svg", "a.png", "a.pdf"])
def test_summary_draws_a_file_that_says_what_it_shows(run_cli: RunCli, name: str) -> None:
    outcome = run_cli("summary", "tinycnn", "--diagram", name)
    assert (outcome.code, outcome.out) == (ExitCode.OK, f"Saved as {name}.\n")
    content = Path(name).read_bytes()
    if name.endswith("png"):
        with Image.open(name) as picture:
            assert picture.width > 2 * picture.height > 600
            assert "Conv2d 3×3, ReLU to 4×28×28" in str(picture.info["Description"])
    elif name.endswith("svg"):
        assert "Conv2d 3×3, ReLU to 4×28×28 with 40 parameters" in content.decode()
    run_cli("summary", "tinycnn", "--diagram", name)
    assert Path(name).read_bytes() == content


def test_summary_gives_the_stages_as_json(run_cli: RunCli) -> None:
    outcome = run_cli("summary", "mlp", "--json", "--diagram", "a.svg")
    assert outcome.json["models"][0]["stages"][2] == {
        "operations": ["Linear", "ReLU"],
        "output_size": [32],
        "kernel_size": [],
        "parameters": 25120,
        "reuses_weights": False,
    }
    assert Path("a.svg").exists()


def test_a_diagram_needs_a_network_and_replaces_no_other_file(run_cli: RunCli) -> None:
    write_files({"nets.py": "code"})
    for arguments, reason in (
        (("--diagram", "a.svg"), "--diagram draws one network; name it"),
        (("mlp", "--diagram", "a.bmp"), "must end in .png, .svg or .pdf"),
        (("nets.py:net", "--diagram", "nets.py"), "cannot replace nets.py"),
    ):
        outcome = run_cli("summary", *arguments)
        assert outcome.code == ExitCode.USAGE and reason in outcome.err


def test_a_report_has_a_diagram_of_each_network_that_is_known() -> None:
    stages = {"good": (INPUT, CONV, LINEAR), HOSTILE: (INPUT, LINEAR)}
    document = Document(page(two(), None, stages=stages))
    good, hostile = (image for image in document.all("img") if "from images" in str(image["alt"]))
    assert str(good["alt"]).startswith("good, from images of 1×28×28; Conv2d 3×3, ReLU")
    assert str(hostile["alt"]).startswith(f"{HOSTILE}, from images")
    svg = b64decode(str(good["src"]).partition("base64,")[2]).decode()
    assert ">4×28×28</text>" in svg and ("h3", HOSTILE) in document.texts
    assert "The networks" not in page(two(), None)


def test_compare_draws_registered_and_custom_networks(run_cli: RunCli) -> None:
    own_network = "own.py:net"
    layers = "nn.Flatten(), nn.Linear(784, 10)"
    write_files({"own.py": f"from torch import nn\ndef net():\n return nn.Sequential({layers})\n"})
    options = ("--epochs", 1, "--dataset", "mnist5k", "--quiet", "--report")
    run_cli("compare", "mlp", own_network, *options, "a.html", "--export-json", "a.json")
    text = Path("a.html").read_text(encoding="utf-8")
    words = [str(image["alt"]) for image in Document(text).all("img")]
    assert any(said.startswith("mlp, from") for said in words)
    assert any(said.startswith(f"{own_network}, from") for said in words)
    # An export does not contain the code of the custom network.
    assert run_cli("compare", "a.json", "--report", "b.html").code == ExitCode.OK
    again = Path("b.html").read_text(encoding="utf-8")
    assert "mlp, from images" in again and f"{own_network}, from images" not in again
