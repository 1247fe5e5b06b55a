"""Reads an .npz file with Keras's keys, `x_train`, ..., or MedMNIST's, `train_images`, ...

The file is not trusted: shapes and types are checked before the values are read, a part at a time,
and nothing is unpickled. Images are N×H×W grey, N×H×W×1, or N×H×W×3 red, green and blue. If their
type is not uint8, the largest value of the training images becomes white.
"""

import math
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mnist_cli.data.fitting import Fitted, fit_arrays
from mnist_cli.data.parts import TEST, TRAIN, VAL, File, Part, check_count
from mnist_cli.errors import MnistCliError
from mnist_cli.schema.datasets import MOST_NAME
from mnist_cli.system.files import explaining, open_regular
from mnist_cli.system.streams import visible


class _UnfitError(Exception):
    """What an array is or lacks, so that it cannot be used."""


KEYS = {
    split: ((f"x_{split}", f"y_{split}"), (f"{split}_images", f"{split}_labels"))
    for split in (TRAIN, VAL, TEST)
}
MOST_SIDE = 1000  # pixels
MOST_LISTED = 8  # keys in a message
BLOCK_BYTES = 1 << 24
VERSION = 1, 0  # of an array; the header of a later one may have 4 GB
ADVICE = "save it again with numpy.savez"


def find(path: Path) -> File | None:
    """The path, size and time of an .npz file; None if `path` does not end in .npz."""
    if path.suffix.lower() != ".npz" or path.is_dir():
        return None
    with explaining(f"read {path}", "choose another file"):
        return File.of(path)


def read(path: Path, _found: File, *, as_digits: bool) -> tuple[dict[str, Part], str]:
    """Check all parts, and read their labels; iterating over `Part.images` reads the images.

    Raises MnistCliError if the file cannot be read, is damaged, or does not fit the form.
    """
    with _opened(path) as archive:
        stored = [name.removesuffix(".npy") for name in archive.namelist()]
        keys = {
            split: pair for split, pairs in KEYS.items() for pair in pairs if {*pair} & {*stored}
        }
        if TRAIN not in keys:
            needed = " or ".join(f"{images} and {labels}" for images, labels in KEYS[TRAIN])
            raise MnistCliError(f"{path} has {_list(stored)}; it needs {needed}")
        for split, (images, labels) in keys.items():
            check_count(path, split, _check(archive, images, labels))
        white = _find_white(archive, keys[TRAIN][0])
        parts = {}
        for split, (images, labels) in keys.items():
            names, positions = _read_labels(archive, labels)
            fitted = _read_images(path, images, white, as_digits=as_digits)
            parts[split] = Part(names, positions, fitted)
    note = "" if white == 255 else f", values 0 to {white:g} as 0 to 255"
    if unused := {*stored} - {key for pair in keys.values() for key in pair}:
        note += f"; not used: {_list(sorted(unused))}"
    return parts, note


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an .npz file; raises MnistCliError, with its name, if it is damaged or unfit."""
    with explaining(f"read {path}", "choose another file"), open_regular(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive
        except (MnistCliError, OSError):
            raise
        except _UnfitError as error:
            raise MnistCliError(f"{path} cannot be used: {error}; {ADVICE}") from error
        except Exception as error:  # a damaged file raises errors of many types
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise MnistCliError(f"{path} is damaged: {reason}; {ADVICE}") from error


def _check(archive: zipfile.ZipFile, images: str, labels: str) -> int:
    """Check the headers of a part; return the number of images."""
    shape, dtype, _ = _read_header(archive, images)
    label_shape, label_dtype, _ = _read_header(archive, labels)
    sides, channels = shape[1:3], shape[3:]
    fit = len(sides) == 2 and all(1 <= side <= MOST_SIDE for side in sides)
    if not fit or channels not in {(), (1,), (3,)} or dtype.kind not in "buif":
        raise _UnfitError(
            f"{images} is {_shape(shape)} of {dtype}, not NxHxW or NxHxWx3 numbers with sides "
            f"up to {MOST_SIDE}"
        )
    if label_shape not in {shape[:1], (shape[0], 1)} or label_dtype.kind not in "buifUS":
        raise _UnfitError(
            f"{labels} is {_shape(label_shape)} of {label_dtype}, not one label for each of "
            f"{shape[0]:,} images"
        )
    if label_dtype.kind in "US" and label_dtype.itemsize > 4 * MOST_NAME:
        raise _UnfitError(f"{labels} has names of more than {MOST_NAME} characters")
    return shape[0]


def _read_header(archive: zipfile.ZipFile, key: str) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """The shape and type of an array, and the number of bytes before its values."""
    if f"{key}.npy" not in archive.namelist():
        raise _UnfitError(f"it has no {key}")
    info = archive.getinfo(f"{key}.npy")
    with archive.open(info) as file:
        version = npy.read_magic(file)
        if version != VERSION:
            raise _UnfitError(f"{key} has the unknown version {version}")
        shape, fortran_order, dtype = npy.read_array_header_1_0(file)
        start = file.tell()
    if dtype.hasobject:
        raise _UnfitError(f"{key} holds pickled objects, which may run code; store numbers")
    if fortran_order and len(shape) > 1:
        raise _UnfitError(f"{key} is in Fortran order; store numpy.ascontiguousarray of it")
    if info.file_size - start != math.prod(shape) * dtype.itemsize:
        raise _UnfitError(f"{key} has another size than its header says")
    return shape, dtype, start


def _read_blocks(archive: zipfile.ZipFile, key: str) -> Iterator[NDArray[Any]]:
    """Yield the rows of an array, some at a time; the end checks the CRC."""
    shape, dtype, start = _read_header(archive, key)
    row = math.prod(shape[1:]) * dtype.itemsize
    step = max(1, BLOCK_BYTES // max(1, row))
    with archive.open(f"{key}.npy") as file:
        file.read(start)
        for done in range(0, shape[0], step):
            count = min(step, shape[0] - done)
            yield np.frombuffer(file.read(count * row), dtype).reshape(count, *shape[1:])


def _find_white(archive: zipfile.ZipFile, key: str) -> float:
    """The value that becomes white: 255 for uint8, else the largest one."""
    white = 0.0
    for block in _read_blocks(archive, key):
        if block.dtype == np.uint8:
            return 255.0
        if not np.isfinite(block).all() or block.min() < 0:
            raise _UnfitError(f"{key} has negative or infinite values; store 0 to 255")
        white = max(white, float(block.max()))
    return white or 1.0


def _read_labels(archive: zipfile.ZipFile, key: str) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The names of the classes, and the positions of the labels among them."""
    with archive.open(f"{key}.npy") as file:
        labels = npy.read_array(file, allow_pickle=False)
    values, positions = np.unique(labels.ravel(), return_inverse=True)
    return tuple(map(_name, values.tolist())), positions


def _read_images(path: Path, key: str, white: float, *, as_digits: bool) -> Iterator[Fitted]:
    with _opened(path) as archive:
        for block in _read_blocks(archive, key):
            images = block[..., 0] if block.shape[3:] == (1,) else block
            if block.dtype != np.uint8:
                scaled = np.nan_to_num(images.astype(np.float64)) / white * 255
                images = np.rint(scaled.clip(0, 255)).astype(np.uint8)
            yield fit_arrays(images, f"{key} in {path}", as_digits=as_digits)


def _list(keys: Iterable[str]) -> str:
    return ", ".join(visible(key[:MOST_NAME]) for key in list(keys)[:MOST_LISTED]) or "no arrays"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one value"


def _name(value: str | bytes | float) -> str:
    if isinstance(value, bytes):
        return value.decode()
    return f"{value:.10g}" if isinstance(value, float) else str(value)
