"""Datasets by name, and the description of one in a result."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from annotated_types import Interval, Len

from mnist_cli.schema.record import Count, Record

SIDE = 28  # pixels along a side of an image
DIGITS = tuple("0123456789")  # the classes of the published datasets
NUM_CLASSES = len(DIGITS)
MOST_CLASSES = 1000
MOST_NAME = 100  # characters of the name of a class
MOST_IMAGES = 350_000  # training images; a file may have no more
MOST_TEST_IMAGES = 100_000  # because each run stores its mistakes
FEW_TEST_IMAGES = 500  # with fewer, accuracies are so uncertain that it is said beside them
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


ClassName = Annotated[str, Len(1, MOST_NAME)]


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
    holds_out_val: bool = False
    """Whether these are the validation images that the dataset has, instead of training images."""
    as_digits: bool = False
    """Whether the pictures were brought to the form of MNIST's digits."""
    classes: Annotated[tuple[ClassName, ...], Len(2, MOST_CLASSES)] = DIGITS
    """The names of the classes, in the order of the network's outputs."""
    class_sizes: Annotated[tuple[Count, ...], Len(0, MOST_CLASSES)] = ()
    """Number of test images of each class; empty in files of earlier versions."""

    @property
    def is_published(self) -> bool:
        """Whether it has the name of a published dataset, which own images never have."""
        return self.name in list(DatasetName)

    @property
    def has_digit_form(self) -> bool:
        """Whether its images have the form of MNIST's digits."""
        return self.as_digits or self.is_published

    @property
    def hold_out_option(self) -> str:
        """The value of --hold-out that gives these images; empty if none are held out."""
        return "val" if self.holds_out_val else str(self.hold_out or "")

    @property
    def class_list(self) -> str:
        """The first names of classes, as text."""
        return ", ".join(self.classes[:10]) + (", ..." if len(self.classes) > 10 else "")

    @property
    def is_unbalanced(self) -> bool:
        """Whether the largest class has more than three times as many test images as the least."""
        return bool(self.class_sizes) and max(self.class_sizes) > 3 * min(self.class_sizes)

    @property
    def near_chance(self) -> float:
        """The accuracy up to which a network may have learned nothing.

        It is twice that of guessing, but at most 10 points above it; or the share of the largest
        class, if that is more. With ten classes of equal size, it is 20 %.
        """
        guessing = 1 / len(self.classes)
        largest = max(self.class_sizes, default=0) / self.num_test
        return max(min(2 * guessing, guessing + 0.1), largest)

    @property
    def evaluated_on(self) -> str:
        """What accuracies are about: `test` or `validation` images."""
        return "validation" if self.hold_out else "test"
