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
from mnist_cli.schema.datasets import NUM_CLASSES

RIGHT = 255  # the code of a right answer; a wrong one has 10 * label + answer


def encode(labels: NDArray[np.int64], answers: NDArray[np.int64]) -> str:
    """Encode N answers as text for `Run.mistakes`: 1 kB if 4 % of 10,000 are wrong."""
    codes = np.where(labels == answers, RIGHT, NUM_CLASSES * labels + answers).astype(np.uint8)
    return base64.b64encode(zlib.compress(codes.tobytes(), 9)).decode()


def decode(text: str, num_test: int) -> NDArray[np.uint8]:
    """Decode a byte for each of `num_test` images: 10 * label + answer, or 255 if it is right.

    Raises ValueError if `text` does not encode `num_test` images.
    """
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(base64.b64decode(text, validate=True), num_test + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"the mistakes of a run are damaged ({error})") from error
    codes = np.frombuffer(content, np.uint8)
    labels, answers = codes // NUM_CLASSES, codes % NUM_CLASSES
    wrong = (labels < NUM_CLASSES) & (labels != answers)
    if len(codes) != num_test or not (wrong | (codes == RIGHT)).all():
        raise ValueError(f"the mistakes of a run are not those of {num_test:,} images")
    return codes


def decode_runs(runs: Sequence[Run], num_test: int) -> NDArray[np.uint8]:
    """Decode the R runs that have mistakes, as uint8 R×N; raises ValueError as `decode` does."""
    known = [decode(run.mistakes, num_test) for run in runs if run.mistakes is not None]
    return np.stack(known) if known else np.empty((0, num_test), np.uint8)


def sampling_error_of_difference(
    first: Sequence[Run], second: Sequence[Run], num_test: int
) -> float | None:
    """Half the 95 % interval of the difference in accuracy that is due to the choice of images.

    This is 1.96 times the standard deviation over the N images of (share of `first` that is right
    minus share of `second`), divided by √N. None if mistakes are unknown or damaged.
    """
    try:
        shares = [
            np.mean([_wrong(run.mistakes, num_test) for run in runs if run.mistakes], axis=0)
            for runs in (first, second)
            if all(run.mistakes for run in runs)
        ]
    except ValueError:
        return None
    if len(shares) < 2:
        return None
    return float(1.96 * np.std(shares[0] - shares[1]) / math.sqrt(num_test))


@lru_cache(maxsize=1024)  # a comparison is analysed after each of its runs
def _wrong(text: str, num_test: int) -> NDArray[np.bool_]:
    wrong: NDArray[np.bool_] = decode(text, num_test) != RIGHT
    return wrong


def count_confusions(codes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The 10×10 confusion matrix of R×N codes without right answers, labels as rows; int64."""
    wrong = codes[codes != RIGHT]
    return np.bincount(wrong, minlength=NUM_CLASSES**2).reshape(NUM_CLASSES, NUM_CLASSES)
