"""What a network makes of an image: arrays, pages and the command."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from torch import nn

from mnist_cli.data.mnist5k import read_mnist5k
from mnist_cli.errors import ExitCode
from mnist_cli.networks.tracing import (
    Features,
    Traced,
    cover,
    find_first_layer,
    list_outputs,
    to_images,
    trace,
)
from mnist_cli.report.features import headline, stage_title, weights_title
from mnist_cli.report.pictures import features as drawing
from mnist_cli.report.pictures.small_features import draw_features
from mnist_cli.schema.datasets import DIGITS
from mnist_cli.schema.results import FeaturesResult, Stage, StageOutput
from mnist_cli.training.checkpoint import load
from mnist_cli.training.examples import PIXEL_ORDER, images_to_device
from mnist_cli.workflows.show_features import _occlude, _shift
from tests.conftest import RunCli, write_files

FAST = ("--epochs", 1, "--dataset", "mnist5k", "--quiet")
IMAGE = torch.rand(1, 28, 28, generator=torch.Generator().manual_seed(0))


def traced(*layers: nn.Module) -> list[Traced]:
    return trace("net", nn.Sequential(*layers), IMAGE)


def made_up(**outputs: np.ndarray[Any, Any]) -> tuple[FeaturesResult, Features]:
    """A result with a stage of each name, `weights` among them if there are any."""
    weights = outputs.pop("weights", None)
    stages = [(Stage((name,), values.shape), values) for name, values in outputs.items()]
    occlusion = np.zeros((28, 28), np.float32)
    occlusion[3, 4] = 0.5
    result = FeaturesResult(
        *("a.safetensors", "net", "test image 7 of mnist", 7, 9, 0, 9),
        probabilities=(0.0,) * 9 + (1.0,),
        classes=DIGITS,
        first_layer="Conv2d 3×3",
        weights_size=None if weights is None else weights.shape,
        stages=tuple(StageOutput(stage.operations, stage.output_size, 0, 1) for stage, _ in stages),
        occlusion=(),
        output=None,
    )
    return result, Features(np.full((28, 28), 255, np.uint8), weights, stages, occlusion)


# Arrays


def test_weights_are_images_of_kernels_or_of_units_that_see_all_pixels() -> None:
    kernels = torch.arange(2 * 3 * 5 * 5.0).view(2, 3, 5, 5)
    images = to_images(kernels)
    assert images is not None and images.shape == (6, 5, 5)
    assert images[4].tolist() == kernels[1, 1].tolist()
    units = torch.arange(3 * 784.0).view(3, 784)
    images = to_images(units)
    assert images is not None and images.shape == (3, 28, 28)
    assert images[2, 1, 4] == units[2, 32]
    assert to_images(torch.zeros(3, 785)) is None
    assert to_images(None) is None


@pytest.mark.parametrize(
    ("layers", "first"),
    [
        ((nn.MaxPool2d(2), nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(288, 10)), "Conv2d 3×3"),
        ((nn.Flatten(), nn.Linear(784, 10).requires_grad_(False)), "Linear"),
        ((nn.Flatten(), nn.AdaptiveAvgPool1d(10)), None),
    ],
)
def test_the_first_layer_is_the_first_with_weights(
    layers: Sequence[nn.Module], first: str | None
) -> None:
    found = find_first_layer(traced(*layers))
    assert (found.stage.operations[0] if found else None) == first


def test_outputs_are_maps_and_vectors_without_what_only_rearranges() -> None:
    layers = (nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten())
    outputs = list_outputs(traced(*layers, nn.Linear(2, 10)))
    assert [(stage.operations[0], values.shape) for stage, values in outputs] == [
        ("Conv2d 3×3", (2, 26, 26)),
        ("AdaptiveMaxPool2d", (2,)),
        ("Linear", (10,)),
    ]
    assert outputs[0][1].min() == 0  # after the activation
    assert outputs[1][1].tolist() == outputs[0][1].max((1, 2)).tolist()


def test_a_layer_that_keeps_the_size_is_an_output() -> None:
    outputs = list_outputs(traced(nn.Flatten(), nn.Linear(784, 784), nn.Linear(784, 10)))
    assert [values.shape for _, values in outputs] == [(784,), (10,)]


def test_the_probability_falls_where_the_network_looks() -> None:
    linear = nn.Linear(784, 10)
    linear.weight.data.zero_()[1, 28 * 9 + 6] = 5  # class 1 needs the pixel in row 9, column 6
    linear.bias.data.zero_()
    model = nn.Sequential(nn.Flatten(), linear)
    falls = _occlude(model, torch.ones(1, 28, 28), 1, float(np.exp(5) / (np.exp(5) + 9)))
    expected = np.zeros((28, 28))
    expected[7:12, 4:9] = np.exp(5) / (np.exp(5) + 9) - 0.1
    assert falls == pytest.approx(expected, abs=1e-6)


def test_each_copy_has_a_black_square_around_its_pixel() -> None:
    copies = cover(torch.ones(1, 28, 28), 5)
    assert copies.shape == (784, 1, 28, 28)
    black = 1 - copies.view(28, 28, 28, 28)
    assert black[10, 20].nonzero().tolist() == [[y, x] for y in range(8, 13) for x in range(18, 23)]
    assert int(black[0, 0].sum()) == 9 and int(black[27, 13].sum()) == 15


def test_a_shifted_image_keeps_its_pixels_and_has_black_ones_behind() -> None:
    image = np.arange(1, 785).reshape(28, 28).astype(np.uint8)
    assert np.array_equal(_shift(image, 0), image)
    assert np.array_equal(_shift(image, 3)[:, 3:], image[:, :-3])
    assert not _shift(image, 3)[:, :3].any()
    assert np.array_equal(_shift(image, -27)[:, :1], image[:, 27:])
    assert not _shift(image, -27)[:, 1:].any()


# Texts and pictures


def test_sentences_name_the_image_and_what_is_left_out() -> None:
    result, _ = made_up()
    assert headline(result) == (
        "a.safetensors on test image 7 of mnist (a 9): predicts 9 (100.00 %)"
    )
    moved = headline(replace(result, shift=-1, label=None))
    assert "test image 7 of mnist, moved 1 pixel to the left: predicts" in moved
    stage = StageOutput(("Conv2d 3×3", "ReLU"), (64, 9, 8), 0, 1)
    assert stage_title(stage, (64, 9, 8), 16) == "Conv2d 3×3, ReLU: 64 maps of 9×8, the first 16"
    assert stage_title(stage, (1, 9, 8), 16) == "Conv2d 3×3, ReLU: 1 map of 9×8"
    assert stage_title(stage, (64,), 64) == "Conv2d 3×3, ReLU: 64 units"
    assert weights_title(result, 9).endswith("Conv2d 3×3, are no images.")
    assert weights_title(replace(result, weights_size=(10, 3, 3)), 9).endswith(", the first 9")


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that would be written."""
    kept: list[Any] = []
    monkeypatch.setattr(drawing, "save_figure", lambda figure, path, words: kept.append(figure))
    return kept


def test_a_page_shows_each_value_on_a_scale(figures: list[Any]) -> None:
    maps = np.linspace(0, 2, 3 * 14 * 14, dtype=np.float32).reshape(3, 14, 14)
    weights = np.linspace(-1, 0.5, 2 * 9, dtype=np.float32).reshape(2, 3, 3)
    units = np.array((1.0, -2.0), np.float32)
    drawing.save_features(Path("a.png"), *made_up(weights=weights, pool=maps, out=units))
    _, occlusion, _, bars, *rest = figures[0].axes
    [seen] = occlusion.images
    assert seen.get_array()[3, 4] == 50 and seen.get_clim() == (-50, 50)
    assert [bar.get_width() for bar in bars.patches] == [0] * 9 + [100]
    [kernels, _, pool, _, out] = rest
    assert kernels.images[0].get_clim() == (-1, 1)
    mosaic = pool.images[0].get_array()
    assert pool.images[0].get_clim() == (0, 2)
    assert (mosaic.min(), mosaic.max()) == (0, 2)
    assert mosaic.mask.any()  # the gaps
    assert [bar.get_height() for bar in out.patches] == [1, -2]


def test_hundreds_of_channels_and_units_are_the_first_ones(figures: list[Any]) -> None:
    maps, units = np.ones((500, 2, 2), np.float32), np.ones(1000, np.float32)
    drawing.save_features(Path("a.png"), *made_up(weights=maps, conv=maps, linear=units))
    texts = [text.get_text() for text in figures[0].texts]
    assert texts[1:] == [
        "Weights of the first layer, Conv2d 3×3, the first 64",
        "conv: 500 maps of 2×2, the first 64",
        "linear: 1,000 units, the first 256",
    ]
    assert len(figures[0].axes[-1].patches) == 256
    assert figures[0].get_figheight() < 12


def test_values_of_zero_and_a_black_image_are_drawn(figures: list[Any]) -> None:
    zero = np.zeros((1, 3, 3), np.float32)
    result, features = made_up(weights=zero, conv=zero, linear=np.zeros(10, np.float32))
    nothing = np.zeros((28, 28), np.float32)
    black = replace(features, image=nothing.astype(np.uint8), occlusion=nothing)
    drawing.save_features(Path("a.png"), result, black)
    figures[0].draw_without_rendering()


def test_of_many_classes_the_likeliest_have_bars(figures: list[Any]) -> None:
    result, features = made_up(out=np.ones(3, np.float32))
    chances = tuple(number / 78 for number in range(13))  # the least three have no bar
    many = replace(result, probabilities=chances, prediction=12, classes=tuple("abcdefghijklm"))
    drawing.save_features(Path("a.png"), many, features)
    bars = figures[0].axes[3]
    assert [label.get_text() for label in bars.get_yticklabels()] == list("defghijklm")
    assert "the 10 likeliest classes" in bars.get_title(loc="left")
    assert bars.patches[-1].get_facecolor() != bars.patches[0].get_facecolor()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_terminal_draws_within_its_width(width: int) -> None:
    maps = np.zeros((40, 7, 7), np.float32)
    maps[0, 0, 0], maps[1] = 2, 1
    signed = np.array((-1, 0, 1) * 50, np.float32)
    file = io.StringIO()
    console = Console(file=file, width=width)
    console.print(draw_features(console, *made_up(pool=maps, out=signed)))
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    columns = (width + 2) // 16
    text = " ".join(file.getvalue().split())
    assert f"pool: 40 maps of 7×7, the first {2 * columns}, from 0 (dark) to 2 (light)" in text
    assert f"out: 150 units, the first {width}, from -1 (dark) to 1 (light)" in text
    numbers = next(number for number, line in enumerate(lines) if line.startswith("0   "))
    assert lines[numbers].split() == [str(number) for number in range(columns)]
    assert lines[numbers + 1].rstrip() == "@@" + " " * 14 + "+" * 14
    assert (" +@" * 50)[:width] in lines


# The command


@pytest.fixture
def trained(run_cli: RunCli) -> str:
    assert run_cli("train", "tinycnn", *FAST).code == ExitCode.OK
    return "tinycnn.safetensors"


def test_a_test_image_is_followed_and_where_it_matters_is_found(
    run_cli: RunCli, trained: str
) -> None:
    result = run_cli("show-features", trained, "--index", 7, "--json").json
    predicted = run_cli(
        *("show-samples", "--checkpoint", trained, "--split", "test", "--count", 1000, "--json")
    ).json["samples"]
    sample = next(each for each in predicted if each["index"] == 7)
    assert (result["label"], result["prediction"]) == (sample["label"], sample["prediction"])
    assert [stage["output_size"] for stage in result["stages"]] == [
        *([4, 28, 28], [4, 14, 14], [8, 14, 14], [8, 7, 7], [10]),
    ]
    assert result["stages"][0]["least"] == 0 < result["stages"][0]["most"]
    assert result["weights_size"] == [4, 3, 3]
    assert sum(result["probabilities"]) == pytest.approx(1)
    occlusion = np.array(result["occlusion"])
    _, (images, _) = read_mnist5k()
    near = images_to_device(images[7:8], torch.device("cpu"))
    is_near = nn.functional.max_pool2d(near, 5, 1, 2)[0, 0].numpy() > 0
    assert np.abs(occlusion[~is_near]).max() < 1e-6 < 0.001 < occlusion[is_near].max()


def test_a_shift_keeps_the_values_of_a_convolution_but_not_the_logits(
    run_cli: RunCli, trained: str
) -> None:
    here, there = (
        run_cli("show-features", trained, "--shift", shift, "--json").json for shift in (0, 2)
    )
    assert (here["shift"], there["shift"]) == (0, 2)
    assert here["stages"][0]["most"] == pytest.approx(there["stages"][0]["most"])
    assert here["stages"][-1] != there["stages"][-1]


def test_a_picture_is_drawn_on_a_page(run_cli: RunCli, trained: str) -> None:
    digit = read_mnist5k()[1][0][7]
    Image.fromarray(digit).save("seven.png")
    raw = run_cli("show-features", trained, "seven.png", "--raw", "--json").json
    same = run_cli("show-features", trained, "--index", 7, "--json").json
    assert raw["probabilities"] == same["probabilities"]
    assert (raw["image"], raw["index"], raw["label"]) == ("seven.png", None, None)
    for name in ("a.png", "a.svg", "a.pdf"):
        outcome = run_cli("show-features", trained, "seven.png", "--output", name)
        assert (outcome.code, outcome.out) == (ExitCode.OK, f"Saved as {name}.\n")
    with Image.open("a.png") as page:
        assert page.width == 1000
        assert "seven.png: predicts" in str(page.info["Description"])


def test_weights_of_shuffled_pixels_are_shown_where_the_pixels_are(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_cli("train", "mlp", "--shuffle-pixels", *FAST).code == ExitCode.OK
    weights = load(Path("mlp.safetensors")).tensors["model.layers.1.weight"]
    drawn: list[Features] = []
    monkeypatch.setattr(drawing, "save_features", lambda path, result, its: drawn.append(its))
    assert run_cli("show-features", "mlp.safetensors", "--output", "a.png").code == ExitCode.OK
    assert drawn[0].weights is not None
    pixel = int(PIXEL_ORDER[5])  # the network's sixth input
    assert np.array_equal(drawn[0].weights.reshape(32, 784)[:, pixel], weights[:, 5].numpy())


def test_a_network_without_convolutions_is_drawn(run_cli: RunCli) -> None:
    code = """
    from torch import nn
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.out = nn.LSTM(28, 8, batch_first=True), nn.Linear(8, 10)
        def forward(self, images):
            return self.out(self.lstm(images.squeeze(1))[0][:, -1])
    """
    write_files({"own.py": code.replace("\n    ", "\n")})
    assert run_cli("train", "own.py:Recurrent", *FAST).code == ExitCode.OK
    own = ("show-features", "Recurrent.safetensors", "--model", "own.py:Recurrent")
    out = run_cli(*own).out
    assert "The weights of the first layer, LSTM, are no images." in out
    assert "LSTM: 1 map of 28×8" in out and "Linear: 10 units" in out
    assert run_cli(*own, "--output", "a.png").code == ExitCode.OK


def test_bad_input_is_one_line(run_cli: RunCli, trained: str) -> None:
    Path("blank.pgm").write_bytes(b"P2 9 9 1 " + b"0 " * 81)
    for arguments, code, reason in (
        (("--index", 1000), ExitCode.USAGE, "mnist5k has the test images 0 to 999: there is no"),
        (("blank.pgm", "--index", 1), ExitCode.USAGE, "give an image or --index, not both"),
        (("--raw",), ExitCode.USAGE, "--raw needs an image"),
        (("--shift", 28), ExitCode.USAGE, "must be from -27 to 27, not 28"),
        (("--output", trained), ExitCode.USAGE, "cannot replace tinycnn.safetensors"),
        (("blank.pgm",), ExitCode.FAILURE, "blank.pgm: there is no digit on it"),
        (("blank.pgm", "--raw"), ExitCode.FAILURE, "blank.pgm: it is not 28x28 pixels"),
        (("none.png",), ExitCode.FAILURE, "cannot read none.png"),
    ):
        outcome = run_cli("show-features", trained, *map(str, arguments))
        assert (outcome.code, outcome.out) == (code, ""), arguments
        assert reason in outcome.err and len(outcome.err.splitlines()) == 1
