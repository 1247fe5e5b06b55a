"""Reads an .npz file with Keras's keys, `x_train`, ..., or MedMNIST's, `train_images`, ...

The file is not trusted: shapes and types are checked before the values are read, a part at a time,
and nothing is unpickled. Images are N×H×W grey, N×H×W×1, or N×H×W×3 red, green and blue. If their
type is not uint8, the largest value of the training images becomes white.
"""

import math
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mnist_cli.data.fitting import fit_arrays
from mnist_cli.data.parts import TEST, TRAIN, VAL, Contents, File, Look, Part, check_count, describe
from mnist_cli.errors import MnistCliError
from mnist_cli.schema.datasets import MOST_NAME
from mnist_cli.system.files import explaining, open_regular
from mnist_cli.system.streams import visible

KEYS = {
    split: ((f"x_{split}", f"y_{split}"), (f"{split}_images", f"{split}_labels"))
    for split in (TRAIN, VAL, TEST)
}
MOST_SIDE = 1000  # pixels
MOST_LISTED = 8  # keys in a message
BLOCK_BYTES = 1 << 24
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
ADVICE = "save it again with numpy.savez"


def fits(path: Path) -> bool:
    """Whether the name of a file ends in .npz."""
    return path.suffix.lower() == ".npz" and not path.is_dir()


def list_files(path: Path) -> list[File]:
    """The file itself."""
    with explaining(f"read {path}", "choose another file"):
        return [File.of(path, path.stat())]


def read(path: Path, on_progress: Callable[[int, int], None], *, as_digits: bool) -> Contents:
    """Read the training, validation and test images; `on_progress` gets (images done, total).

    Raises MnistCliError if the file cannot be read, is damaged, or does not fit the form.
    """
    advice = "choose another file"
    with explaining(f"read {path}", advice), open_regular(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return _Reader(path, archive, on_progress, as_digits).read()
        except (MnistCliError, OSError):
            raise
        except Exception as error:  # a damaged file raises errors of many types
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise MnistCliError(f"{path} is damaged: {reason}; {ADVICE}") from error


class _Reader:
    """Reads one file; `names` are the keys of its arrays."""

    def __init__(
        self,
        path: Path,
        archive: zipfile.ZipFile,
        on_progress: Callable[[int, int], None],
        as_digits: bool,
    ) -> None:
        self._path, self._archive, self._as_digits = path, archive, as_digits
        self._on_progress = on_progress
        self._sizes = {
            info.filename.removesuffix(".npy"): info.file_size for info in archive.infolist()
        }
        self._looks: list[Look] = []

    def read(self) -> Contents:
        """Read the parts that the file has, `train` first, whose values decide what is white."""
        keys = {
            split: pair
            for split, pairs in KEYS.items()
            for pair in pairs
            if self._sizes.keys() & set(pair)
        }
        if TRAIN not in keys:
            needed = " or ".join(f"{images} and {labels}" for images, labels in KEYS[TRAIN])
            raise MnistCliError(f"{self._path} has {_list(self._sizes)}; it needs {needed}")
        shapes = {split: self._check(split, *pair) for split, pair in keys.items()}
        white = self._find_white(keys[TRAIN][0])
        total = sum(shape[0] for shape in shapes.values())
        parts = {split: self._read_part(*pair, white, total) for split, pair in keys.items()}
        done = describe(self._looks, as_digits=self._as_digits)
        if white != 255:
            done += f", values 0 to {white:g} as 0 to 255"
        if unused := self._sizes.keys() - {key for pair in keys.values() for key in pair}:
            done += f"; not used: {_list(sorted(unused))}"
        return Contents(parts, done)

    def _check(self, split: str, images: str, labels: str) -> tuple[int, ...]:
        """Check the headers of a part; return the shape of the images."""
        with self._open(images) as file:
            shape, dtype = self._read_header(images, file)
        with self._open(labels) as file:
            label_shape, label_dtype = self._read_header(labels, file)
        sides, channels = shape[1:3], shape[3:]
        fit = len(sides) == 2 and all(1 <= side <= MOST_SIDE for side in sides)
        if not fit or channels not in {(), (1,), (3,)} or dtype.kind not in "buif":
            raise self._error(
                f"{images} is {_shape(shape)} of {dtype}, not NxHxW or NxHxWx3 numbers with sides "
                f"up to {MOST_SIDE}"
            )
        if label_shape not in {shape[:1], (shape[0], 1)} or label_dtype.kind not in "buifUS":
            raise self._error(
                f"{labels} is {_shape(label_shape)} of {label_dtype}, not one label for each of "
                f"{shape[0]:,} images"
            )
        if label_dtype.kind in "US" and label_dtype.itemsize > 4 * MOST_NAME:
            raise self._error(f"{labels} has names of more than {MOST_NAME} characters")
        check_count(self._path, split, shape[0])
        return shape

    def _open(self, key: str) -> Any:
        if key not in self._sizes:
            raise self._error(f"it has no {key}")
        return self._archive.open(f"{key}.npy")

    def _read_header(self, key: str, file: BinaryIO) -> tuple[tuple[int, ...], np.dtype[Any]]:
        version = npy.read_magic(file)
        if version not in HEADERS:
            raise self._error(f"{key} has the unknown version {version}")
        shape, fortran_order, dtype = HEADERS[version](file)
        if dtype.hasobject:
            raise self._error(f"{key} holds pickled objects, which may run code; store numbers")
        if fortran_order and len(shape) > 1:
            raise self._error(f"{key} is in Fortran order; store numpy.ascontiguousarray of it")
        if self._sizes[key] - file.tell() != math.prod(shape) * dtype.itemsize:
            raise self._error(f"{key} has another size than its header says")
        return shape, dtype

    def _read_blocks(self, key: str) -> Iterator[NDArray[Any]]:
        """Yield the rows of an array, some at a time; the end checks the CRC."""
        with self._open(key) as file:
            shape, dtype = self._read_header(key, file)
            row = math.prod(shape[1:]) * dtype.itemsize
            step = max(1, BLOCK_BYTES // max(1, row))
            for start in range(0, shape[0], step):
                count = min(step, shape[0] - start)
                content = file.read(count * row)
                yield np.frombuffer(content, dtype).reshape(count, *shape[1:])

    def _find_white(self, key: str) -> float:
        """The value that becomes white: 255 for uint8, else the largest one."""
        white = 0.0
        for block in self._read_blocks(key):
            if block.dtype == np.uint8:
                return 255.0
            if not np.isfinite(block).all() or block.min() < 0:
                raise self._error(f"{key} has negative or infinite values; store 0 to 255")
            white = max(white, float(block.max()))
        return white or 1.0

    def _read_part(self, images: str, labels: str, white: float, total: int) -> Part:
        blocks = []
        for block in self._read_blocks(images):
            if block.dtype != np.uint8:
                scaled = np.nan_to_num(block.astype(np.float64)) / white * 255
                block = np.rint(scaled.clip(0, 255)).astype(np.uint8)  # noqa: PLW2901
            grey = block[..., 0] if block.shape[3:] == (1,) else block
            try:
                pixels, looks = fit_arrays(grey, as_digits=self._as_digits)
            except ValueError as error:
                raise self._error(f"an image of {images}: {error}") from error
            blocks.append(pixels)
            self._looks += looks
            self._on_progress(len(self._looks), total)
        values, positions = np.unique(
            np.concatenate([block.ravel() for block in self._read_blocks(labels)]),
            return_inverse=True,
        )
        return Part(np.concatenate(blocks), positions, tuple(map(_name, values.tolist())))

    def _error(self, reason: str) -> MnistCliError:
        return MnistCliError(f"{self._path} cannot be used: {reason}; {ADVICE}")


def _list(keys: Iterable[str]) -> str:
    return ", ".join(visible(key[:MOST_NAME]) for key in list(keys)[:MOST_LISTED]) or "no arrays"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one value"


def _name(value: str | bytes | float) -> str:
    if isinstance(value, bytes):
        return value.decode()
    return f"{value:.10g}" if isinstance(value, float) else str(value)
