"""One training step, as a function of the images it sees and of its learning rate."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from mnist_cli.adam import make_update

Step = Callable[[Tensor, float | Tensor], Tensor]
"""From the indices of a batch, int64 B on the device, and a rate to the mean loss, a scalar."""


def make_step(
    model: nn.Module,
    optimizer: Adam,
    images: Tensor,
    labels: Tensor,
    autocast: AbstractContextManager[object],
) -> Step:
    """The step that trains `model` on N×1×28×28 `images` and N `labels` of the same device.

    The network runs within `autocast`; loss and optimizer do not.
    """
    update = make_update(optimizer)

    def step(batch: Tensor, rate: float | Tensor) -> Tensor:
        with autocast:
            logits = model(images.index_select(0, batch))
        loss = F.cross_entropy(logits.float(), labels.index_select(0, batch))
        loss.backward()
        update(rate)
        return loss.detach()

    return step
