"""What the readers of a person's own images return, and the limits that they check first."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
from numpy.typing import NDArray

from mnist_cli.data.fitting import Fitted
from mnist_cli.errors import MnistCliError
from mnist_cli.schema.datasets import MOST_IMAGES, MOST_TEST_IMAGES

TRAIN, VAL, TEST = "train", "val", "test"
BYTES_OF_IMAGE = 28 * 28 * (1 + 4)  # as it is read, and as float32 in training


@dataclass(frozen=True)
class Part:
    """`labels` int64 N, positions in the `names` of classes, and N images in batches."""

    names: tuple[str, ...]
    labels: NDArray[np.int64]
    images: Iterable[Fitted]


class File(NamedTuple):
    """A file with what changes if its content does."""

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path | str) -> "File":
        """The file at `path`; raises OSError if there is none."""
        status = os.stat(path)  # noqa: PTH116 - of many files
        return cls(str(path), status.st_size, status.st_mtime_ns)


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
