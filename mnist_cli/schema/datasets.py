"""Datasets by name, and what a result says of the one it was measured on."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from annotated_types import Interval

from mnist_cli.schema.record import Record

NUM_CLASSES = 10
MOST_IMAGES = 350_000  # to train with: as many as a file may hold
MOST_TEST_IMAGES = 100_000  # of which each run keeps the mistakes
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
    """0 where only the test images were at hand."""
    num_test: Annotated[int, Interval(ge=1, le=MOST_TEST_IMAGES)]
    sha256: str
    """Of the pixels and labels of both splits, in their order; empty where only the test images
    were at hand."""
    note: str | None = None
    """Why a number measured on these images may mislead, if it may."""
    test_sha256: str = ""
    """Of the pixels and labels of the test images."""
