"""`compare` with checkpoints: the same images, no training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from mnist_cli.errors import ExitCode
from mnist_cli.schema.options import CheckpointsOptions
from mnist_cli.workflows.compare_checkpoints import _choose_disputed
from tests.conftest import RunCli
from tests.own_images import made, write_npz

FAST = ("--epochs", 1, "--dataset", "mnist5k", "--quiet")
OWN = """
from torch import nn
def one(): return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
def two(): return nn.Sequential(nn.Flatten(), nn.Linear(784, 12), nn.Linear(12, 10))
"""


@pytest.fixture
def files(run_cli: RunCli) -> tuple[str, str]:
    run_cli("train", "mlp", *FAST)
    run_cli("train", "mlp", "--lr", 0.01, "--seed", 1, "--output", "quick.safetensors", *FAST)
    return "mlp.safetensors", "quick.safetensors"


def wrong(run_cli: RunCli, path: str) -> set[int]:
    command = ("show-samples", "--errors", "--count", 1000, "--checkpoint", path)
    return {s["index"] for s in run_cli(*command, "--json", "--quiet").json["samples"]}


def test_the_counts_are_those_of_the_errors(run_cli: RunCli, files: tuple[str, str]) -> None:
    outcome = run_cli("compare", *files, "--json")
    assert outcome.code == ExitCode.OK
    assert outcome.err == ""
    result = outcome.json
    for row, path in zip(result["checkpoints"], files, strict=True):
        evaluated = run_cli("eval", path, "--json").json
        assert row["name"] == path
        for figure in ("test_accuracy", "test_loss", "model", "seed", "parameters"):
            assert row[figure] == evaluated[figure]
    first, second = (wrong(run_cli, path) for path in files)
    [pair] = result["disagreements"]
    only_first, only_second = len(second - first), len(first - second)
    assert pair["only_first_right"] == only_first
    assert pair["only_second_right"] == only_second
    expected = binomtest(only_first, only_first + only_second).pvalue
    assert pair["adjusted_p"] == pytest.approx(expected)
    assert pair["better"] == files[1]
    assert pair["low"] < pair["difference"] == (only_first - only_second) / 1000 < pair["high"] < 0
    assert result["disputed"] == []


def test_people_read_who_is_better(run_cli: RunCli, files: tuple[str, str]) -> None:
    out = run_cli("compare", *files).out
    assert f"{files[1]} beats {files[0]} by " in out
    assert "alone is right on" in out
    Path("copy.safetensors").write_bytes(Path(files[0]).read_bytes())
    out = run_cli("compare", files[0], "copy.safetensors").out
    assert f"are not distinguishable (p = 1): {files[0]} alone is right on 0 images" in out


def test_disagreements_are_drawn(run_cli: RunCli, files: tuple[str, str]) -> None:
    command = ("compare", *files, "--show-disagreements")
    disputed = run_cli(*command, "--json").json["disputed"]
    assert len(disputed) == 9
    first, second = (wrong(run_cli, path) for path in files)
    for image in disputed:
        assert (image["index"] in first) != (image["index"] in second)
        assert (image["predictions"][0] == image["label"]) == (image["index"] not in first)
        assert (image["predictions"][1] == image["label"]) == (image["index"] not in second)
    out = run_cli(*command).out
    for image in disputed:
        assert f"{image['label']}: {image['predictions'][0]}, {image['predictions'][1]}" in out
    assert "@" in out
    other = run_cli(*command, "--seed", 1, "--json").json["disputed"]
    assert other != disputed


@pytest.mark.parametrize(
    ("wanted", "told"),
    [(3, ["the checkpoints disagree on only 2 images"]), (2, []), (1, []), (0, [])],
)
def test_fewer_disagreements_than_wanted_are_told(wanted: int, told: list[str]) -> None:
    seen: list[Any] = []
    right = np.array([[True, True, False, False], [False, True, False, True]])
    options = CheckpointsOptions((), show_disagreements=wanted)
    chosen = _choose_disputed(right, options, seen.append)
    assert len(chosen) == min(wanted, 2)
    assert set(chosen) <= {0, 3}
    assert [event.text for event in seen] == told


def test_checkpoints_that_never_disagree_are_told() -> None:
    seen: list[Any] = []
    right = np.array([[True, False], [True, False]])
    assert not len(
        _choose_disputed(right, CheckpointsOptions((), show_disagreements=1), seen.append)
    )
    assert [event.text for event in seen] == ["the checkpoints make errors on the same images"]


def test_three_are_adjusted_for_three_pairs(run_cli: RunCli, files: tuple[str, str]) -> None:
    Path("copy.safetensors").write_bytes(Path(files[0]).read_bytes())
    two = run_cli("compare", *files, "--json").json["disagreements"][0]
    three = run_cli("compare", *files, "copy.safetensors", "--json").json["disagreements"]
    assert len(three) == 3
    assert three[0]["adjusted_p"] == pytest.approx(min(1, 3 * two["adjusted_p"]))
    assert three[0]["confidence"] == pytest.approx(1 - 0.05 / 3)


def test_custom_networks_are_named(run_cli: RunCli, files: tuple[str, str]) -> None:
    Path("own.py").write_text(OWN)
    for name in ("one", "two"):
        run_cli("train", f"own.py:{name}", *FAST)
    command = ("compare", "one.safetensors", "two.safetensors", files[0])
    refused = run_cli(*command)
    assert refused.code == ExitCode.USAGE
    assert "one.safetensors holds the custom network 'own.py:one'" in refused.err
    outcome = run_cli(*command, "--model", "own.py:two", "--model", "own.py:one", "--json")
    assert outcome.code == ExitCode.OK
    accuracies = [row["test_accuracy"] for row in outcome.json["checkpoints"]]
    alone = run_cli("eval", "two.safetensors", "--model", "own.py:two", "--json").json
    assert accuracies[1] == alone["test_accuracy"]
    # Under another file name, the first one is taken.
    Path("own.py").rename("moved.py")
    models = ("--model", "moved.py:one", "--model", "moved.py:two")
    moved = run_cli("compare", "one.safetensors", files[0], *models, "--json")
    assert moved.code == ExitCode.OK
    assert moved.json["checkpoints"][0]["test_accuracy"] == accuracies[0]


def test_what_does_not_fit(run_cli: RunCli, files: tuple[str, str]) -> None:
    for arguments, message in (
        ((files[0],), "name two or more checkpoints"),
        ((files[0], files[0]), "name two or more checkpoints to compare, each once"),
        ((*files, "mlp"), "one kind"),
        ((*files, "--epochs", 5), "--epochs is for training"),
        ((*files, "--recipe", "article"), "--recipe is for training"),
        ((*files, "--export-json", "a.json"), "--export-json is for training"),
        (("absent.safetensors", files[0]), "cannot read absent.safetensors"),
    ):
        outcome = run_cli("compare", *arguments)
        assert outcome.code in {ExitCode.USAGE, ExitCode.FAILURE}
        assert message in outcome.err
        assert outcome.out == ""


def test_training_on_different_images_needs_a_word(
    run_cli: RunCli, files: tuple[str, str], tmp_path: Path
) -> None:
    write_npz(Path("own.npz"), train=made(100, classes=10))
    run_cli("train", "mlp", "--dataset", "own.npz", "--output", "own.safetensors", "--epochs", 1)
    refused = run_cli("compare", files[0], "own.safetensors")
    assert refused.code == ExitCode.USAGE
    assert "trained on mnist5k and own.npz; say with --dataset" in refused.err
    outcome = run_cli("compare", files[0], "own.safetensors", "--dataset", "mnist5k", "--json")
    assert outcome.json["dataset"]["name"] == "mnist5k"
    assert np.isfinite(outcome.json["checkpoints"][1]["test_loss"])
