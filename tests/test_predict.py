"""`predict` from the command line."""

import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mnist_cli.data.mnist5k import read_mnist5k
from mnist_cli.errors import ExitCode, MnistCliError
from mnist_cli.workflows.shared import predict_probabilities
from tests.conftest import RunCli

FAST = ("--epochs", 6, "--dataset", "mnist5k", "--quiet")
OWN = """
from torch import nn

def soft():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Softmax(1))
"""


@pytest.fixture
def checkpoint(run_cli: RunCli) -> str:
    assert run_cli("train", "mlp", *FAST).code == ExitCode.OK
    return "mlp.safetensors"


def write_digits(*labels: int) -> None:
    """Dark on light and four times as large, as `LABEL.png`."""
    _, (images, truth) = read_mnist5k()
    for label in labels:
        image = Image.fromarray(255 - images[truth == label][3])
        image.resize((112, 112)).save(f"{label}.png")


def test_digits_are_recognised_and_drawn(run_cli: RunCli, checkpoint: str) -> None:
    write_digits(0, 1, 6)
    outcome = run_cli("predict", checkpoint, "0.png", "1.png", "6.png")
    assert (outcome.code, outcome.err) == (ExitCode.OK, "")
    assert outcome.out.startswith("Predicted by mlp.safetensors: mlp, trained on mnist5k\n")
    assert "Every picture gets one digit" in outcome.out
    assert outcome.out.count("@") > 20
    rows = [line.split()[:2] for line in outcome.out.splitlines() if ".png  " in line]
    assert rows[-3:] == [["0.png", "0"], ["1.png", "1"], ["6.png", "6"]]


def test_json_has_probabilities_and_whether_they_are_low(run_cli: RunCli, checkpoint: str) -> None:
    write_digits(*range(10))
    pictures = run_cli("predict", checkpoint, ".", "--json").json["pictures"]
    assert [picture["picture"] for picture in pictures] == [f"{label}.png" for label in range(10)]
    for picture in pictures:
        probabilities = picture["probabilities"]
        assert sum(probabilities) == pytest.approx(1)
        assert probabilities[picture["prediction"]] == max(probabilities)
        assert picture["low_confidence"] == (max(probabilities) < 0.9)
    low = [picture["picture"] for picture in pictures if picture["low_confidence"]]
    assert 0 < len(low) < 10
    out = run_cli("predict", checkpoint, ".").out
    starred = [line.split()[0] for line in out.splitlines() if "%*" in line and ".png" in line]
    assert starred == low
    assert "* Confidence below 90 %" in out


def test_raw_is_what_eval_sees(run_cli: RunCli, checkpoint: str) -> None:
    _, (images, _truth) = read_mnist5k()
    for index, image in enumerate(images[::25]):
        Image.fromarray(image).save(f"{index:02}.png")
    pictures = run_cli("predict", checkpoint, ".", "--raw", "--json").json["pictures"]
    shown = run_cli(
        *("show-samples", "--checkpoint", checkpoint, "--split", "test", "--count", 1000),
        *("--dataset", "mnist5k", "--json"),
    ).json["samples"]
    expected = {sample["index"]: sample["prediction"] for sample in shown}
    assert [p["prediction"] for p in pictures] == [expected[25 * index] for index in range(40)]
    write_digits(4)
    refused = run_cli("predict", checkpoint, "4.png", "--raw")
    assert refused.err == "error: 4.png: it is not 28x28 pixels; omit --raw to convert it\n"
    assert refused.code == ExitCode.FAILURE


def test_what_cannot_be_read_is_one_line_and_the_others_go_on(
    run_cli: RunCli, checkpoint: str
) -> None:
    write_digits(0)
    Path("text.png").write_text("no picture", encoding="utf-8")
    Image.new("L", (50, 50), 255).save("blank.png")
    Path("none").mkdir()
    pictures = ("text.png", "0.png", "blank.png", "missing.png", "none")
    outcome = run_cli("predict", checkpoint, *pictures, "--quiet")
    assert outcome.code == ExitCode.FAILURE
    assert [line.partition(" ")[2].split(":")[0] for line in outcome.err.splitlines()] == [
        "text.png is not a picture that can be read; save it as PNG or JPEG",
        "blank.png",
        "cannot read missing.png",
        "none has no pictures",
    ]
    assert "0.png" in outcome.out
    document = run_cli("predict", checkpoint, *pictures, "--json").json
    assert [p["prediction"] for p in document["pictures"]] == [None, 0, None, None, None]
    assert [bool(p["failure"]) for p in document["pictures"]] == [True, False, True, True, True]
    nothing = run_cli("predict", checkpoint, "text.png")
    assert (nothing.code, nothing.out) == (ExitCode.FAILURE, "")


def test_standard_input(run_cli: RunCli, checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_digits(6)
    monkeypatch.setattr(
        sys, "stdin", SimpleNamespace(buffer=io.BytesIO(Path("6.png").read_bytes()))
    )
    [picture] = run_cli("predict", checkpoint, "-", "--json").json["pictures"]
    assert (picture["picture"], picture["prediction"]) == ("-", 6)


def test_a_closed_standard_input_is_one_line(checkpoint: str) -> None:
    code = "import os, sys; os.close(0); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    command = [sys.executable, "-c", code, "-m", "mnist_cli", "predict", checkpoint, "-"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert finished.returncode == ExitCode.FAILURE
    assert finished.stderr.splitlines() == [
        "error: standard input is not a picture that can be read; save it as PNG or JPEG"
    ]


def test_custom_networks_are_named(run_cli: RunCli) -> None:
    Path("nets.py").write_text(OWN, encoding="utf-8")
    write_digits(1)
    assert run_cli("train", "nets.py:soft", *FAST).code == ExitCode.OK
    refused = run_cli("predict", "soft.safetensors", "1.png")
    assert refused.code == ExitCode.USAGE
    assert "--model" in refused.err
    judged = run_cli("predict", "soft.safetensors", "1.png", "--model", "nets.py:soft")
    assert judged.code == ExitCode.OK
    assert "seems to end in softmax" in judged.err


def test_outputs_of_which_some_are_not_finite_are_an_error() -> None:
    class Divides(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1)[:, :10] / images.amax((1, 2, 3))[:, None]

    black_and_white = torch.stack([torch.zeros(1, 28, 28), torch.ones(1, 28, 28)])
    with pytest.raises(MnistCliError, match="the network's outputs are not finite"):
        predict_probabilities(Divides(), black_and_white)


@pytest.mark.parametrize("name", ["new\nline.png", "back\\slash.png", "[bold]x.png", "é漢.png"])
def test_names_of_all_kinds(run_cli: RunCli, checkpoint: str, name: str) -> None:
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 13:15] = 255
    Image.fromarray(image).save(name, format="PNG")
    outcome = run_cli("predict", checkpoint, name)
    assert outcome.code == ExitCode.OK
    assert name.split("\n", maxsplit=1)[0] in outcome.out
