"""Training images that are held out for validation: which, and how every output says so."""

import json
from pathlib import Path

import numpy as np
import pytest

from mnist_cli.data import datasets
from mnist_cli.data.dataset import LabelledImages, divide
from mnist_cli.errors import ExitCode, UsageError
from mnist_cli.schema.datasets import DatasetName
from mnist_cli.schema.options import DataOptions
from tests.conftest import RunCli

LABELS = np.repeat(np.arange(4, dtype=np.uint8), [100, 50, 30, 7])
IMAGES = LabelledImages(np.arange(187, dtype=np.uint8), LABELS)  # each is its own position
HELD_OUT = ("--dataset", "mnist5k", "--hold-out", 400, "--epochs", 1)


@pytest.mark.parametrize(
    ("hold_out", "counts"),
    [(0.1, [10, 5, 3, 1]), (19, [10, 5, 3, 1]), (1, [1, 0, 0, 0]), (186, [99, 50, 30, 7])],
)
def test_each_class_has_its_share(hold_out: float, counts: list[int]) -> None:
    rest, held_out = divide(IMAGES, hold_out)
    assert np.bincount(held_out.labels, minlength=4).tolist() == counts
    assert sorted([*rest.images, *held_out.images]) == list(range(187))


def test_the_images_are_always_the_same_and_not_the_first_ones() -> None:
    chosen = divide(IMAGES, 0.2)[1].images.tolist()
    assert chosen == divide(IMAGES, 37)[1].images.tolist()
    assert not set(chosen) >= set(range(20))
    assert set(chosen) >= set(divide(IMAGES, 0.1)[1].images)  # more are held out, not others


@pytest.mark.parametrize("hold_out", [187, 1000, 0.001, 0.999])
def test_all_or_none_is_refused(hold_out: float) -> None:
    with pytest.raises(UsageError, match=r"of 187 training images; choose fewer than all and"):
        divide(IMAGES, hold_out)


def test_validation_images_take_the_place_of_the_test_images() -> None:
    plain = datasets.load(DataOptions(DatasetName.MNIST5K), lambda event: None)
    split = datasets.load(DataOptions(DatasetName.MNIST5K, hold_out=0.1), lambda event: None)
    assert (split.info.num_train, split.info.num_test, split.info.hold_out) == (3600, 400, 400)
    assert (plain.info.evaluated_on, split.info.evaluated_on) == ("test", "validation")
    assert len({plain.info.sha256, split.info.sha256}) == 2
    train = {image.tobytes() for image in plain.train.images}
    assert {image.tobytes() for image in split.train.images} <= train
    assert {image.tobytes() for image in split.test.images} <= train
    assert np.bincount(split.test.labels).tolist() == [40] * 10
    found = datasets.test_images_on_disk(split.info, DataOptions())
    assert found is not None
    assert np.array_equal(found, split.test.images)


def test_every_output_of_a_comparison_calls_the_accuracy_validation_accuracy(
    run_cli: RunCli, tmp_path: Path
) -> None:
    report, page, table = tmp_path / "a.json", tmp_path / "a.html", tmp_path / "a.md"
    result = run_cli(
        *("compare", "mlp", "--vary", "lr=0.001,0.1", "--seeds", 2, *HELD_OUT),
        *("--export-json", report, "--report", page, "--export-markdown", table),
        *("--min-accuracy", 0.1),
    )
    assert result.code == ExitCode.OK, result.err
    said = result.out + result.err + page.read_text("utf-8") + table.read_text("utf-8")
    assert "3,600 training and 400 validation images" in result.out
    assert "Differences on these validation images" in result.out
    assert "finite validation set of 400 images" in result.out
    assert "validation accuracy" in result.err
    assert "test accuracy" not in said.replace("test accuracy looks", "")
    assert " test images" not in said
    dataset = json.loads(report.read_text("utf-8"))["dataset"]
    assert (dataset["num_test"], dataset["hold_out"]) == (400, 400)


def test_held_out_images_are_a_condition_of_journals_baselines_and_checkpoints(
    run_cli: RunCli, tmp_path: Path
) -> None:
    journal, export = tmp_path / "a.jsonl", tmp_path / "a.json"
    run_cli(
        "compare", "mlp", "--seeds", 5, *HELD_OUT, "--journal", journal, "--export-json", export
    )
    other = ("--dataset", "mnist5k", "--epochs", 1)
    continued = run_cli("compare", "mlp", "--seeds", 5, *other, "--journal", journal)
    assert continued.code == ExitCode.USAGE
    assert "hold-out 400, now 0" in continued.err
    changed = run_cli("compare", "mlp", "--seeds", 5, *other, "--baseline", export)
    assert "400 images held out; give --hold-out 400" in changed.err
    checkpoint = tmp_path / "a.safetensors"
    run_cli("train", "mlp", *HELD_OUT, "--output", checkpoint)
    resumed = run_cli("train", "mlp", "--epochs", 2, "--resume", checkpoint)
    assert resumed.code == ExitCode.USAGE
    assert "to resume it give --hold-out 400" in resumed.err
    evaluated = run_cli("eval", checkpoint)
    assert "over 1,000 images" in evaluated.out


@pytest.mark.parametrize("given", ["0", "-1", "1.5", "4000", "all", "1.0"])
def test_a_hold_out_that_leaves_nothing_is_one_line(run_cli: RunCli, given: str) -> None:
    result = run_cli("compare", "mlp", "--dataset", "mnist5k", f"--hold-out={given}")
    assert result.code == ExitCode.USAGE
    assert result.err.startswith("error: ")
    assert "hold-out" in result.err
    assert result.err.count("\n") == 1
    assert not result.out
