"""A dataset in memory: training and test images, and their description.

Its functions hold training images out for validation, and put labels in another order of classes.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnist_cli.errors import UsageError
from mnist_cli.schema.datasets import MOST_TEST_IMAGES, DatasetInfo
from mnist_cli.schema.options import VAL

HOLD_OUT_SEED = 0  # another one than that of the trainings, so that all see the same images


class LabelledImages(NamedTuple):
    """`images` uint8 N×28×28, `labels` N from 0 on: uint8, or uint16 for more than 256 classes."""

    images: NDArray[np.uint8]
    labels: NDArray[np.unsignedinteger]

    def select(self, which: slice | NDArray[np.generic]) -> "LabelledImages":
        """The images at these positions, or where a mask is true."""
        return LabelledImages(self.images[which], self.labels[which])


@dataclass(frozen=True)
class Dataset:
    """The training and test images; `train` is empty if only `test` was loaded."""

    info: DatasetInfo
    train: LabelledImages
    test: LabelledImages


def identify(info: DatasetInfo, train: LabelledImages, test: LabelledImages) -> Dataset:
    """A dataset of these images, whose numbers and hashes replace those in `info`."""
    identified = replace(
        info,
        num_train=len(train.labels),
        num_test=len(test.labels),
        sha256=_sha256(train, test) if len(train.labels) else "",
        test_sha256=_sha256(test),
        class_sizes=tuple(np.bincount(test.labels, minlength=len(info.classes)).tolist()),
    )
    return Dataset(identified, train, test)


def hold_images_out(dataset: Dataset, hold_out: float | None) -> Dataset:
    """Replace the test images by training images that are held out, if any.

    Raises UsageError if too many would be, or validation images are asked for: it has none.
    """
    if hold_out is None:
        return dataset
    info = dataset.info
    if hold_out == VAL:
        raise UsageError(
            f"{info.name} has no validation images; hold out training images, such as "
            "--hold-out 0.1"
        )
    train, validation = divide(dataset.train, hold_out)
    count = len(validation.labels)
    if count > MOST_TEST_IMAGES:
        raise UsageError(f"at most {MOST_TEST_IMAGES:,} images can be held out; choose fewer")
    return identify(replace(info, hold_out=count), train, validation)


def divide(images: LabelledImages, hold_out: float) -> tuple[LabelledImages, LabelledImages]:
    """Divide images into those that stay and those that are held out, always the same.

    Each class has the same share of both, up to one image (the largest remainders get the images
    that are left). `hold_out` is the number of the latter, or a fraction below 1. Raises UsageError
    if that would be none of the images, or all.
    """
    labels, total = images.labels, len(images.labels)
    count = round(hold_out * total) if hold_out < 1 else int(hold_out)
    if not 0 < count < total:
        raise UsageError(
            f"--hold-out {hold_out:g} would hold out {count:,} of {total:,} training images; "
            "choose fewer than all and more than none, e.g. 0.1"
        )
    shares = np.bincount(labels) * count / total
    counts = shares.astype(int)
    by_remainder = np.argsort(counts - shares, kind="stable")
    counts[by_remainder[: count - counts.sum()]] += 1
    generator = np.random.default_rng(HOLD_OUT_SEED)
    held_out = np.zeros(total, dtype=bool)
    for label, number in enumerate(counts):
        held_out[generator.permutation(np.flatnonzero(labels == label))[:number]] = True
    return images.select(~held_out), images.select(held_out)


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
        part._replace(labels=renumber(part.labels, info.classes, classes))
        for part in (dataset.train, dataset.test)
    )
    return identify(replace(info, classes=classes), train, test)


def renumber(
    labels: NDArray[np.integer], names: Sequence[str], classes: Sequence[str]
) -> NDArray[np.unsignedinteger]:
    """Make labels, positions in `names`, positions in `classes`, which has all of the names.

    They are uint8, as in MNIST's files (so that the hash is the same), or uint16 for more than 256
    classes.
    """
    label_type = np.uint8 if len(classes) <= 256 else np.uint16
    places = np.array([classes.index(name) for name in names], label_type)
    numbered: NDArray[np.unsignedinteger] = places[labels]
    return numbered


def _sha256(*parts: LabelledImages) -> str:
    total = hashlib.sha256()
    for part in parts:
        for array in part:
            total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
