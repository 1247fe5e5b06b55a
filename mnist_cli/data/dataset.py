"""A dataset in memory: training and test images, and their description.

Functions divide it, number its classes otherwise, and pack it as bytes.
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mnist_cli.data.classes import choose_label_type, renumber
from mnist_cli.data.hold_out import choose_held_out
from mnist_cli.errors import UsageError
from mnist_cli.schema.datasets import (
    DIGITS,
    MOST_TEST_IMAGES,
    NOT_COMPARABLE,
    DatasetInfo,
    DatasetName,
)
from mnist_cli.schema.options import VAL


@dataclass(frozen=True)
class LabelledImages:
    """`images` uint8 N×28×28, `labels` N from 0 on: uint8, or uint16 for more than 256 classes."""

    images: NDArray[np.uint8]
    labels: NDArray[np.unsignedinteger]


@dataclass(frozen=True)
class Dataset:
    """The training and test images; `train` is empty if only `test` was loaded."""

    info: DatasetInfo
    train: LabelledImages
    test: LabelledImages


def identify(
    name: str,
    test: LabelledImages,
    train: LabelledImages | None,
    classes: tuple[str, ...] = DIGITS,
) -> Dataset:
    """A dataset with its description; without `train`, it has only test images."""
    note = NOT_COMPARABLE if name == DatasetName.MNIST5K else None
    both_sha256 = _sha256(train, test) if train else ""
    train = train or LabelledImages(test.images[:0], test.labels[:0])
    sizes = len(train.labels), len(test.labels)
    info = DatasetInfo(
        *(str(name), *sizes, both_sha256, note, _sha256(test)),
        classes=classes,
        class_sizes=tuple(np.bincount(test.labels, minlength=len(classes)).tolist()),
    )
    return Dataset(info, train, test)


def hold_images_out(dataset: Dataset, hold_out: float | None) -> Dataset:
    """Replace the test images by training images that are held out, if any.

    Raises UsageError if there are no validation images, or too few or too many would be held out.
    """
    if hold_out is None:
        return dataset
    if hold_out == VAL:
        raise UsageError(
            f"{dataset.info.name} has no validation images; hold out training images, such as "
            "--hold-out 0.1"
        )
    train, validation = divide(dataset.train, hold_out)
    if len(validation.labels) > MOST_TEST_IMAGES:
        raise UsageError(f"at most {MOST_TEST_IMAGES:,} images can be held out; choose fewer")
    info = dataset.info
    split = identify(info.name, validation, train, info.classes)
    count = len(validation.labels)
    return replace(split, info=replace(split.info, hold_out=count, as_digits=info.as_digits))


def divide(images: LabelledImages, fraction: float) -> tuple[LabelledImages, LabelledImages]:
    """The images without, and those of the part of each class that `choose_held_out` chooses."""
    mask = choose_held_out(images.labels, fraction)
    rest, chosen = (
        LabelledImages(images.images[part], images.labels[part]) for part in (~mask, mask)
    )
    return rest, chosen


def use_classes(dataset: Dataset, trained_on: DatasetInfo) -> Dataset:
    """Number the classes of `dataset` as the checkpoint that was `trained_on` others does.

    Raises UsageError if that does not know a class.
    """
    info, classes = dataset.info, trained_on.classes
    if info.classes == classes:
        return dataset
    if unknown := [name for name in info.classes if name not in classes]:
        raise UsageError(
            f"{info.name} has the class {unknown[0]}, but the checkpoint was trained on the "
            f"classes of {trained_on.name}: {trained_on.class_list}"
        )
    train, test = (
        LabelledImages(part.images, renumber(part.labels, info.classes, classes))
        for part in (dataset.train, dataset.test)
    )
    same = identify(info.name, test, train if info.num_train else None, classes)
    return replace(same, info=replace(same.info, hold_out=info.hold_out, as_digits=info.as_digits))


def to_bytes(dataset: Dataset) -> tuple[bytes, bytes, bytes, bytes]:
    """Training images and labels, test images and labels: a byte for each pixel and label."""
    train, test = dataset.train, dataset.test
    return (
        train.images.tobytes(),
        train.labels.tobytes(),
        test.images.tobytes(),
        test.labels.tobytes(),
    )


def from_bytes(info: DatasetInfo, packed: tuple[bytes, bytes, bytes, bytes]) -> Dataset:
    """Make the dataset that `info` describes from what `to_bytes` returned."""
    label_type = choose_label_type(info.classes)
    train, test = (
        LabelledImages(
            np.frombuffer(packed[index], np.uint8).reshape(-1, 28, 28),
            np.frombuffer(packed[index + 1], label_type),
        )
        for index in (0, 2)
    )
    return Dataset(info, train, test)


def _sha256(*parts: LabelledImages) -> str:
    total = hashlib.sha256()
    for part in parts:
        for array in (part.images, part.labels):
            total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
