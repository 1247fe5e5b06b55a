"""One training step, as a function of the images it sees and of its learning rate."""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor
from torch.nn import functional as F

from mnist_cli.schema.protocol import Precision
from mnist_cli.training.state import Training

Step = Callable[[Tensor, float | Tensor], Tensor]
"""From the indices of a batch, int64 B on the device, and a rate to the mean loss, a scalar."""


def make_step(training: Training) -> Step:
    """The step that changes the network of `training`: forward, loss, backward, Adam."""
    model, optimizer = training.model, training.optimizer
    images, labels = training.examples.images, training.examples.labels
    autocast = (
        torch.autocast(training.device.type, torch.bfloat16)
        if training.precision == Precision.BF16
        else nullcontext()
    )

    def step(batch: Tensor, rate: float | Tensor) -> Tensor:
        with autocast:
            logits = model(images.index_select(0, batch))
        loss = F.cross_entropy(logits.float(), labels.index_select(0, batch))
        loss.backward()
        optimizer.update(rate)
        return loss.detach()

    return step
