"""Reads a folder with IDX files that have the names of MNIST's, packed with gzip or not.

The files are in the folder itself or in `raw` in it, as torchvision stores them.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mnist_cli.data.fitting import fit_arrays
from mnist_cli.data.idx import read_idx
from mnist_cli.data.parts import TEST, TRAIN, File, Part, check_count
from mnist_cli.errors import MnistCliError
from mnist_cli.system.files import explaining

PREFIXES = {TRAIN: "train", TEST: "t10k"}
ADVICE = "copy it again, or choose another folder"

Pair = tuple[File, File]
"""The files of the images and of the labels."""


def find(path: Path) -> dict[str, Pair] | None:
    """The files of each part; None if there are no training images.

    Raises MnistCliError if a file is missing.
    """
    if not path.is_dir() or not _find_file(path, "train-images-idx3-ubyte"):
        return None
    found = {}
    for split, prefix in PREFIXES.items():
        names = f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"
        images, labels = (_find_file(path, name) for name in names)
        if images and labels:
            found[split] = images, labels
        elif images or labels:
            raise MnistCliError(f"{path} has no {names[1 if images else 0]}; add the file")
    return found


def read(path: Path, found: Mapping[str, Pair], *, as_digits: bool) -> tuple[dict[str, Part], str]:
    """Read all parts; raises MnistCliError if a file is damaged."""
    parts = {}
    for split, (images_file, labels_file) in found.items():
        images = read_idx(Path(images_file.path), 3, advice=ADVICE)
        labels = read_idx(Path(labels_file.path), 1, advice=ADVICE)
        if len(images) != len(labels) or not images.size:
            raise MnistCliError(
                f"{labels_file.path} has {len(labels):,} labels for {len(images):,} images of "
                f"{'x'.join(map(str, images.shape[1:]))} pixels; {ADVICE}"
            )
        check_count(path, split, len(images))
        fitted = fit_arrays(images, images_file.path, as_digits=as_digits)
        values, positions = np.unique(labels, return_inverse=True)
        parts[split] = Part(tuple(map(str, values)), positions, [fitted])
    return parts, ""


def _find_file(path: Path, name: str) -> File | None:
    with explaining(f"read {path}", "choose another folder"):
        for place in (path / name, path / "raw" / name):
            for file in (place, place.with_name(f"{name}.gz")):
                if file.exists():
                    return File.of(file)
    return None
