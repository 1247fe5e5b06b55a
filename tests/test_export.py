"""`export`: files that other programs load."""

import importlib.util
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from mnist_cli.errors import ExitCode, MnistCliError
from mnist_cli.networks.article import MLP
from mnist_cli.networks.formats import FORMATS, Format
from mnist_cli.workflows.export import _check
from tests.conftest import RunCli

FAST = ("--epochs", 1, "--dataset", "mnist5k", "--quiet")
OWN = """
from torch import nn

def norm():
    return nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(784, 10))

class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(784, 784), nn.Linear(784, 784)
        self.last = nn.Linear(784, 10)
        self.second.weight = self.first.weight
    def forward(self, images):
        return self.last(self.second(self.first(images.flatten(1)).relu()))

class Choosy(Tied):
    def forward(self, images):
        return super().forward(images if images.sum() > 3 else images + 1)
"""


@pytest.fixture
def checkpoint(run_cli: RunCli) -> str:
    assert run_cli("train", "mlp", *FAST).code == ExitCode.OK
    return "mlp.safetensors"


@pytest.fixture
def own() -> None:
    Path("own.py").write_text(OWN, encoding="utf-8")


def images(count: int = 7) -> torch.Tensor:
    return torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def logits(checkpoint: str) -> torch.Tensor:
    """What the network of a checkpoint says of `images`."""
    tensors = load_file(checkpoint)
    model = MLP().eval()
    model.load_state_dict(
        {key.removeprefix("model."): t for key, t in tensors.items() if key.startswith("model.")}
    )
    result: torch.Tensor = model(images())
    return result


def check_metadata(metadata: dict[str, str]) -> None:
    assert json.loads(metadata["classes"]) == list("0123456789")
    assert metadata["preprocessing"].startswith("float32 Nx1x28x28, pixels divided by 255")
    assert json.loads(metadata["training"])["model"] == "mlp"


def test_safetensors_is_the_state_dict(run_cli: RunCli, checkpoint: str) -> None:
    outcome = run_cli("export", checkpoint, "--output", "w.safetensors")
    assert logging.getLogger("others").isEnabledFor(logging.WARNING)  # they may log again
    size = Path("w.safetensors").stat().st_size / 1e3
    assert outcome.out.splitlines() == [
        f"Saved mlp of mlp.safetensors as w.safetensors, {size:.1f} kB.",
        "Checked on 1,000 test images of mnist5k: the same classes and logits.",
    ]
    model = MLP().eval()
    model.load_state_dict(load_file("w.safetensors"))
    with torch.no_grad():
        assert torch.equal(model(images()), logits(checkpoint))
    with safe_open("w.safetensors", "pt") as file:
        check_metadata(file.metadata())
    refused = run_cli("eval", "w.safetensors")
    assert "w.safetensors is not a checkpoint of mnist-cli" in refused.err


def test_pt2_is_loaded_by_torch(run_cli: RunCli, checkpoint: str) -> None:
    result = run_cli("export", checkpoint, "--output", "net.pt2", "--json").json
    assert (result["num_samples"], result["output"]) == (1000, "net.pt2")
    assert result["max_difference"] < 1e-4
    extra = {"mnist-cli.json": ""}
    program = torch.export.load("net.pt2", extra_files=extra)
    check_metadata(json.loads(extra["mnist-cli.json"]))
    with torch.no_grad():
        for count in (1, 7):
            assert torch.allclose(
                program.module()(images(7)[:count]), logits(checkpoint)[:count], atol=1e-4
            )


def test_onnx_is_run_by_others(run_cli: RunCli, checkpoint: str) -> None:
    pytest.importorskip("onnxscript")
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    outcome = run_cli("export", checkpoint, "--output", "net.onnx")
    assert outcome.code == ExitCode.OK, outcome.err
    checked = importlib.util.find_spec("onnxruntime") is not None
    assert ("Checked on 1,000" in outcome.out) == checked
    proto = onnx.load("net.onnx")
    onnx.checker.check_model(proto)
    check_metadata({entry.key: entry.value for entry in proto.metadata_props})
    for count in (1, 7):
        [answer] = ReferenceEvaluator(proto).run(None, {"images": images().numpy()[:count]})
        assert np.abs(answer - logits(checkpoint)[:count].numpy()).max() < 1e-4
    again = run_cli("export", checkpoint, "--output", "net.onnx")
    assert again.code == ExitCode.OK


def test_without_its_packages_onnx_says_what_to_install(
    run_cli: RunCli, checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnist_cli.networks.formats.find_spec", lambda name: None)
    outcome = run_cli("export", checkpoint, "--output", "net.onnx")
    assert outcome.code == ExitCode.FAILURE
    assert outcome.err.endswith("error: ONNX needs more packages: pip install 'mnist-cli[onnx]'\n")
    assert not Path("net.onnx").exists()


@pytest.mark.parametrize("suffix", [".pt2", ".safetensors"])
@pytest.mark.parametrize("name", ["norm", "Tied"])
def test_buffers_and_tied_weights(run_cli: RunCli, own: None, name: str, suffix: str) -> None:
    target = f"own.py:{name}"
    assert run_cli("train", target, *FAST, "--output", "c.safetensors").code == ExitCode.OK
    refused = run_cli("export", "c.safetensors", "--output", f"out{suffix}")
    assert refused.code == ExitCode.USAGE
    assert "--model" in refused.err
    done = run_cli("export", "c.safetensors", "--output", f"out{suffix}", "--model", target)
    assert done.code == ExitCode.OK, done.err


def test_a_network_that_looks_at_values_is_refused(run_cli: RunCli, own: None) -> None:
    assert run_cli("train", "own.py:Choosy", *FAST, "--output", "c.safetensors").code == ExitCode.OK
    for path, code in (("a.pt2", ExitCode.FAILURE), ("a.safetensors", ExitCode.OK)):
        outcome = run_cli("export", "c.safetensors", "--output", path, "--model", "own.py:Choosy")
        assert outcome.code == code
        assert Path(path).exists() == (code == ExitCode.OK)
        if code:
            [line] = outcome.err.splitlines()
            assert line.startswith("error: the network cannot be exported")
            assert line.endswith(".safetensors has no such limit")


@pytest.mark.parametrize("error", [2e-4, 1e3, float("nan")])
def test_an_export_that_is_another_network_is_not_written(
    run_cli: RunCli, checkpoint: str, monkeypatch: pytest.MonkeyPatch, error: float
) -> None:
    def run_wrong(content: bytes, model: nn.Module) -> nn.Module:
        last = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]
        shifted = Wrong(model, torch.eye(10)[0] * error)
        assert last.out_features == 10
        return shifted

    format_ = FORMATS[".pt2"]
    monkeypatch.setitem(FORMATS, ".pt2", Format(format_.write, run_wrong))
    outcome = run_cli("export", checkpoint, "--output", "net.pt2")
    assert outcome.code == ExitCode.FAILURE
    assert outcome.err.startswith("error: the export does not match the network: ")
    assert list(Path().glob("*net.pt2*")) == []


def test_another_class_is_another_network_though_the_logits_are_close() -> None:
    expected = torch.eye(10)[:1] * 5e-5
    with pytest.raises(MnistCliError, match="1 test image in another class, logits differ by up"):
        _check(lambda batch: expected.flip(1), expected, images(1))
    assert _check(lambda batch: expected * 2, expected, images(1)) == pytest.approx(5e-5)


class Wrong(nn.Module):
    """Another network by a constant."""

    def __init__(self, model: nn.Module, error: torch.Tensor) -> None:
        super().__init__()
        self.model = model
        self.error = error

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.model(batch) + self.error
        return result


def test_nothing_of_another_kind_is_replaced(run_cli: RunCli, checkpoint: str) -> None:
    Path("copy.safetensors").write_bytes(Path(checkpoint).read_bytes())
    for name in ("x.onnx", "x.pt2"):
        Path(name).write_bytes(b"PK or something else")
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    for output, reason in (
        (checkpoint, "--output cannot replace mlp.safetensors, the file of CHECKPOINT"),
        ("copy.safetensors", "copy.safetensors already exists and is no weights export"),
        ("x.onnx", "x.onnx already exists and is no ONNX export"),
        ("x.pt2", "x.pt2 already exists and is no PT2 export"),
        ("x.pt", "--output x.pt must end in .onnx, .pt2, .safetensors"),
        ("-", "--output - must end in"),
    ):
        outcome = run_cli("export", checkpoint, "--output", output)
        assert outcome.code == ExitCode.USAGE
        assert outcome.err.startswith(f"error: {reason}")
    assert {path: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before
    run_cli("export", checkpoint, "--output", "w.safetensors")
    trained = run_cli("train", "mlp", "--output", "w.safetensors", *FAST)
    assert trained.code == ExitCode.USAGE  # nor may a checkpoint take the place of an export


def test_checking_a_file_leaves_the_network_as_it_is() -> None:
    model, other = MLP(), MLP()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    run = FORMATS[".safetensors"].read(FORMATS[".safetensors"].write(other, {}), model)
    assert run is not None
    assert torch.equal(run(images()), other(images()))
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
