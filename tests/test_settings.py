"""Settings of training from the command line: what is trained, kept, resumed and said."""

import json
import shlex
from pathlib import Path

import pytest

from mnist_cli.errors import ExitCode
from tests.conftest import RunCli

SMALL = ("--dataset", "mnist5k", "--threads", 1)
OPTIONS = {
    "optimizer": ("--optimizer", "sgd", "--momentum", 0.5, "--nesterov", "--weight-decay", 0.001),
    "schedule": ("--optimizer", "adamw", "--schedule", "cosine", "--warmup", 0.1),
    "images": ("--augment", "shift=1,rotate=5", "--shuffle-pixels"),
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_a_resumed_training_equals_one_without_a_stop(
    run_cli: RunCli, tmp_path: Path, kind: str
) -> None:
    """With cosine, the number of epochs is a part of the protocol: it is stopped, not extended."""
    part, whole = tmp_path / "part.safetensors", tmp_path / "whole.safetensors"
    train = ("train", "mlp", *SMALL, *OPTIONS[kind], "--json")
    expected = run_cli(*train, "--epochs", 2, "--output", whole).json
    if kind == "schedule":
        refused = run_cli(*train, "--epochs", 3, "--resume", whole)
        assert refused.code == ExitCode.USAGE
        assert "to resume it give --epochs 2" in refused.err
        return
    run_cli(*train, "--epochs", 1, "--output", part)
    without = run_cli("train", "mlp", *SMALL, "--epochs", 2, "--resume", part)
    assert without.code == ExitCode.USAGE
    assert f"to resume it give {'--lr 0.01' if kind == 'optimizer' else '--augment'}" in without.err
    resumed = run_cli(*train, "--epochs", 2, "--resume", part).json
    assert resumed["tensors_sha256"] == expected["tensors_sha256"]
    plain = run_cli("train", "mlp", *SMALL, "--epochs", 2, "--output", whole, "--json").json
    assert plain["tensors_sha256"] != expected["tensors_sha256"]


def test_a_checkpoint_of_shuffled_pixels_shuffles_what_it_is_given(
    run_cli: RunCli, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "a.safetensors"
    trained = run_cli(
        *("train", "mlp", *SMALL, "--shuffle-pixels", "--epochs", 2, "--output", checkpoint),
        "--json",
    ).json
    evaluated = run_cli("eval", checkpoint, "--json").json
    assert evaluated["test_accuracy"] == trained["test_accuracy"] > 0.6
    exported = run_cli("export", checkpoint, "--output", tmp_path / "a.pt2")
    assert "the same classes" in exported.out
    refused = run_cli("export", checkpoint, "--output", tmp_path / "b.safetensors")
    assert refused.code == ExitCode.USAGE
    assert "choose .onnx or .pt2" in refused.err
    run_cli("show-samples", "--count", 3, "--output", tmp_path / "shown.png", *SMALL[:2])
    predicted = run_cli("predict", checkpoint, tmp_path / "shown.png", "--json")
    assert predicted.code == ExitCode.OK


def test_the_command_in_the_report_repeats_all_settings(run_cli: RunCli, tmp_path: Path) -> None:
    first, page, second = tmp_path / "a.json", tmp_path / "a.html", tmp_path / "b.json"
    options = [word for each in ("optimizer", "images") for word in OPTIONS[each]]
    run_cli(
        *("compare", "mlp", "--vary", "schedule=constant,cosine", *SMALL, *options),
        *("--hold-out", 0.1, "--epochs", 1, "--export-json", first, "--report", page),
    )
    text = page.read_text(encoding="utf-8")
    [line] = [each for each in text.splitlines() if "mnist-cli compare mlp" in each][-1:]
    command = line[line.index("compare mlp") :].partition("<")[0].replace("&#39;", "'")
    run_cli(*shlex.split(command), "--export-json", second)
    results = [json.loads(path.read_text(encoding="utf-8")) for path in (first, second)]
    one, other = ([row["runs"][0]["test_loss"] for row in each["models"]] for each in results)
    assert one == other
    assert [row["protocol"] for row in results[0]["models"]] == [
        row["protocol"] for row in results[1]["models"]
    ]


def test_a_setting_without_meaning_is_one_line_before_any_work(run_cli: RunCli) -> None:
    for options in (
        ("--momentum", 0.9),
        ("--optimizer", "adamw", "--nesterov"),
        ("--recipe", "fast", "--optimizer", "sgd"),
        ("--vary", "momentum=0.5,0.9"),
    ):
        result = run_cli("compare", "mlp", *SMALL, *options)
        assert result.code == ExitCode.USAGE
        assert result.err.startswith("error: ") and result.err.count("\n") == 1
        assert not result.out
