"""Makes 28×28 grey pixels of pictures of any size, the same way for all formats.

Colours become brightness (ITU-R BT.601), and transparent parts white. The longer side becomes 28
pixels (bicubic), the proportions stay, and the rest is the median of the picture's border. A grey
picture of 28×28 pixels stays as it is.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mnist_cli.data.parts import Look
from mnist_cli.data.pictures import MOST_PIXELS, Image28, decode, read_picture
from mnist_cli.errors import MnistCliError
from mnist_cli.schema.datasets import SIDE

COLOUR = 8 / 255  # a larger difference of channels is colour; JPEG makes smaller ones


def flatten(picture: Image.Image) -> Image.Image:
    """The picture upright, in 8-bit grey or red-green-blue, reduced to 1000 pixels at most."""
    picture.load()
    if picture.info:  # it may say how the camera was held
        ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode.startswith(("I", "F")):  # 16 bits or more, which convert() would cut to 8
        values = np.nan_to_num(np.asarray(picture, np.float32)).clip(0)
        most = 65535 if picture.mode.startswith("I;16") else values.max()
        flat = Image.fromarray(np.rint(values / max(most, 1) * 255).astype(np.uint8))
    elif picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        flat = Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    else:
        flat = picture.convert("L" if picture.mode in {"1", "L"} else "RGB")
    flat.thumbnail((MOST_PIXELS, MOST_PIXELS))
    return flat


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


def fit_digit(picture: NDArray[np.float32]) -> tuple[Image28, Look]:
    """As `to_mnist_form`, which raises ValueError if the picture is blank."""
    from mnist_cli.data.mnist_form import to_mnist_form  # here, as scipy takes 0.2 s to import

    return to_mnist_form(picture), look_at(picture, 1)


def fit_file(path: Path, *, as_digits: bool) -> tuple[Image28, Look]:
    """Read and fit the picture in a file; raises MnistCliError, which names it, if that fails."""
    if not as_digits:
        return fit(decode(path, flatten))
    picture = read_picture(path)
    try:
        return fit_digit(picture)
    except ValueError as error:
        raise MnistCliError(f"{path}: {error}") from error


def fit_arrays(images: NDArray[np.uint8], *, as_digits: bool) -> tuple[Image28, list[Look]]:
    """Fit N×H×W grey or N×H×W×3 red-green-blue images; raises ValueError as `fit_digit`."""
    if as_digits:
        scaled = images.reshape(*images.shape[:3], -1)
        return stack(fit_digit(image / np.float32(255)) for image in scaled)
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


def stack(fitted: Iterable[tuple[Image28, Look]]) -> tuple[Image28, list[Look]]:
    """Images as one array N×28×28, and their looks."""
    pairs = list(fitted)
    return np.stack([pixels for pixels, _ in pairs]), [look for _, look in pairs]


def _border_median(picture: NDArray[Any]) -> float:
    """The median of the values along the four sides; faster than numpy's for few values."""
    sides = (picture[0], picture[-1], picture[:, 0], picture[:, -1])
    values = np.sort(np.concatenate([side.ravel() for side in sides]))
    middle = len(values) // 2  # their number is even
    return (float(values[middle - 1]) + float(values[middle])) / 2
