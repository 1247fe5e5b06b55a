"""Datasets by name, and the description of one in a result."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from annotated_types import Interval

from mnist_cli.schema.record import Record

NUM_CLASSES = 10
MOST_IMAGES = 350_000  # to train with: as many as a file may hold
MOST_TEST_IMAGES = 100_000  # each run keeps its mistakes on them
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
    """The images that a number was measured on."""

    name: str
    num_train: Annotated[int, Interval(ge=0, le=MOST_IMAGES)]
    """0 if only the test images were there."""
    num_test: Annotated[int, Interval(ge=1, le=MOST_TEST_IMAGES)]
    sha256: str
    """Of the pixels and labels of both splits; empty if only the test images were there."""
    note: str | None = None
    """Why a number measured on these images may mislead."""
    test_sha256: str = ""
    """Of the pixels and labels of the test images."""
