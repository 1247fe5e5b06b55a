"""Reads the pictures that a person gives to a trained network."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnist_cli.data.fitting import fit, flatten
from mnist_cli.data.mnist_form import to_brightness, to_mnist_form
from mnist_cli.data.pictures import decode, read_picture
from mnist_cli.errors import MnistCliError
from mnist_cli.schema.datasets import DatasetInfo


def read_as_trained(picture: Path, trained_on: DatasetInfo, *, raw: bool) -> NDArray[np.uint8]:
    """Read a picture as 28×28 grey pixels, in the form of the images of a training.

    If `raw`, it must have that size, and is not converted. Raises MnistCliError if it cannot be
    read.
    """
    if not raw and not trained_on.has_digit_form:
        return fit(decode(picture, flatten))[0]
    convert = to_brightness if raw else to_mnist_form
    try:
        return convert(read_picture(picture))
    except ValueError as error:
        raise MnistCliError(f"{picture}: {error}") from error
