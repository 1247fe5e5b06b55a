"""What a network makes of one image, as arrays to draw."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mnist_cli.networks.tracing import Traced
from mnist_cli.schema.datasets import SIDE
from mnist_cli.schema.results import Stage

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Features:
    """The outputs of each stage, maps N×H×W or a vector, and what explains them.

    `image` is uint8 28×28. `weights` are those of the first layer as N×H×W images, or None if they
    make none. `occlusion` is 28×28, in [-1, 1].
    """

    image: NDArray[np.uint8]
    weights: Floats | None
    outputs: Sequence[tuple[Stage, Floats]]
    occlusion: Floats


def find_first_layer(traced: Sequence[Traced]) -> Traced | None:
    """The first stage with weights."""
    stages = (each for each in traced[1:] if each.weight is not None or each.stage.parameters)
    return next(stages, None)


def to_images(weight: Tensor | None) -> Floats | None:
    """Weights as images N×H×W: of each kernel, or of each unit that sees all pixels."""
    if weight is None:
        return None
    images = weight.detach().float().cpu()
    if images.dim() == 2:
        return _to_array(images.view(-1, SIDE, SIDE)) if images.shape[1] == SIDE**2 else None
    return _to_array(images.flatten(0, -3))


def list_outputs(traced: Sequence[Traced]) -> list[tuple[Stage, Floats]]:
    """The outputs as maps N×H×W or vectors, without the input and stages that only rearrange."""
    outputs = []
    for before, each in pairwise(traced):
        computes = each.stage.kernel_size or each.stage.parameters or each.stage.reuses_weights
        if not computes and each.output.numel() == before.output.numel():
            continue
        values = each.output.float().cpu()
        is_vector = values.dim() < 2 or values.shape[-2:] == (1, 1)
        shape = (-1,) if is_vector else (-1, *values.shape[-2:])
        outputs.append((each.stage, _to_array(values.reshape(shape))))
    return outputs


def cover(image: Tensor, side: int) -> Tensor:
    """Copies of a 1×28×28 image, one for each pixel, with a black square around the pixel.

    Returns 784×1×28×28, row by row.
    """
    height, width = image.shape[-2:]
    copies = image.repeat(height * width, 1, 1, 1)
    half = side // 2
    for number, copy in enumerate(copies):
        y, x = divmod(number, width)
        copy[:, max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1] = 0
    return copies


def _to_array(values: Tensor) -> Floats:
    array: Floats = torch.nan_to_num(values).numpy()
    return array
