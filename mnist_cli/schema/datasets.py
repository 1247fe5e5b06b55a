"""Datasets by name, and what a result says of the one it was measured on."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from annotated_types import Ge

from mnist_cli.schema.record import Record

NUM_CLASSES = 10
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
    num_train: Annotated[int, Ge(1)]
    num_test: Annotated[int, Ge(1)]
    sha256: str
    """Of the pixels and labels of both splits, in their order."""
    note: str | None = None
    """Why a number measured on these images may mislead, if it may."""
