"""Converts a picture of a digit to the form of MNIST's images.

The digit is light on black, its longer side has 20 pixels, and its centre of mass is in the middle
of 28×28 pixels: section III.A of LeCun et al. (1998), "Gradient-based learning applied to document
recognition".
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from mnist_cli.data.pictures import Image28
from mnist_cli.schema.datasets import SIDE

BOX, CENTRE = 20, 14  # each centre of mass in MNIST is within half a pixel of 14
LEAST_CONTRAST = 0.08  # of black to white; a picture with less is blank
NOISE_DEVIATIONS = 4  # one pixel in 30,000 of Gaussian noise exceeds this
LEAST_AREA = 5  # pixels; noise has smaller areas
SPECK = 0.05  # of the area of the largest part; less is dirt, more may be the bar of a 5
FAINT = 0.05  # of the strength of the ink; fainter pixels do not count for the size
FULL = 90  # percentile of the digit's pixels that becomes white; in MNIST, it is 253 to 255
ALMOST = 0.1  # a digit that is within 10 % of the size is not resized, which would blur it
LEAST_STROKE = 2  # of 20 pixels; half of MNIST's digits have 2.5 or more, a ballpoint pen has 1
LUMA = np.array((0.299, 0.587, 0.114))  # brightness of red, green and blue (ITU-R BT.601)
NEIGHBOURS = np.ones((3, 3), bool)  # pixels that touch at a corner belong to one part

Pixels = NDArray[np.float32]


def to_mnist_form(picture: Pixels) -> Image28:
    """Find the digit in a picture, height×width×channels in [0, 1], and return it as 28×28 uint8.

    The digit is what differs most from the border in brightness, colour or opacity. Raises
    ValueError if the picture is blank.
    """
    ink = _extract_ink(_compute_intensities(picture))
    strong = ink > _otsu_threshold(ink)
    parts, _ = ndimage.label(strong, NEIGHBOURS)
    areas = np.bincount(parts[strong], minlength=1)
    if areas.max() < LEAST_AREA:
        raise ValueError("there is no digit on it; cut the picture closer, or draw darker")
    digit = strong & (areas[parts] >= SPECK * areas.max())
    ink = np.minimum(ink / np.percentile(ink[digit], FULL), 1)
    pixel = max(digit[_find_box(digit)].shape) / BOX  # of the 28×28 image, in the picture's pixels
    edge = max(1, round(pixel))  # width of the digit's edge, which is antialiased or blurred
    ink[~ndimage.maximum_filter(digit, 2 * edge + 1)] = 0
    stroke = 4 * ndimage.distance_transform_edt(digit)[digit].mean()  # width, exact for a bar
    if pixel > 2 and stroke < LEAST_STROKE * pixel:
        ink = ndimage.maximum_filter(ink, round(LEAST_STROKE * pixel - stroke) + 1)
    return np.rint(_centre(_resize(ink)) * 255).astype(np.uint8)


def to_brightness(picture: Pixels) -> Image28:
    """The brightness of a 28×28 picture as uint8; raises ValueError for another size."""
    if picture.shape[:2] != (SIDE, SIDE):
        raise ValueError(f"it is not {SIDE}x{SIDE} pixels; omit --raw to convert it")
    grey = picture[..., 0] if picture.shape[2] == 1 else picture[..., :3] @ LUMA
    return np.rint(grey * 255).astype(np.uint8)


def _compute_intensities(picture: Pixels) -> Pixels:
    """The first principal component of the channels of each pixel; black and white differ by 1.

    It separates red from green of the same brightness too. Its sign is arbitrary.
    """
    colours = picture.reshape(-1, picture.shape[2])
    _, directions = np.linalg.eigh(np.atleast_2d(np.cov(colours, rowvar=False, bias=True)))
    intensities: Pixels = picture @ (directions[:, -1] / picture.shape[2] ** 0.5)
    return intensities.astype(np.float32)


def _extract_ink(values: Pixels) -> Pixels:
    """The difference of each pixel from the background, positive for ink, and 0 for noise.

    The background is a plane fitted to the borders, because light may come from one side. The
    largest differences decide the sign of the ink, because stains and shadows are faint.
    """
    ink = values - np.median(np.concatenate(_list_borders(values)))
    top, bottom, left, right = (float(np.median(border)) for border in _list_borders(values))
    y, x = (np.linspace(-0.5, 0.5, length, dtype=np.float32) for length in values.shape)
    flat = ink - (bottom - top) * y[:, None] - (right - left) * x
    if _unevenness(flat) < _unevenness(ink) / 3:  # else a digit at the border tilts the plane
        ink = flat
    if (ink**3).sum() < 0:
        ink = -ink
    if ink.max() < LEAST_CONTRAST:
        return np.zeros_like(ink)
    steps = np.abs(np.concatenate([np.diff(ink, axis=axis).ravel() for axis in (0, 1)]))
    noise = np.quantile(steps, 0.25) / (0.3186 * 2**0.5)  # standard deviation of Gaussian noise
    return np.where(ink > NOISE_DEVIATIONS * noise, ink, 0)


def _list_borders(values: Pixels) -> list[Pixels]:
    """The pixels along the top, bottom, left and right, in a 25th of the shorter side."""
    depth = max(1, round(min(values.shape) / 25))
    strips = (values[:depth], values[-depth:], values[:, :depth], values[:, -depth:])
    return [strip.ravel() for strip in strips]


def _unevenness(values: Pixels) -> float:
    return float(np.median(np.abs(np.concatenate(_list_borders(values)))))


def _otsu_threshold(values: Pixels) -> float:
    """The threshold that maximises the variance between dark and light pixels (Otsu, 1979)."""
    counts, edges = np.histogram(values, 256, (0, float(values.max()) or 1))
    below = counts.cumsum()
    sums = (counts * edges[:-1]).cumsum()
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        means = sums / below, (sums[-1] - sums) / above
        between = np.nan_to_num(below * above * (means[0] - means[1]) ** 2)
    return float(edges[between.argmax() + 1])


def _find_box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    box: tuple[slice, slice] = ndimage.find_objects(mask.astype(np.int8))[0]
    return box


def _resize(ink: Pixels) -> Pixels:
    """Cut out the digit, and resize its longer side to 20 pixels."""
    digit = ink[_find_box(ink > FAINT)]
    scale = BOX / max(digit.shape)
    if abs(scale - 1) <= ALMOST:
        return digit
    digit = ink[_find_box(ink > 0.5)]  # without blurred edges, which an enlarged digit has
    scale = BOX / max(digit.shape)
    height, width = (max(1, round(length * scale)) for length in digit.shape)
    picture = Image.fromarray(digit).resize((width, height), Image.Resampling.BICUBIC)
    resized = np.asarray(picture).clip(0)  # this made thin strokes fainter
    full = np.percentile(resized[resized > resized.max() / 2], FULL)
    return np.minimum(resized / np.float32(full), 1)


def _centre(digit: Pixels) -> Pixels:
    """Move the centre of mass to the middle of 28×28 pixels, by whole pixels."""
    top, left = (round(centre) + SIDE - CENTRE for centre in ndimage.center_of_mass(digit))
    return np.pad(digit, SIDE)[top : top + SIDE, left : left + SIDE]
