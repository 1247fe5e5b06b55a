"""The five commands, run in this process on the bundled images."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import torch
from safetensors import safe_open

from mnist_cli.data.mnist5k import read_mnist5k
from mnist_cli.errors import ExitCode
from mnist_cli.networks import registry
from mnist_cli.schema.augmentation import KINDS, Augmentation
from mnist_cli.schema.datasets import DatasetName
from mnist_cli.schema.events import EpochFinished
from mnist_cli.schema.options import DataOptions, SamplesOptions, TrainOptions
from mnist_cli.schema.protocol import Recipe, Settings
from mnist_cli.training import checkpoint, recipes
from mnist_cli.training.augmentation import augment
from mnist_cli.training.examples import images_to_device
from mnist_cli.workflows.show_samples import choose_samples
from mnist_cli.workflows.train import train_network
from tests.conftest import RunCli, write_dataset

MNIST5K_SHA256 = "116356584b3a172cab8e864640b2d802a262359680d07ff969c0d6dc617f0a6b"
FAST = ("--dataset", "mnist5k", "--quiet")
NOT_COMPARABLE = "not comparable with published MNIST accuracy"
OWN = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(784, 10), nn.LogSoftmax(dim=1))
"""


def weights(path: str | Path) -> dict[str, torch.Tensor]:
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def same_tensors(first: str | Path, second: str | Path) -> bool:
    one, two = weights(first), weights(second)
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


@pytest.fixture
def own_network() -> str:
    Path("own.py").write_text(OWN)
    return "own.py:Net"


# train


def test_train_prints_a_table_and_saves(run_cli: RunCli) -> None:
    outcome = run_cli("train", "MLP", "--epochs", 2, "--dataset", "mnist5k")
    assert outcome.code == ExitCode.OK
    assert NOT_COMPARABLE in outcome.out.splitlines()[0]
    assert "Saved as mlp.safetensors." in outcome.out
    assert len(outcome.err.splitlines()) == 2
    assert outcome.err.startswith("mlp: epoch 1/2, train loss ")
    assert Path("mlp.safetensors").is_file()


def test_train_json(run_cli: RunCli) -> None:
    outcome = run_cli("train", "tinycnn", "--epochs", 2, "--seed", 5, "--json", *FAST)
    assert outcome.err == ""
    result = outcome.json
    assert set(result) == {
        "model",
        "parameters",
        "dataset",
        "environment",
        "protocol",
        "code",
        "precision",
        "precision_reason",
        "seed",
        "epochs",
        "test_accuracy",
        "test_loss",
        "balanced_accuracy",
        "train_seconds",
        "tensors_sha256",
        "checkpoint",
    }
    assert (result["model"], result["parameters"], result["seed"]) == ("tinycnn", 4266, 5)
    assert result["dataset"] == {
        "name": "mnist5k",
        "num_train": 4000,
        "num_test": 1000,
        "sha256": MNIST5K_SHA256,
        "note": NOT_COMPARABLE,
        "test_sha256": result["dataset"]["test_sha256"],
        "hold_out": 0,
        "holds_out_val": False,
        "as_digits": False,
        "classes": list("0123456789"),
        "class_sizes": [100] * 10,
    }
    assert {"device", "threads", "torch", "python"} <= set(result["environment"])
    assert result["protocol"] == {
        "recipe": "article",
        "epochs": 2,
        "batch_size": 64,
        "lr": 0.001,
        "optimizer": "adam",
        "beta2": 0.999,
        "momentum": 0.0,
        "nesterov": False,
        "weight_decay": 0.0,
        "schedule": "constant",
        "warmup": 0.0,
        "dropout": 1.0,
        "augment": dict.fromkeys(KINDS, 0.0),
        "shuffle_pixels": False,
    }
    last = result["epochs"][-1]
    assert set(last) == {"epoch", "train_loss", "test_loss", "test_accuracy", "train_seconds"}
    assert [epoch["epoch"] for epoch in result["epochs"]] == [1, 2]
    assert result["test_accuracy"] == last["test_accuracy"]
    assert 0.7 < result["test_accuracy"] < 1
    assert result["train_seconds"] == sum(epoch["train_seconds"] for epoch in result["epochs"])
    assert result["checkpoint"] == "tinycnn.safetensors"


def test_the_same_command_gives_the_same_weights(run_cli: RunCli) -> None:
    results = [
        run_cli("train", "cnn", "--epochs", 1, "--json", "--output", name, *FAST).json
        for name in ("a.safetensors", "b.safetensors")
    ]
    assert same_tensors("a.safetensors", "b.safetensors")
    assert results[0]["tensors_sha256"] == results[1]["tensors_sha256"]


@pytest.mark.parametrize("network", ["cnn", "own.py:net"])
def test_a_resumed_training_equals_an_unbroken_one(run_cli: RunCli, network: str) -> None:
    # With randomness of its own and statistics beside the weights, as both must be restored.
    layers = "nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10), nn.BatchNorm1d(10)"
    Path("own.py").write_text(f"from torch import nn\ndef net(): return nn.Sequential({layers})")
    unbroken = run_cli(
        "train", network, "--epochs", 3, "--output", "whole.safetensors", "--json", *FAST
    )
    run_cli("train", network, "--epochs", 1, "--output", "part.safetensors", *FAST)
    resumed = run_cli(
        "train", network, "--epochs", 3, "--resume", "part.safetensors", "--json", *FAST
    )
    assert same_tensors("whole.safetensors", "part.safetensors")
    assert resumed.json["checkpoint"] == "part.safetensors"
    times = [epoch["train_seconds"] for epoch in resumed.json["epochs"]]
    assert resumed.json["train_seconds"] == pytest.approx(sum(times))
    assert [epoch["train_loss"] for epoch in resumed.json["epochs"]] == [
        epoch["train_loss"] for epoch in unbroken.json["epochs"]
    ]


def test_resuming_takes_the_dataset_of_the_checkpoint(run_cli: RunCli) -> None:
    run_cli("train", "mlp", "--epochs", 1, *FAST)
    files = ("--resume", "mlp.safetensors", "--output", "2.safetensors")
    resumed = run_cli("train", "mlp", "--epochs", 2, *files, "--json")
    assert resumed.json["dataset"]["name"] == "mnist5k"
    assert len(resumed.json["epochs"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mlp", "--epochs", 3, "--lr", 0.01), "to resume it give --lr 0.001"),
        (("mlp", "--epochs", 3, "--batch-size", 32), "to resume it give --batch-size 64"),
        (("mlp", "--epochs", 3, "--seed", 1), "to resume it give --seed 0"),
        (("mlp", "--epochs", 3, "--precision", "bf16"), "to resume it give --precision fp32"),
        (("mlp", "--epochs", 3, "--dataset", "mnist"), "to resume it give --dataset mnist5k"),
        (("cnn", "--epochs", 3), "to resume it give MODEL mlp"),
        (("mlp", "--epochs", 1), "has 1 epoch already; ask for more with --epochs 2"),
    ],
)
def test_resuming_another_training_is_refused(
    run_cli: RunCli, arguments: tuple[Any, ...], message: str
) -> None:
    run_cli("train", "mlp", "--epochs", 1, *FAST)
    before = Path("mlp.safetensors").read_bytes()
    outcome = run_cli("train", *arguments, "--resume", "mlp.safetensors")
    assert (outcome.code, outcome.out) == (ExitCode.USAGE, "")
    assert message in outcome.err
    assert Path("mlp.safetensors").read_bytes() == before


def test_resuming_with_another_number_of_threads_is_refused(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_cli("train", "mlp", "--epochs", 1, *FAST)
    saved = checkpoint.load(Path("mlp.safetensors"))
    trained_in = replace(saved.record.environment, threads=3)
    other = replace(saved, record=replace(saved.record, environment=trained_in))
    monkeypatch.setattr(checkpoint, "load", lambda path: other)
    command = ("train", "mlp", "--epochs", 2, "--resume", "mlp.safetensors", "--threads", 1)
    outcome = run_cli(*command)
    assert outcome.code == ExitCode.USAGE
    assert "was trained with other settings; to resume it give --threads 3" in outcome.err


def test_other_images_of_the_same_name(run_cli: RunCli) -> None:
    for folder in ("data", "other"):
        write_dataset(Path(folder, "KMNIST"))
    images = Path("other", "KMNIST", "raw", "train-images-idx3-ubyte")
    images.write_bytes(images.read_bytes()[:-1] + b"!")
    run_cli("train", "mlp", "--epochs", 1, "--dataset", "kmnist", "--data-dir", "data", "--quiet")
    evaluated = run_cli("eval", "mlp.safetensors", "--data-dir", "data", "--json").json
    assert (evaluated["dataset"]["name"], evaluated["num_samples"]) == ("kmnist", 20)
    resumed = ("--epochs", 2, "--resume", "mlp.safetensors", "--data-dir")
    refused = run_cli("train", "mlp", *resumed, "other")
    assert refused.code == ExitCode.USAGE
    assert "mlp.safetensors was trained on other images called kmnist" in refused.err
    assert run_cli("train", "mlp", *resumed, "data").code == ExitCode.OK


def test_replacing_a_checkpoint_is_announced(run_cli: RunCli) -> None:
    run_cli("train", "mlp", "--epochs", 1, *FAST)
    outcome = run_cli("train", "mlp", "--epochs", 1, "--dataset", "mnist5k")
    assert "notice: mlp.safetensors will be replaced" in outcome.err


def test_a_gate_that_is_not_met_still_prints_and_saves(run_cli: RunCli) -> None:
    outcome = run_cli("train", "mlp", "--epochs", 1, "--min-accuracy", 0.999, "--json", *FAST)
    assert outcome.code == ExitCode.GATE_NOT_MET
    assert 0 < outcome.json["test_accuracy"] < 0.999
    accuracy = outcome.json["test_accuracy"]
    assert outcome.err == (
        f"gate not met: test accuracy {accuracy * 100:.2f} % (1 seed) is below "
        "--min-accuracy 0.999\n"
    )
    met = run_cli("eval", "mlp.safetensors", "--min-accuracy", accuracy)
    assert met.code == ExitCode.OK
    assert met.err.startswith("gate met: test accuracy ")
    assert met.err.endswith(f" equals --min-accuracy {accuracy:g}\n")
    assert run_cli("eval", "mlp.safetensors", "--min-accuracy", accuracy, "--quiet").err == ""
    missed = run_cli("eval", "mlp.safetensors", "--min-accuracy", 0.999)
    assert missed.code == ExitCode.GATE_NOT_MET
    assert "Confusion matrix" in missed.out


def test_a_network_that_cannot_be_saved_is_not_trained(run_cli: RunCli) -> None:
    Path("own.py").write_text(
        f"{OWN}\nclass Counts(Net):\n    def get_extra_state(self):\n        return 3\n"
        "    def set_extra_state(self, state):\n        pass\n"
    )
    outcome = run_cli("train", "own.py:Counts", "--dataset", "mnist5k")
    assert outcome.code == ExitCode.FAILURE
    assert outcome.err == "error: cannot save model._extra_state: its type is int, not Tensor\n"


FAILING = """
import torch
from torch import nn

class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(784, 10)

class Raises(Base):
    def forward(self, images):
        if self.training:
            raise ValueError("only when\\nit trains")
        return self.linear(images.flatten(1))

class Detached(Base):
    def forward(self, images):
        return self.linear(images.flatten(1)).detach()

class Leaves(Base):
    def forward(self, images):
        if self.training:
            raise SystemExit(0)
        return self.linear(images.flatten(1))

class Size(Base):
    def forward(self, images):
        assert len(images) != 3999, "a size of its own"
        return self.linear(images.flatten(1))

def last_batch_of_one():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.BatchNorm1d(10))
"""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Raises", "ValueError: only when it trains"),
        ("Detached", "does not require grad"),
        ("Leaves", "SystemExit: 0"),
        ("Size", "AssertionError: a size of its own"),
        ("last_batch_of_one", "Expected more than 1 value per channel"),
    ],
)
def test_a_network_that_fails_in_training_is_one_line(
    run_cli: RunCli, name: str, reason: str
) -> None:
    Path("own.py").write_text(FAILING)
    outcome = run_cli("train", f"own.py:{name}", "--batch-size", 3999, *FAST)
    assert (outcome.code, outcome.out) == (ExitCode.FAILURE, "")
    assert outcome.err.startswith("error: the network failed in ")
    assert reason in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_what_a_network_prints_is_no_result(run_cli: RunCli) -> None:
    Path("own.py").write_text(f"print('imported')\n{OWN}\n        print('made')")
    for command in (("train", "own.py:Net", "--epochs", 1, *FAST), ("summary", "own.py:Net")):
        outcome = run_cli(*command, "--json")
        assert outcome.code == ExitCode.OK
        assert outcome.json
        assert outcome.err.split()[:2] == ["imported", "made"]


def test_resuming_other_parameters_is_refused(run_cli: RunCli) -> None:
    layers = "net = nn.Sequential(nn.Flatten(), nn.Linear(784, 9), nn.Linear(9, 10))"
    Path("own.py").write_text(
        f"from torch import nn\ndef make():\n    {layers}\n    return net\n"
        "def frozen():\n    net = make()\n    net[1].requires_grad_(False)\n    return net\n"
    )
    run_cli("train", "own.py:make", "--epochs", 1, "--output", "x.safetensors", *FAST)
    outcome = run_cli("train", "own.py:frozen", "--epochs", 2, "--resume", "x.safetensors", *FAST)
    assert outcome.code == ExitCode.FAILURE
    assert "trained with other trainable parameters" in outcome.err


def test_a_failed_save_claims_nothing(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> Any:
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr("mnist_cli.system.files.replacing", full)
    outcome = run_cli("train", "mlp", "--epochs", 1, "--dataset", "mnist5k")
    assert outcome.code == ExitCode.FAILURE
    assert outcome.err == (
        "error: cannot write mlp.safetensors: No space left on device; choose another output file\n"
    )


def test_a_home_folder_is_expanded(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dataset(Path("home", "KMNIST"))
    monkeypatch.setenv("HOME", str(Path("home").resolve()))
    monkeypatch.setenv("USERPROFILE", str(Path("home").resolve()))
    result = run_cli("show-samples", "--dataset", "kmnist", "--data-dir", "~", "--json")
    assert result.json["dataset"]["num_train"] == 40


def test_a_diverging_training_stops_in_one_line(run_cli: RunCli) -> None:
    outcome = run_cli("train", "mlp", "--lr", "1e30", *FAST)
    assert (outcome.code, outcome.out) == (ExitCode.FAILURE, "")
    assert "not finite" in outcome.err
    assert "epoch 1, step" in outcome.err
    assert not Path("mlp.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "resnet"), "choose from mlp, tinycnn, cnn, strongcnn"),
        (("train",), "Missing argument 'MODEL'"),
        (
            ("train", "mlp", "--epochs", "0"),
            "Invalid value for '--epochs': must be 1 or more, not 0;",
        ),
        (("train", "mlp", "--epochs", "many"), "for '--epochs': 'many' is not a whole number;"),
        (
            ("train", "mlp", "--batch-size", "0"),
            "'--batch-size': must be from 1 to 1000000, not 0;",
        ),
        (("train", "mlp", "--lr", "0"), "'--lr': must be a positive number"),
        (("train", "mlp", "--lr", "nan"), "'--lr': must be a positive number"),
        (("train", "mlp", "--seed", "-1"), "'--seed': must be 0 or more, not -1;"),
        (("train", "mlp", "--batch-size", "9" * 30), "must be from 1 to 1000000, not 999"),
        (("train", "mlp", "--device", "cuda:" + "9" * 20), "is not one of auto, cpu"),
        (("train", "mlp", "--device", "tpu"), "'--device': 'tpu' is not one of"),
        (("train", "mlp", "--device", "cuda:99"), "device cuda:99 is not available"),
        (
            ("train", "mlp", "--dataset", "cifar"),
            "--dataset cifar is neither a file or folder nor one of auto,",
        ),
        (
            ("train", "mlp", "--min-accuracy", "97"),
            "'--min-accuracy': must be a fraction from 0 to 1, not 97;",
        ),
        (("train", "mlp", "--output", "absent/x"), "does not exist; create it"),
        (("train", "mlp", "--output", "."), "is not a regular file"),
        (("train", "mlp", "--wrong"), "No such option"),
        (("compare", "mlp", "resnet"), "unknown model 'resnet'"),
        (("summary", "resnet"), "unknown model 'resnet'"),
        (
            ("summary", "--batch-size", "0"),
            "'--batch-size': must be from 1 to 1000000, not 0;",
        ),
        (("show-samples", "--count", "0"), "'--count': must be 1 or more, not 0;"),
        (
            ("show-samples", "--augment", "shift=20"),
            "'--augment': shift=20: it should be less than",
        ),
        (
            ("show-samples", "--augment", "shift=2", "--split", "test"),
            "--augment changes training images alone; drop it or --split test",
        ),
        (
            ("show-samples", "--augment", "shift=2", "--checkpoint", "x"),
            "--augment changes training images alone; drop it or --checkpoint",
        ),
        (("show-samples", "--dataset", "mnist5k", "--label", "10"), "--label is one of 0, 1, 2,"),
        (("train", "mlp", "--dataset", "mnst"), "kmnist (did you mean mnist?)"),
        (("train", "mlp", "--dataset", ""), "'--dataset': name a dataset, a folder"),
        (("eval", "a.safetensors", "--as-digits"), "--as-digits is for your own pictures"),
        (("train", "mlp", "--dataset", "mnist5k", "--hold-out", "val"), "no validation images"),
        (("show-samples", "--errors"), "--errors needs --checkpoint"),
        (("show-samples", "--output", "x.bmp"), "must end in .png, .svg or .pdf"),
        (("wrong",), "No such command 'wrong'"),
    ],
)
def test_usage_errors_are_one_line_with_code_2(
    run_cli: RunCli, arguments: tuple[str, ...], message: str
) -> None:
    outcome = run_cli(*arguments)
    assert (outcome.code, outcome.out) == (ExitCode.USAGE, "")
    assert message in outcome.err
    assert outcome.err.startswith("error: ")
    assert len(outcome.err.splitlines()) == 1


def test_offline_auto_falls_back_and_says_so_everywhere(run_cli: RunCli) -> None:
    table = run_cli("compare", "mlp", "--epochs", 1)
    assert table.code == ExitCode.OK
    assert table.err.startswith("notice: MNIST is not in ")
    assert NOT_COMPARABLE in table.err
    assert NOT_COMPARABLE in table.out.splitlines()[1]
    document = run_cli("compare", "mlp", "--epochs", 1, "--json")
    assert document.json["dataset"]["note"] == NOT_COMPARABLE
    assert NOT_COMPARABLE in document.err


def test_offline_mnist_fails_with_the_ways_out(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnist_cli.data import download

    monkeypatch.setattr(download, "PATIENT", download.Limits(1, 5, rounds=1))
    outcome = run_cli("train", "mlp", "--dataset", "mnist", "--data-dir", "here")
    assert (outcome.code, outcome.out) == (ExitCode.FAILURE, "")
    assert len(outcome.err.splitlines()) == 1
    for part in (
        "127.0.0.1:9",
        "try again",
        str(Path("here", "MNIST", "raw")),
        "the dataset mnist5k",
    ):
        assert part in outcome.err


def test_the_data_folder_comes_from_the_environment(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(Path("elsewhere", "KMNIST"))
    monkeypatch.setenv("MNIST_CLI_DATA_DIR", "elsewhere")
    outcome = run_cli("train", "mlp", "--dataset", "kmnist", "--epochs", 1, "--json")
    assert outcome.json["dataset"]["num_train"] == 40


# eval


def test_eval_equals_what_train_reported(run_cli: RunCli) -> None:
    trained = run_cli("train", "cnn", "--epochs", 1, "--json", *FAST).json
    result = run_cli("eval", "cnn.safetensors", "--json").json
    for key in ("model", "parameters", "seed", "test_accuracy", "test_loss", "epochs"):
        assert result[key] == trained[key]
    assert result["num_samples"] == 1000
    matrix = np.array(result["confusion_matrix"])
    assert matrix.sum(axis=1).tolist() == [100] * 10
    assert matrix.trace() / 1000 == result["test_accuracy"]
    assert result["per_class"][3]["recall"] == matrix[3, 3] / 100
    assert [row["label"] for row in result["per_class"]] == list(range(10))


def test_eval_prints_a_labelled_matrix(run_cli: RunCli) -> None:
    run_cli("train", "mlp", "--epochs", 1, *FAST)
    out = run_cli("eval", "mlp.safetensors").out
    assert "rows are the true classes, columns the predicted ones" in out
    assert "Truth" in out
    assert "Precision" in out


def test_eval_warns_of_images_seen_in_training(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnist_cli.data import datasets

    train_on = datasets.load

    def pretend(options: Any, on_event: Any) -> Any:
        import dataclasses

        dataset = train_on(options, on_event)
        return dataclasses.replace(dataset, info=dataclasses.replace(dataset.info, name="mnist"))

    with monkeypatch.context() as context:
        context.setattr(datasets, "load", pretend)
        run_cli("train", "mlp", "--epochs", 1, *FAST)
    Path("copy.safetensors").write_bytes(Path("mlp.safetensors").read_bytes())
    for command in (("eval",), ("compare", "copy.safetensors")):
        outcome = run_cli(*command, "mlp.safetensors", "--dataset", "mnist5k")
        assert "says nothing about new images" in outcome.err


def test_a_custom_checkpoint_needs_its_code_named(run_cli: RunCli, own_network: str) -> None:
    trained = run_cli("train", own_network, "--epochs", 2, "--json", *FAST)
    assert trained.json["checkpoint"] == "Net.safetensors"
    assert trained.json["test_accuracy"] > 0.7
    Path("own.py").write_text("from pathlib import Path\nPath('ran').touch()\n" + OWN)
    refused = run_cli("eval", "Net.safetensors")
    assert refused.code == ExitCode.USAGE
    assert "--model" in refused.err
    assert not Path("ran").exists()
    result = run_cli("eval", "Net.safetensors", "--model", own_network, "--json").json
    assert result["test_accuracy"] == trained.json["test_accuracy"]
    wrong = run_cli("eval", "Net.safetensors", "--model", "mlp")
    assert (wrong.code, len(wrong.err.splitlines())) == (ExitCode.FAILURE, 1)
    assert "weights of another network" in wrong.err


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None])
def test_bad_checkpoints_are_one_line(run_cli: RunCli, content: bytes | None) -> None:
    if content is not None:
        Path("x").write_bytes(content)
    for command in (
        ("eval", "x"),
        ("train", "mlp", "--resume", "x"),
        ("show-samples", "--checkpoint", "x"),
    ):
        outcome = run_cli(*command)
        assert (outcome.code, outcome.out) == (ExitCode.FAILURE, "")
        assert outcome.err.startswith("error: ")
        assert len(outcome.err.splitlines()) == 1


# summary


def test_summary_of_all(run_cli: RunCli) -> None:
    rows = run_cli("summary").out.splitlines()
    assert any(
        all(part in row for part in ("strongcnn", "467,818", "1.20 G", "40.68 MB")) for row in rows
    )
    models = run_cli("summary", "--json").json["models"]
    assert [model["model"] for model in models] == ["mlp", "tinycnn", "cnn", "strongcnn"]


def test_summary_of_one_is_torchinfos_table(run_cli: RunCli, own_network: str) -> None:
    out = run_cli("summary", "TinyCNN").out
    for line in (
        "Total params: 4,266",
        "Total mult-adds (M): 5.97",
        "Input size (MB): 0.20",
        "Forward/backward pass size (MB): 2.41",
        "Params size (MB): 0.02",
        "Estimated Total Size (MB): 2.63",
    ):
        assert line in out
    assert "[64, 4, 28, 28]" in out
    [model] = run_cli("summary", own_network, "--batch-size", 3, "--json").json["models"]
    assert (model["parameters"], model["batch_size"]) == (7850, 3)
    assert model["layers"][1]["output_size"] == [3, 10]


# protocols


def test_choices_are_case_insensitive(run_cli: RunCli) -> None:
    options = ("--dataset", "MNIST5K", "--precision", "FP32", "--recipe", "Fast", "--device", "CPU")
    result = run_cli("train", "MLP", "--epochs", 1, "--json", *options).json
    assert (result["dataset"]["name"], result["precision"]) == ("mnist5k", "fp32")
    assert (result["protocol"]["recipe"], result["environment"]["device"]) == ("fast", "cpu")


def test_precision_is_recorded_and_changes_the_steps_only(run_cli: RunCli) -> None:
    losses = []
    for precision in ("fp32", "bf16"):
        result = run_cli(
            "train", "cnn", "--epochs", 1, "--precision", precision, "--json", *FAST
        ).json
        assert result["precision"] == precision
        losses.append(result["test_loss"])
        evaluated = run_cli("eval", "cnn.safetensors", "--json").json
        assert evaluated["test_loss"] == result["test_loss"]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    out = run_cli("compare", "mlp", "tinycnn", "--epochs", 1, "--precision", "bf16", *FAST).out
    assert "in bf16 (set by --precision)." in " ".join(out.split())
    assert {value.dtype for value in weights("cnn.safetensors").values()} == {torch.float32}


def test_the_fast_recipe_is_each_networks_own_and_can_be_overridden(run_cli: RunCli) -> None:
    own = ("--epochs", 2, "--batch-size", 32, "--lr", 0.005)
    fast = run_cli("compare", "mlp", "tinycnn", "--recipe", "fast", "--json", *FAST).json["models"]
    assert [model["protocol"]["schedule"] for model in fast] == ["one-cycle", "one-cycle"]
    assert fast[0]["protocol"] != fast[1]["protocol"]
    given = run_cli("compare", "mlp", "--recipe", "fast", *own, "--json", *FAST).json["models"][0]
    kept = {key: given["protocol"][key] for key in ("recipe", "schedule", "warmup", "beta2")}
    assert kept == {key: fast[0]["protocol"][key] for key in kept}
    assert [given["protocol"][key] for key in ("epochs", "batch_size", "lr")] == [2, 32, 0.005]
    out = run_cli("compare", "mlp", "tinycnn", "--recipe", "fast", *FAST).out.splitlines()
    assert out[2:5] == [
        "batch size 128, Adam, one-cycle rate up to 0.02, seed 0",
        "mlp: 4 epochs",
        "tinycnn: 2 epochs",
    ]


def test_a_resumed_cycle_is_the_same_cycle(run_cli: RunCli) -> None:
    fast = ("--recipe", "fast", "--epochs", 3, *FAST)
    run_cli("train", "mlp", *fast, "--output", "whole.safetensors")

    def stop_after_the_first(event: Any) -> None:
        if isinstance(event, EpochFinished):
            raise KeyboardInterrupt

    spec = registry.resolve("mlp")
    options = TrainOptions(
        model=spec,
        protocol=recipes.protocol_of(Settings(Recipe.FAST, epochs=3), spec),
        data=DataOptions(DatasetName.MNIST5K),
        output=Path("part.safetensors"),
    )
    with pytest.raises(KeyboardInterrupt):
        train_network(options, stop_after_the_first)
    refused = run_cli(
        "train", "mlp", "--recipe", "fast", "--epochs", 5, "--resume", "part.safetensors"
    )
    assert "to resume it give --epochs 3" in refused.err
    refused = run_cli("train", "mlp", "--epochs", 3, "--resume", "part.safetensors")
    assert "to resume it give --recipe fast" in refused.err
    resumed = run_cli("train", "mlp", *fast, "--resume", "part.safetensors")
    assert resumed.code == ExitCode.OK
    assert same_tensors("whole.safetensors", "part.safetensors")


# show-samples


def test_samples_are_drawn_in_ascii_off_a_terminal(run_cli: RunCli) -> None:
    outcome = run_cli("show-samples", "--count", 3, "--label", 7, "--dataset", "mnist5k")
    assert outcome.out.isascii()
    assert outcome.out.splitlines()[2].split() == ["7", "7"]  # in 80 columns
    assert "@" in outcome.out
    assert outcome.out == run_cli("show-samples", "--count", 3, "--label", 7, *FAST).out
    assert outcome.out != run_cli("show-samples", "--count", 3, "--seed", 1, *FAST).out


def test_samples_json_names_real_images(run_cli: RunCli) -> None:
    result = run_cli("show-samples", "--split", "test", "--json", *FAST).json
    assert (result["split"], len(result["samples"])) == ("test", 9)
    for sample in result["samples"]:
        assert sample["label"] == sample["index"] // 100  # the split is sorted by class
        assert sample["prediction"] is None
    assert (result["checkpoint"], result["output"]) == (None, None)
    drawn = run_cli("show-samples", "--output", "grid.png", "--json", *FAST).json
    assert (drawn["split"], drawn["output"]) == ("train", "grid.png")


def test_augmented_samples_are_those_of_epoch_1(run_cli: RunCli) -> None:
    shown = ("show-samples", "--augment", "shift=3,erase=0.5", "--seed", 5, *FAST)
    title = " ".join(run_cli(*shown).out.split())
    assert "MNIST accuracy), augmented by shift=3+erase=0.5 as in epoch 1 with seed 5" in title
    result = run_cli(*shown, "--json").json
    assert (result["seed"], result["augmentation"]["shift"], result["split"]) == (5, 3, "train")
    chosen = Augmentation(shift=3, erase=0.5)
    options = SamplesOptions(augmentation=chosen, seed=5, data=DataOptions(DatasetName.MNIST5K))
    samples, drawn = choose_samples(options, lambda event: None)
    assert [sample.index for sample in samples.samples] == [
        sample["index"] for sample in result["samples"]
    ]
    (pixels, _), _ = read_mnist5k()
    images = images_to_device(pixels, torch.device("cpu"))
    augment(images, chosen, 5, 1, images)
    for sample, image in zip(samples.samples, drawn.images, strict=True):
        expected = (images[sample.index, 0] * 255).round()
        assert torch.equal(torch.tensor(image), expected.byte())
    plain = run_cli("show-samples", "--augment", "none", *FAST).out
    assert plain == run_cli("show-samples", *FAST).out


def test_errors_are_the_ones_of_the_confusion_matrix(run_cli: RunCli) -> None:
    run_cli("train", "mlp", "--epochs", 1, *FAST)
    evaluation = run_cli("eval", "mlp.safetensors", "--json").json
    outcome = run_cli(
        "show-samples", "--checkpoint", "mlp.safetensors", "--errors", "--count", 1000, "--json"
    )
    samples = outcome.json["samples"]
    assert (outcome.json["split"], outcome.json["checkpoint"]) == ("test", "mlp.safetensors")
    assert len(samples) == 1000 - round(1000 * evaluation["test_accuracy"])
    assert all(sample["label"] != sample["prediction"] for sample in samples)
    counts = np.zeros((10, 10), dtype=int)
    for sample in samples:
        counts[sample["label"], sample["prediction"]] += 1
    matrix = np.array(evaluation["confusion_matrix"])
    np.fill_diagonal(matrix, 0)
    assert np.array_equal(counts, matrix)
    assert f"only {len(samples)} images in the test set match (1000 requested)" in outcome.err
    drawn = run_cli("show-samples", "--checkpoint", "mlp.safetensors", "--errors", "--quiet")
    assert drawn.out.count("(wrong)") == 9


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_samples_become_a_picture(run_cli: RunCli, suffix: str) -> None:
    path = Path(f"grid.{suffix}")
    outcome = run_cli("show-samples", "--output", path, *FAST)
    assert outcome.out == f"Saved as {path}.\n"
    content = path.read_bytes()
    if suffix == "svg":
        images = [element for element in ET.fromstring(content).iter() if "image" in element.tag]
        assert len(images) == 1  # of all nine
    elif suffix == "png":
        assert matplotlib.image.imread(path)[..., :3].min() == 0
    else:
        assert content.startswith(b"%PDF")
    run_cli("show-samples", "--output", path, *FAST)
    assert path.read_bytes() == content


def test_looking_writes_nothing(run_cli: RunCli, tmp_path: Path) -> None:
    run_cli("show-samples", *FAST)
    run_cli("compare", "mlp", "--epochs", 1, *FAST)
    run_cli("summary")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
