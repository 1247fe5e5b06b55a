"""Diagrams of made-up stages: what stands where, and what a file says."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mnist_cli.errors import ExitCode
from mnist_cli.report.html.document import page
from mnist_cli.report.pictures import diagram as drawing
from mnist_cli.report.pictures.diagram import CELL, MOST_DRAWN, MOST_WIDTH, PIXEL, lay_out
from mnist_cli.schema.results import ModelSummary, Stage
from tests.conftest import RunCli, write_files
from tests.test_report_page import HOSTILE, Document, two

INPUT = Stage(("input",), (1, 28, 28))
CONV = Stage(("Conv2d 3×3", "ReLU"), (4, 28, 28), (3, 3), 40)
POOL = Stage(("MaxPool2d 2×2",), (4, 14, 14), (2, 2))
FLAT = Stage(("Flatten",), (784,))
LINEAR = Stage(("Linear",), (10,), (), 7850)


def test_channels_are_sheets_to_scale_and_units_are_cells() -> None:
    boxes = lay_out("net", (INPUT, CONV, POOL, FLAT, LINEAR)).boxes
    sides = {
        kind: [(box.width, box.height) for box in boxes if box.kind == kind]
        for kind in {box.kind for box in boxes}
    }
    assert sides["kernel"] == [pytest.approx((28 * PIXEL, 28 * PIXEL))] * 4
    assert sides["pool"] == [pytest.approx((14 * PIXEL, 14 * PIXEL))] * 4
    assert sides["weights"] == [(CELL, CELL)] * 10
    [[width, height]] = sides["other"]
    assert width == CELL and height > MOST_DRAWN * CELL
    # The kernels of the convolution, on the input, and of the pooling, on its maps.
    windows = [(3 * PIXEL, 3 * PIXEL), (2 * PIXEL, 2 * PIXEL)]
    assert sides["window"] == [pytest.approx(window) for window in windows]
    image = boxes[0]
    window = next(box for box in boxes if box.kind == "window")
    assert image.x <= window.x and window.x + window.width <= image.x + image.width


def test_a_file_shows_all_of_a_diagram_with_the_title_above(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(drawing, "save_figure", lambda figure, path, words: drawn.append(figure))
    stages = (INPUT, CONV, POOL, FLAT, LINEAR)
    model = ModelSummary("net", 64, 8000, 8000, None, 0.2, None, 0.1, None, (), stages)
    drawing.save_diagram(Path("a.svg"), model)
    [axes] = drawn[0].axes
    inside = axes.transAxes.inverted()
    corners = [
        inside.transform(axes.transData.transform(point))
        for box in axes.patches
        for point in (box.get_xy(), (box.get_x() + box.get_width(), box.get_y()))
    ]
    places = [inside.transform(axes.transData.transform(t.get_position())) for t in axes.texts]
    assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in (*corners, *places))
    title, legend, *labels = (y for _, y in places)
    assert title > legend > max(y for _, y in corners) > max(labels)


def test_more_than_sixteen_channels_are_sixteen_sheets() -> None:
    for channels, drawn in ((16, 16), (17, 16), (500, 16)):
        stage = Stage(("Conv2d 1×1",), (channels, 5, 5), (1, 1), 9)
        kinds = [box.kind for box in lay_out("net", (INPUT, stage)).boxes]
        assert kinds.count("kernel") == drawn


def test_labels_are_size_operations_and_parameters() -> None:
    again = Stage(("Linear",), (10,), (), 0, reuses_weights=True)
    labels = lay_out("net", (INPUT, CONV, again)).labels
    assert [label.text for label in labels] == [
        *("1×28×28", "input"),
        *("4×28×28", "Conv2d 3×3", "ReLU", "40", "parameters"),
        *("10", "Linear", "weights used again"),
    ]
    many = Stage(tuple(f"step{number}" for number in range(9)), (10,))
    texts = [label.text for label in lay_out("net", (INPUT, many)).labels]
    assert texts[-5:] == ["step0", "step1", "step2", "step3", "and 5 more"]


def test_twenty_layers_stand_in_rows_of_one_width_without_overlaps() -> None:
    diagram = lay_out("net", (INPUT, *[CONV] * 20, LINEAR))
    assert diagram.width <= MOST_WIDTH
    sizes = [label for label in diagram.labels if label.kind == "size"]
    assert len(sizes) == 22
    baselines = sorted({label.y for label in sizes})
    assert 2 < len(baselines) < 6
    for y in baselines:
        row = [label.x for label in sizes if label.y == y]
        assert all(after - before > 60 for before, after in pairwise(row))
        above = [box for box in diagram.boxes if box.y < y]
        assert max(box.y + box.height for box in above) < y
    assert max(label.y for label in diagram.labels) <= diagram.height


def test_words_say_what_the_diagram_shows() -> None:
    assert lay_out("net", (INPUT, CONV, FLAT, LINEAR)).words == (
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
    [good, hostile] = [svg for svg in document.all("svg") if "viewbox" in svg and "role" in svg]
    assert str(good["aria-label"]).startswith("good, from images of 1×28×28; Conv2d 3×3, ReLU")
    assert str(hostile["aria-label"]).startswith(f"{HOSTILE}, from images")
    assert ("text", "4×28×28") in document.texts and ("h3", HOSTILE) in document.texts
    assert "The networks" not in page(two(), None)


def test_compare_draws_registered_and_custom_networks(run_cli: RunCli) -> None:
    own_network = "own.py:net"
    layers = "nn.Flatten(), nn.Linear(784, 10)"
    write_files({"own.py": f"from torch import nn\ndef net():\n return nn.Sequential({layers})\n"})
    options = ("--epochs", 1, "--dataset", "mnist5k", "--quiet", "--report")
    run_cli("compare", "mlp", own_network, *options, "a.html", "--export-json", "a.json")
    text = Path("a.html").read_text(encoding="utf-8")
    labels = [str(svg.get("aria-label")) for svg in Document(text).all("svg")]
    assert any(label.startswith("mlp, from") for label in labels)
    assert any(label.startswith(f"{own_network}, from") for label in labels)
    # An export does not contain the code of the custom network.
    assert run_cli("compare", "a.json", "--report", "b.html").code == ExitCode.OK
    again = Path("b.html").read_text(encoding="utf-8")
    assert "mlp, from images" in again and f"{own_network}, from images" not in again
