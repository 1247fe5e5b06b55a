"""A network in training, with all that decides the result, and its training step."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnist_cli.networks.building import trainable
from mnist_cli.networks.isolation import running
from mnist_cli.schema.protocol import Precision, Protocol
from mnist_cli.training import linear_chain
from mnist_cli.training.device import place
from mnist_cli.training.examples import Examples, prepare
from mnist_cli.training.optimizers import Optimizer

SAMPLE = 64  # images on which a faster step is tried
Step = Callable[[Tensor, float | Tensor], Tensor]
"""Takes the indices of a batch, int64 B on the device, and a rate; returns the mean loss."""


class Training:
    """A network with its optimizer, which the steps change, and `examples` on the same device.

    The steps read `images`, float32 N×1×28×28, which augmentation changes in each epoch. With BF16,
    the network computes in bfloat16 (autocast); weights, loss and optimizer are float32. `seed`
    decides the order of the images, their augmentation, and the network's own random numbers.
    """

    def __init__(
        self,
        model: nn.Module,
        examples: Examples,
        protocol: Protocol,
        seed: int,
        precision: Precision,
    ) -> None:
        """Move `model` to the device of `examples`, and make an optimizer for it."""
        self.model, self.examples, self.protocol = model, examples, protocol
        self.seed, self.precision = seed, precision
        self.device = examples.labels.device
        self.autocast = (
            torch.autocast(self.device.type, torch.bfloat16)
            if precision == Precision.BF16
            else nullcontext()
        )
        with running(model, f"the network cannot be moved to {self.device}"):
            place(model, self.device)
            self.optimizer = Optimizer(trainable(model), protocol)
        self.images = prepare(examples.images, protocol)
        if protocol.augment:
            self.images = self.images.clone()


def make_step(training: Training) -> Step:
    """One step of `training`: forward, loss, backward, update; without autograd if faster."""
    model, optimizer = training.model, training.optimizer
    images, labels = training.images, training.examples.labels

    def autograd(images: Tensor, labels: Tensor) -> Tensor:
        with training.autocast:
            logits = model(images)
        loss = F.cross_entropy(logits.float(), labels)
        loss.backward()
        return loss.detach()

    backward: Callable[[Tensor, Tensor], Tensor] = autograd
    plain_cpu = training.device.type == "cpu" and training.precision == Precision.FP32
    chain = linear_chain.find_chain(model) if plain_cpu else []
    if chain and linear_chain.is_faithful(model, chain, images[:SAMPLE], labels[:SAMPLE]):
        backward = partial(linear_chain.backward, chain)

    def step(batch: Tensor, rate: float | Tensor) -> Tensor:
        loss = backward(images.index_select(0, batch), labels.index_select(0, batch))
        optimizer.update(rate)
        return loss

    return step
