"""Makes 28×28 grey pixels of pictures of any size, the same way for all formats.

Colours become brightness (ITU-R BT.601), and transparent parts white. The longer side becomes 28
pixels (bicubic), the proportions stay, and the rest is the median of the picture's border. A grey
picture of 28×28 pixels stays as it is.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mnist_cli.data.pictures import MOST_PIXELS, Image28, open_picture, read_picture
from mnist_cli.errors import MnistCliError
from mnist_cli.schema.datasets import SIDE

COLOUR = 8 / 255  # a larger difference of channels is colour; JPEG makes smaller ones


class Look(NamedTuple):
    """What a picture looked like before it became 28×28 grey pixels."""

    width: int
    height: int
    in_colour: bool
    dark_on_light: bool


Fitted = tuple[Image28, Sequence[Look]]
"""Images uint8 N×28×28, and what they looked like."""


def flatten(picture: Image.Image) -> Image.Image:
    """Reduce what `open_picture` returned to 8-bit grey or red-green-blue, and to 1000 pixels."""
    if picture.mode == "F":
        picture = Image.fromarray(np.rint(np.asarray(picture) * 255).astype(np.uint8))
    elif picture.mode == "RGBA":
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture).convert("RGB")
    picture.thumbnail((MOST_PIXELS, MOST_PIXELS))
    return picture


def fit(picture: Image.Image) -> tuple[Image28, Look]:
    """Make 28×28 uint8 pixels of what `flatten` returned."""
    pixels = np.asarray(picture)
    look = look_at(pixels, 255)
    if pixels.shape == (SIDE, SIDE):
        return pixels, look
    grey = picture.convert("L")
    border = int(_border_median(np.asarray(grey)))
    grey = ImageOps.pad(grey, (SIDE, SIDE), Image.Resampling.BICUBIC, color=border)
    return np.asarray(grey), look


def fit_digit(picture: NDArray[np.float32], name: str) -> tuple[Image28, Look]:
    """As `to_mnist_form`; raises MnistCliError, which names the picture, if it is blank."""
    from mnist_cli.data.mnist_form import to_mnist_form  # here, as scipy takes 0.2 s to import

    try:
        return to_mnist_form(picture), look_at(picture, 1)
    except ValueError as error:
        raise MnistCliError(f"{name}: {error}") from error


def fit_file(path: Path, *, as_digits: bool) -> tuple[Image28, Look]:
    """Read and fit the picture in a file; raises as `open_picture` and `fit_digit`."""
    if as_digits:
        return fit_digit(read_picture(path), str(path))
    return fit(flatten(open_picture(path)))


def fit_arrays(images: NDArray[np.uint8], name: str, *, as_digits: bool) -> Fitted:
    """Fit N×H×W grey or N×H×W×3 red-green-blue images; raises MnistCliError as `fit_digit`."""
    if as_digits:
        scaled = images.reshape(*images.shape[:3], -1)
        return stack(fit_digit(image / np.float32(255), f"an image of {name}") for image in scaled)
    if images.shape[1:] != (SIDE, SIDE):
        return stack(fit(Image.fromarray(image)) for image in images)
    sides = (images[:, 0], images[:, -1], images[..., 0], images[..., -1])  # all images at once
    light = np.median(np.concatenate(sides, axis=1), axis=1) > 255 / 2
    return images, [Look(SIDE, SIDE, False, bool(value)) for value in light]


def look_at(picture: NDArray[Any], white: float) -> Look:
    """Describe a picture, height×width or height×width×channels, with values from 0 to `white`."""
    height, width = picture.shape[:2]
    colours = picture[:, :, :3] if picture.ndim == 3 else picture
    coloured = picture.ndim == 3 and bool((np.ptp(colours, axis=2) > COLOUR * white).any())
    return Look(width, height, coloured, _border_median(colours) > white / 2)


def stack(fitted: Iterable[tuple[Image28, Look]]) -> Fitted:
    """Images as one array N×28×28, and their looks."""
    pairs = list(fitted)
    return np.stack([pixels for pixels, _ in pairs]), [look for _, look in pairs]


def describe(looks: Sequence[Look], *, as_digits: bool) -> str:
    """What was done to pictures: `900 pictures of 7 sizes, 30 in colour, ...`."""
    sizes = sorted({(look.width, look.height) for look in looks}, key=math.prod)
    texts = ["{}x{}".format(*size) for size in sizes]
    of = texts[0] if len(texts) == 1 else f"{len(texts):,} sizes, {texts[0]} to {texts[-1]}"
    coloured = sum(look.in_colour for look in looks)
    dark = sum(look.dark_on_light for look in looks)
    told = [f"{len(looks):,} pictures of {of}"]
    told += [f"{coloured:,} in colour"] if coloured else []
    told += [f"{dark:,} dark on light{' (inverted)' if as_digits else ''}"] if dark else []
    if as_digits:
        told.append("brought to the form of MNIST's digits")
    elif coloured or texts != ["28x28"]:
        told.append("made 28x28 grey pixels: proportions kept, padded like their border")
    return ", ".join(told)


def _border_median(picture: NDArray[Any]) -> float:
    """The median of the values along the four sides; faster than numpy's for few values."""
    sides = (picture[0], picture[-1], picture[:, 0], picture[:, -1])
    values = np.sort(np.concatenate([side.ravel() for side in sides]))
    middle = len(values) // 2  # their number is even
    return (float(values[middle - 1]) + float(values[middle])) / 2
