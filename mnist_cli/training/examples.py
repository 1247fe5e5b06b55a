"""Images and labels as tensors on the device, and the order of the images in training."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mnist_cli.data.dataset import LabelledImages
from mnist_cli.schema.protocol import Protocol

PIXEL_ORDER = torch.randperm(28 * 28, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True)
class Examples:
    """`images` float32 N×1×28×28 in [0, 1] and `labels` int64 N, on one device."""

    images: Tensor
    labels: Tensor


def to_device(labelled: LabelledImages, device: torch.device) -> Examples:
    """Put images and labels on `device`."""
    labels = torch.tensor(labelled.labels.astype(np.int64), device=device)
    return Examples(images_to_device(labelled.images, device), labels)


def images_to_device(images: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Convert uint8 images N×28×28 to float32 N×1×28×28 in [0, 1], as torchvision's ToTensor."""
    pixels = torch.tensor(images).to(device)
    return pixels.unsqueeze(1).float().div_(255)


def prepare(images: Tensor, protocol: Protocol) -> Tensor:
    """The images N×1×28×28 as a network with this `protocol` sees them, in training and later.

    With `shuffle_pixels`, each image has its pixels in one random order, always the same.
    """
    if not protocol.shuffle_pixels:
        return images
    return images.flatten(1).index_select(1, PIXEL_ORDER.to(images.device)).view_as(images)


def shuffle(num_samples: int, seed: int, epoch: int) -> Tensor:
    """The order of the training images in one epoch, the same for every network: int64 N."""
    generator = torch.Generator().manual_seed(derived_seed(seed, epoch, "order"))
    return torch.randperm(num_samples, generator=generator)


def derived_seed(seed: int, epoch: int, purpose: str) -> int:
    """A 64-bit seed for one purpose in one epoch: a hash, so that seeds are unrelated."""
    digest = hashlib.sha256(f"{seed}/{epoch}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big")
