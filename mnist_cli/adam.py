"""Adam without what its `step` does around the arithmetic: a fifth of a small network's step."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim import Adam
from torch.optim.adam import adam


def make_update(optimizer: Adam) -> Callable[[float | Tensor], None]:
    """A function of the learning rate: what `step` and `zero_grad` of a fused `optimizer` do.

    It does so bit for bit. The optimizer keeps its state, so that it can be saved at any time.
    Where a parameter has no gradient, and in the first step of all, its own `step` is called.
    """
    [group] = optimizer.param_groups
    parameters = group["params"]
    beta1, beta2 = group["betas"]
    moments: tuple[list[Tensor], ...] = ()

    @torch.no_grad()
    def update(rate: float | Tensor) -> None:
        nonlocal moments
        gradients = [parameter.grad for parameter in parameters]
        if not moments or any(gradient is None for gradient in gradients):
            group["lr"] = rate
            optimizer.step()
            if len(optimizer.state) == len(parameters):
                states = [optimizer.state[parameter] for parameter in parameters]
                names = ("exp_avg", "exp_avg_sq", "step")
                moments = tuple([state[name] for state in states] for name in names)
        else:
            averages, squares, steps = moments
            adam(
                parameters,
                gradients,
                averages,
                squares,
                [],
                steps,
                fused=True,
                amsgrad=False,
                beta1=beta1,
                beta2=beta2,
                lr=rate,
                weight_decay=0.0,
                eps=group["eps"],
                maximize=False,
            )
        for parameter in parameters:
            parameter.grad = None

    return update
