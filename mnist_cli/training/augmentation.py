"""Augments training images, with the definitions of torchvision.transforms.v2.

The transforms are RandomAffine, ElasticTransform and RandomErasing. The interpolation is bilinear,
and all outside an image is black. Here they take many images at once.
"""

from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn.functional import grid_sample

from mnist_cli.schema.augmentation import Augmentation
from mnist_cli.schema.datasets import SIDE
from mnist_cli.training.examples import derived_seed

CHUNK = 1000  # images at a time: 30 MB of memory, and the fastest of 250 to 2,000
SIGMA = 5  # of ElasticTransform, in pixels
AREA = (0.02, 0.33)  # of RandomErasing, as a fraction of the image
RATIO = (0.3, 3.3)  # of height to width
TRIES = 10  # for a rectangle that fits; all fail with a probability of 2e-22


class Affine(NamedTuple):
    """Affine transformations about the centre of the image, each field float64 N.

    `right` and `down` are whole pixels, as RandomAffine rounds them; `degrees` are clockwise, and
    `shear` are degrees, parallel to the x-axis.
    """

    right: Tensor
    down: Tensor
    degrees: Tensor
    factor: Tensor
    shear: Tensor


class Rectangles(NamedTuple):
    """Rectangles of pixels, each field int64 N; a height of 0 is none."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor


def augment(images: Tensor, augmentation: Augmentation, seed: int, epoch: int, out: Tensor) -> None:
    """Write each image, changed at random, to the same place of `out`.

    How an image is changed depends only on `augmentation`, `seed`, `epoch` and its position. Each
    of the three transforms has random numbers of its own: without one, the others stay the same.

    Args:
        images: float32 N×1×28×28 in [0, 1].
        augmentation: What is changed; if nothing, the images are copied.
        seed: The seed of the run.
        epoch: The number of the epoch.
        out: Of the same shape and on the same device; may be `images`.
    """
    affine, elastic, erase = (
        torch.Generator().manual_seed(derived_seed(seed, epoch, f"augment {name}"))
        for name in ("affine", "elastic", "erase")
    )
    moves = augmentation.shift or augmentation.rotate or augmentation.scale or augmentation.shear
    for start in range(0, len(images), CHUNK):
        chunk = images[start : start + CHUNK]
        if moves:
            chunk = apply_affine(chunk, draw_affine(len(chunk), augmentation, affine))
        if augmentation.elastic:
            noise = draw_noise(len(chunk), elastic).to(chunk.device)
            chunk = apply_elastic(chunk, make_displacement(noise, augmentation.elastic))
        if augmentation.erase:
            chunk = apply_erase(chunk, draw_rectangles(len(chunk), augmentation.erase, erase))
        out[start : start + CHUNK] = chunk


def draw_affine(count: int, limits: Augmentation, generator: Generator) -> Affine:
    """Draw `count` affine transformations, uniform within `limits`."""
    uniform = torch.rand(count, 5, generator=generator, dtype=torch.float64) * 2 - 1
    sizes = (limits.shift, limits.shift, limits.rotate, limits.scale, limits.shear)
    largest = torch.tensor(sizes, dtype=torch.float32)
    right, down, degrees, change, shear = (uniform * largest).unbind(1)
    return Affine(right.round(), down.round(), degrees, 1 + change, shear)


def apply_affine(images: Tensor, affine: Affine) -> Tensor:
    """Transform each image N×1×28×28: shear, then scale and rotate, then shift."""
    cos, sin = affine.degrees.deg2rad().cos(), affine.degrees.deg2rad().sin()
    tan = affine.shear.deg2rad().tan()
    # A pixel of the result comes from the point that the inverse of the transformation gives.
    inverse = torch.stack([cos - sin * tan, cos * tan + sin, -sin, cos]) / affine.factor
    inverse = inverse.view(2, 2, -1)  # row, column, image
    shift = -(inverse[:, 0] * affine.right + inverse[:, 1] * affine.down) / (SIDE / 2)
    x, y, shift = (part.T.float().to(images.device) for part in (*inverse.unbind(1), shift))
    centres = _pixel_centres(images.device)
    across = x[:, :, None] * centres + shift[:, :, None]  # N×2×28, the part of each column
    along = y[:, :, None] * centres  # N×2×28, the part of each row
    return _resample(images, across[:, :, None, :] + along[:, :, :, None])


def draw_noise(count: int, generator: Generator) -> Tensor:
    """Draw int8 N×2×28×28 from all 256 values; eight to a number are faster than floats."""
    eights = torch.empty(count, 2 * SIDE * SIDE // 8, dtype=torch.int64)
    return (
        eights.random_(-(2**63), None, generator=generator).view(torch.int8).view(-1, 2, SIDE, SIDE)
    )


def make_displacement(noise: Tensor, alpha: float) -> Tensor:
    """Blur noise by a Gaussian with reflected edges, and multiply it by `alpha`.

    Args:
        noise: int8 N×2×28×28; -128 to 127 stand for the middles of 256 equal parts of [-1, 1].
        alpha: Twice the pixels by which an image moves where blurred noise is 1.

    Returns:
        float32 N×2×28×28, to the right and down, in units of half an image.
    """
    offsets = torch.arange(-4 * SIGMA, 4 * SIGMA + 1)
    weights = torch.softmax(-((offsets.float() / SIGMA) ** 2) / 2, dim=0).expand(SIDE, -1)
    pixels, last = torch.arange(SIDE)[:, None] + offsets, SIDE - 1
    reflected = last - (last - pixels.abs()).abs()
    blur = weights.new_zeros(SIDE, SIDE).scatter_add_(1, reflected, weights).to(noise.device)
    unit = alpha / SIDE / 128
    return (blur * unit) @ noise.float() @ blur.T + unit / 2


def apply_elastic(images: Tensor, displacement: Tensor) -> Tensor:
    """Move the points of each image N×1×28×28 by its displacement N×2×28×28."""
    centres = _pixel_centres(images.device)
    grid = torch.stack(torch.meshgrid(centres, centres, indexing="xy"))
    return _resample(images, displacement + grid)


def draw_rectangles(count: int, probability: float, generator: Generator) -> Rectangles:
    """Draw a rectangle with `probability` for each of `count` images, as RandomErasing does."""
    uniform = torch.rand(count, 3 + 2 * TRIES, generator=generator, dtype=torch.float64)
    area = SIDE**2 * (AREA[0] + (AREA[1] - AREA[0]) * uniform[:, 3::2])
    ratio = RATIO[0] * (RATIO[1] / RATIO[0]) ** uniform[:, 4::2]
    heights, widths = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    first = ((heights < SIDE) & (widths < SIDE)).int().argmax(1, keepdim=True)  # that fits
    height, width = heights.gather(1, first)[:, 0], widths.gather(1, first)[:, 0]
    top, left = uniform[:, 1] * (SIDE - height + 1), uniform[:, 2] * (SIDE - width + 1)
    height *= uniform[:, 0] < probability
    return Rectangles(*(part.long() for part in (top, left, height, width)))


def apply_erase(images: Tensor, rectangles: Rectangles) -> Tensor:
    """Make the rectangle of each image N×1×28×28 black."""
    top, left, height, width = (part[:, None].to(images.device) for part in rectangles)
    pixels = torch.arange(SIDE, device=images.device)
    rows = ((top <= pixels) & (pixels < top + height)).float()
    columns = ((left <= pixels) & (pixels < left + width)).float()
    return images * (1 - rows[:, None, :, None] * columns[:, None, None, :])


def _pixel_centres(device: torch.device) -> Tensor:
    """The coordinates of 28 pixels, where -1 and 1 are the edges of the image."""
    return torch.linspace(1 / SIDE - 1, 1 - 1 / SIDE, SIDE, dtype=torch.float32, device=device)


def _resample(images: Tensor, points: Tensor) -> Tensor:
    """Interpolate images N×1×28×28 at `points` N×2×28×28, x and y in [-1, 1]."""
    return grid_sample(images, points.permute(0, 2, 3, 1), align_corners=False)
