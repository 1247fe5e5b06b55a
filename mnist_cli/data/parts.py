"""What each reader of a person's own images returns, and the limits that it checks first."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
from numpy.typing import NDArray

from mnist_cli.errors import MnistCliError
from mnist_cli.schema.datasets import MOST_IMAGES, MOST_TEST_IMAGES

TRAIN, VAL, TEST = "train", "val", "test"
BYTES_OF_IMAGE = 28 * 28 * (1 + 4)  # as it is read, and as float32 in training


@dataclass(frozen=True)
class Part:
    """`images` uint8 N×28×28 and `labels` int64 N, positions in the `names` of classes."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Contents:
    """The parts `train` and perhaps `val` and `test`, and what was `done` to them, as text."""

    parts: Mapping[str, Part]
    done: str


class File(NamedTuple):
    """A file with what changes if its content does."""

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path | str, status: os.stat_result) -> "File":
        """The file at `path` with that status."""
        return cls(str(path), status.st_size, status.st_mtime_ns)


class Look(NamedTuple):
    """What a picture looked like before it became 28×28 grey pixels."""

    width: int
    height: int
    in_colour: bool
    dark_on_light: bool


def check_count(path: Path, split: str, count: int) -> None:
    """Raise MnistCliError if a part has no images, too many, or more than fit into memory."""
    most = MOST_IMAGES if split == TRAIN else MOST_TEST_IMAGES
    if not 0 < count <= most:
        raise MnistCliError(f"{path} has {count:,} images for {split}; give 1 to {most:,}")
    needed, free = count * BYTES_OF_IMAGE, psutil.virtual_memory().available
    if needed > free:
        raise MnistCliError(
            f"{count:,} images of {path} need {needed / 1e9:.1f} GB of memory, and "
            f"{free / 1e9:.1f} GB are free; give fewer images"
        )


def describe(looks: Iterable[Look], *, as_digits: bool) -> str:
    """What was done to pictures: `900 pictures of 7 sizes, 30 in colour, ...`."""
    looks = list(looks)
    sizes = sorted(
        {(look.width, look.height) for look in looks}, key=lambda size: size[0] * size[1]
    )
    texts = ["{}x{}".format(*size) for size in sizes]
    of = texts[0] if len(texts) == 1 else f"{len(texts):,} sizes, {texts[0]} to {texts[-1]}"
    coloured, dark = (sum(look[place] for look in looks) for place in (2, 3))
    told = [f"{len(looks):,} pictures of {of}"]
    told += [f"{coloured:,} in colour"] if coloured else []
    told += [f"{dark:,} dark on light{' (inverted)' if as_digits else ''}"] if dark else []
    if as_digits:
        told.append("brought to the form of MNIST's digits")
    elif coloured or texts != ["28x28"]:
        told.append("made 28x28 grey pixels: proportions kept, padded like their border")
    return ", ".join(told)
