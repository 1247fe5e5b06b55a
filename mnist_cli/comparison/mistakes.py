"""The test images that runs classify wrongly: encoded as text, decoded and counted."""

import base64
import binascii
import math
import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mnist_cli.schema.comparison import Run
from mnist_cli.schema.datasets import NUM_CLASSES, DatasetInfo

Codes = NDArray[np.unsignedinteger]
MOST_IN_A_BYTE = 15  # classes; 15 * 15 pairs of label and answer are less than 255


def encode(
    labels: NDArray[np.int64], answers: NDArray[np.int64], num_classes: int = NUM_CLASSES
) -> str:
    """Encode N answers as text for `Run.mistakes`: 1 kB if 4 % of 10,000 are wrong."""
    dtype = _choose_dtype(num_classes)
    right = np.iinfo(dtype).max
    codes = np.where(labels == answers, right, num_classes * labels + answers).astype(dtype)
    return base64.b64encode(zlib.compress(codes.tobytes(), 9)).decode()


def decode(text: str, num_test: int, num_classes: int = NUM_CLASSES) -> Codes:
    """Decode a code for each of `num_test` images: K * label + answer with K classes.

    For a right answer it is the largest number of the dtype: uint8, or uint32 for more than 15
    classes. Raises ValueError if `text` does not encode `num_test` images.
    """
    dtype = _choose_dtype(num_classes)
    most_bytes = num_test * dtype.itemsize
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(base64.b64decode(text, validate=True), most_bytes + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"the mistakes of a run are damaged ({error})") from error
    codes = np.frombuffer(content, dtype) if len(content) == most_bytes else np.empty(0, dtype)
    labels, answers = codes // num_classes, codes % num_classes
    possible = (labels < num_classes) & (labels != answers)
    if len(codes) != num_test or not (possible | ~is_wrong(codes)).all():
        raise ValueError(f"the mistakes of a run are not those of {num_test:,} images")
    return codes


def is_wrong(codes: Codes) -> NDArray[np.bool_]:
    """Which of the codes are of wrong answers."""
    wrong: NDArray[np.bool_] = codes != np.iinfo(codes.dtype).max
    return wrong


def decode_runs(runs: Sequence[Run], dataset: DatasetInfo) -> Codes:
    """Decode the answers of all runs that have them: codes as in `decode`, a row for each run.

    Raises ValueError if those of a run are damaged.
    """
    num_test, num_classes = dataset.num_test, len(dataset.classes)
    texts = [run.mistakes for run in runs if run.mistakes is not None]
    known = [decode(text, num_test, num_classes) for text in texts]
    return np.stack(known) if known else np.empty((0, num_test), np.uint8)


def sampling_error_of_difference(
    first: Sequence[Run], second: Sequence[Run], dataset: DatasetInfo
) -> float | None:
    """Half the 95 % interval of the difference in accuracy that is due to the choice of images.

    This is 1.96 times the standard deviation over the N images of (share of `first` that is right
    minus share of `second`), divided by √N. None if mistakes are unknown or damaged.
    """
    num_test, num_classes = dataset.num_test, len(dataset.classes)
    try:
        shares = [
            np.mean([_find_wrong(run.mistakes or "", num_test, num_classes) for run in runs], 0)
            for runs in (first, second)
        ]
    except ValueError:
        return None
    return float(1.96 * np.std(shares[0] - shares[1]) / math.sqrt(num_test))


@lru_cache(maxsize=1024)  # a comparison is analysed after each of its runs
def _find_wrong(text: str, num_test: int, num_classes: int) -> NDArray[np.bool_]:
    return is_wrong(decode(text, num_test, num_classes))


def count_confusions(codes: Codes, num_classes: int = NUM_CLASSES) -> NDArray[np.int64]:
    """The K×K confusion matrix of R×N codes without right answers, labels as rows; int64."""
    wrong = codes[is_wrong(codes)]
    return np.bincount(wrong, minlength=num_classes**2).reshape(num_classes, num_classes)


def _choose_dtype(num_classes: int) -> np.dtype[np.unsignedinteger]:
    return np.dtype(np.uint8 if num_classes <= MOST_IN_A_BYTE else "<u4")
