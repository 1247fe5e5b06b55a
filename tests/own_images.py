"""Writes small datasets of a person's own: folders of pictures, .npz files and IDX files."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.idx_format import idx_bytes

Labelled = tuple[NDArray[np.uint8], NDArray[Any]]


def made(count: int, classes: int = 3, seed: int = 0) -> Labelled:
    """Images that a network can learn: a bright bar in the row of the class, and noise."""
    chance = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    images = chance.integers(0, 60, (count, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 + 24 * label // classes, 4:24] = 255
    return images, labels


def write_folder(folder: Path, **splits: Labelled) -> Path:
    """A PNG for each image, below a folder for each class; the split `all` has no folder."""
    for split, (images, labels) in splits.items():
        place = folder if split == "all" else folder / split
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = place / str(label) / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    return folder


def write_npz(path: Path, form: str = "x_{0} y_{0}", **splits: Labelled) -> Path:
    """An .npz file with the keys of Keras, or with `{0}_images {0}_labels` of MedMNIST."""
    arrays: dict[str, Any] = {
        key: array
        for split, pair in splits.items()
        for key, array in zip(form.format(split).split(), pair, strict=True)
    }
    np.savez_compressed(path, **arrays)
    return path


def write_idx(folder: Path, **splits: Labelled) -> Path:
    """IDX files with the names of MNIST's."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, (images, labels) in splits.items():
        prefix = {"train": "train", "test": "t10k"}[split]
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes(labels.astype(np.uint8)))
    return folder
