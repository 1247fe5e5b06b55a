"""Wrong answers of runs: kept compactly, and what they have in common."""

import base64
import tracemalloc
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray

from mnist_cli.comparison import mistakes
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.datasets import DatasetInfo
from tests.conftest import RunCli

LABELS = np.array([7, 2, 1, 0, 9, 9])


def codes(*answers: tuple[int, ...]) -> NDArray[np.uint8]:
    """One row for each run of six images."""
    runs = [
        Run(seed, 1, 0.5, 0.1, 1.0, mistakes=mistakes.encode(LABELS, np.array(row)))
        for seed, row in enumerate(answers)
    ]
    return mistakes.decode_runs(runs, DatasetInfo("made", 40, len(LABELS), ""))


def test_what_is_kept_comes_back() -> None:
    answers = np.array([7, 2, 7, 0, 0, 9])
    text = mistakes.encode(LABELS, answers)
    assert mistakes.decode(text, 6).tolist() == [255, 255, 17, 255, 90, 255]
    assert mistakes.decode(mistakes.encode(LABELS, LABELS), 6).tolist() == [255] * 6


def test_answers_that_are_empty_are_damaged_and_not_unknown() -> None:
    runs = [Run(seed, 1, 0.5, 0.1, 1.0, mistakes=text) for seed, text in enumerate((None, ""))]
    info = DatasetInfo("made", 40, len(LABELS), "")
    assert mistakes.decode_runs(runs[:1], info).shape == (0, 6)
    with pytest.raises(ValueError, match="not those of 6 images"):
        mistakes.decode_runs(runs, info)


def test_four_wrong_answers_in_a_hundred_take_a_kilobyte() -> None:
    chance = np.random.default_rng(0)
    labels = chance.integers(0, 10, 10_000)
    wrong = chance.random(10_000) < 0.04
    answers = np.where(wrong, (labels + chance.integers(1, 10, 10_000)) % 10, labels)
    text = mistakes.encode(labels, answers)
    assert len(text) < 1500
    kept = mistakes.decode(text, 10_000)
    assert (kept != 255).sum() == wrong.sum()
    assert np.array_equal(kept[wrong] // 10, labels[wrong])
    assert np.array_equal(kept[wrong] % 10, answers[wrong])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "?",
        "eA==",
        mistakes.encode(LABELS[:5], LABELS[:5]),
        mistakes.encode(np.zeros(9**7, int), np.zeros(9**7, int)),
        *[base64.b64encode(zlib.compress(bytes([255] * 5 + [bad]))).decode() for bad in (77, 100)],
    ],
)
def test_what_was_not_kept_so_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the mistakes of a run are"):
        mistakes.decode(text, 6)


def test_a_short_text_that_unpacks_to_much_is_not_unpacked() -> None:
    text = base64.b64encode(zlib.compress(bytes(50_000_000))).decode()
    tracemalloc.start()
    with pytest.raises(ValueError, match="not those of 6 images"):
        mistakes.decode(text, 6)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_the_row_of_the_confusion_is_the_truth() -> None:
    counts = mistakes.count_confusions(codes((7, 2, 7, 0, 9, 9), (7, 2, 7, 0, 9, 4)))
    assert counts[1, 7] == 2
    assert counts[9, 4] == 1
    assert counts.sum() == 3


def test_a_run_keeps_its_epochs_and_its_mistakes(run_cli: RunCli) -> None:
    command = ("compare", "mlp", "--epochs", 2, "--dataset", "mnist5k", "--quiet", "--json")
    [run] = run_cli(*command).json["models"][0]["runs"]
    assert [epoch["epoch"] for epoch in run["history"]] == [1, 2]
    assert run["history"][-1]["test_accuracy"] == run["test_accuracy"]
    assert run["history"][-1]["test_loss"] == run["test_loss"]
    assert sum(epoch["train_seconds"] for epoch in run["history"]) == run["train_seconds"]
    assert run["history"][0]["train_loss"] > run["history"][1]["train_loss"]
    wrong = mistakes.decode(run["mistakes"], 1000)
    assert (wrong == 255).mean() == run["test_accuracy"]


@pytest.mark.parametrize("classes", [2, 10, 15, 16, 26, 1000])
def test_any_number_of_classes_is_kept(classes: int) -> None:
    chance = np.random.default_rng(0)
    labels, answers = chance.integers(0, classes, (2, 500))
    labels[0], answers[0] = classes - 1, classes - 2  # the largest code
    kept = mistakes.decode(mistakes.encode(labels, answers, classes), 500, classes)
    wrong = labels != answers
    assert kept.dtype == (np.uint8 if classes < 16 else np.uint32)
    assert np.array_equal(mistakes.is_wrong(kept), wrong)
    assert np.array_equal(kept[wrong] // classes, labels[wrong])
    assert np.array_equal(kept[wrong] % classes, answers[wrong])
    counts = mistakes.count_confusions(kept[None], classes)
    assert counts[classes - 1, classes - 2] >= 1 and counts.sum() == wrong.sum()
    for other in (classes + 1, 10 if classes > 15 else 26):
        with pytest.raises(ValueError, match="not those of 501 images"):
            mistakes.decode(mistakes.encode(labels, answers, classes), 500 + 1, other)
