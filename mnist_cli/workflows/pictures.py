"""Reads the pictures that a person gives to a trained network."""

from pathlib import Path

from mnist_cli.data.fitting import fit_file
from mnist_cli.data.mnist_form import to_brightness
from mnist_cli.data.pictures import Image28, read_picture
from mnist_cli.errors import MnistCliError
from mnist_cli.schema.datasets import DatasetInfo


def read_as_trained(picture: Path, trained_on: DatasetInfo, *, raw: bool) -> Image28:
    """Read a picture as 28×28 grey pixels, in the form of the images of a training.

    If `raw`, it must have that size, and is not converted. Raises MnistCliError if it cannot be
    read.
    """
    if not raw:
        return fit_file(picture, as_digits=trained_on.has_digit_form)[0]
    pixels = read_picture(picture)
    try:
        return to_brightness(pixels)
    except ValueError as error:
        raise MnistCliError(f"{picture}: {error}") from error
