"""Datasets by name, and the description of one in a result."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from annotated_types import Interval

from mnist_cli.schema.record import Record

NUM_CLASSES = 10
MOST_IMAGES = 350_000  # training images; a file may have no more
MOST_TEST_IMAGES = 100_000  # because each run stores its mistakes
NOT_COMPARABLE = "not comparable with published MNIST accuracy"  # of mnist5k


class DatasetName(StrEnum):
    """What `--dataset` takes; `data.datasets.load` decides what AUTO is."""

    AUTO = "auto"
    MNIST = "mnist"
    MNIST5K = "mnist5k"
    FASHION_MNIST = "fashion-mnist"
    KMNIST = "kmnist"


class Split(StrEnum):
    """Which part of a dataset."""

    TRAIN = "train"
    TEST = "test"


@dataclass(frozen=True)
class DatasetInfo(Record):
    """The dataset of a result."""

    name: str
    num_train: Annotated[int, Interval(ge=0, le=MOST_IMAGES)]
    """0 if only the test images were loaded."""
    num_test: Annotated[int, Interval(ge=1, le=MOST_TEST_IMAGES)]
    sha256: str
    """Of the pixels and labels of both splits; empty if only the test images were loaded."""
    note: str | None = None
    """Why a result on these images may mislead."""
    test_sha256: str = ""
    """Of the pixels and labels of the test images."""
    hold_out: Annotated[int, Interval(ge=0, le=MOST_IMAGES)] = 0
    """How many training images are held out for validation. They take the place of the test images
    in all fields of a result: `num_test`, `test_sha256`, `test_accuracy`, `mistakes` and others."""

    @property
    def evaluated_on(self) -> str:
        """What accuracies are about: `test` or `validation` images."""
        return "validation" if self.hold_out else "test"
