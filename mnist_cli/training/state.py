"""A network that is about to be trained, with all that decides what becomes of it."""

from dataclasses import dataclass

import torch
from torch import nn

from mnist_cli.networks.building import trainable
from mnist_cli.networks.isolation import running
from mnist_cli.schema.protocol import Precision, Protocol
from mnist_cli.training.adam import Adam
from mnist_cli.training.device import place
from mnist_cli.training.examples import Examples


@dataclass(frozen=True)
class Training:
    """`model` and `optimizer` change as it goes on; `examples` are on the same device.

    With BF16, the network computes in bfloat16 (autocast); weights, loss and optimizer stay
    float32. `seed` decides the order of the images and what the network itself draws.
    """

    model: nn.Module
    optimizer: Adam
    examples: Examples
    protocol: Protocol
    seed: int
    precision: Precision

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.examples.labels.device


def set_up(
    model: nn.Module, examples: Examples, protocol: Protocol, seed: int, precision: Precision
) -> Training:
    """Move `model` to the device of `examples`, and give it an optimizer without any state yet.

    Raises:
        MnistCliError: the network's code failed.
    """
    device = examples.labels.device
    with running(model, f"the network cannot be moved to {device}"):
        place(model, device)
        optimizer = Adam(trainable(model), protocol.beta2)
    return Training(model, optimizer, examples, protocol, seed, precision)
