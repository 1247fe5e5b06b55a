"""Reads a folder with IDX files that have the names of MNIST's, packed with gzip or not.

The files are in the folder itself or in `raw` in it, as torchvision stores them.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mnist_cli.data.fitting import fit_arrays
from mnist_cli.data.idx import read_idx
from mnist_cli.data.parts import TEST, TRAIN, Contents, File, Look, Part, check_count, describe
from mnist_cli.errors import MnistCliError
from mnist_cli.system.files import explaining

PREFIXES = {TRAIN: "train", TEST: "t10k"}
ADVICE = "copy it again, or choose another folder"


def fits(path: Path) -> bool:
    """Whether the folder has the training images as an IDX file."""
    return path.is_dir() and any(_find(path, "train-images-idx3-ubyte"))


def list_files(path: Path) -> list[File]:
    """The files that the folder has."""
    with explaining(f"read {path}", "choose another folder"):
        return [File.of(file, file.stat()) for pair in _list_pairs(path).values() for file in pair]


def read(path: Path, on_progress: Callable[[int, int], None], *, as_digits: bool) -> Contents:
    """Read all parts; raises MnistCliError if a file is missing or damaged."""
    looks: list[Look] = []
    parts = {}
    for split, (images_path, labels_path) in _list_pairs(path).items():
        images = read_idx(images_path, 3, advice=ADVICE)
        labels = read_idx(labels_path, 1, advice=ADVICE)
        if len(images) != len(labels) or not images.size:
            raise MnistCliError(
                f"{labels_path} has {len(labels):,} labels for {len(images):,} images of "
                f"{'x'.join(map(str, images.shape[1:]))} pixels; {ADVICE}"
            )
        check_count(path, split, len(images))
        try:
            pixels, seen = fit_arrays(images, as_digits=as_digits)
        except ValueError as error:
            raise MnistCliError(f"an image of {images_path}: {error}") from error
        looks += seen
        on_progress(len(looks), len(looks))
        values, positions = np.unique(labels, return_inverse=True)
        parts[split] = Part(pixels, positions, tuple(map(str, values)))
    return Contents(parts, describe(looks, as_digits=as_digits))


def _list_pairs(path: Path) -> dict[str, tuple[Path, Path]]:
    """The files of images and labels of each part; raises MnistCliError if one is missing."""
    pairs = {}
    for split, prefix in PREFIXES.items():
        files = [_find(path, f"{prefix}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1")]
        if any(files):
            if not all(files):
                missing = "images-idx3" if not files[0] else "labels-idx1"
                raise MnistCliError(f"{path} has no {prefix}-{missing}-ubyte; add the file")
            pairs[split] = files[0][0], files[1][0]
    return pairs


def _find(path: Path, name: str) -> list[Path]:
    places = [
        path / folder / f"{name}{suffix}" for folder in (".", "raw") for suffix in ("", ".gz")
    ]
    return [place for place in places if place.exists()]
