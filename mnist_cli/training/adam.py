"""Adam (Kingma and Ba 2015, https://arxiv.org/abs/1412.6980) around torch's own fused kernel.

`torch.optim.Adam` computes the same bits but is slower: constructing it imports torch._dynamo and
sympy, which takes a second, and its `step` around the kernel takes a third of the time of a small
network's training step.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

# torch's defaults
OPTIONS: dict[str, Any] = {"beta1": 0.9, "eps": 1e-8, "weight_decay": 0.0}
OPTIONS |= {"amsgrad": False, "maximize": False}


class Adam:
    """The optimizer of a list of parameters.

    Its state has three tensors for each parameter: in `averages` and `squares`, the running means
    of the gradient and the squared gradient, which have the parameter's shape and memory layout; in
    `steps`, the number of steps as a float32 scalar.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], beta2: float) -> None:
        self.parameters = list(parameters)
        self.beta2 = beta2
        self.averages = [torch.zeros_like(p, requires_grad=False) for p in self.parameters]
        self.squares = [torch.zeros_like(p, requires_grad=False) for p in self.parameters]
        self.steps = [torch.zeros((), dtype=torch.float32, device=p.device) for p in parameters]

    @torch.no_grad()
    def update(self, rate: float | Tensor) -> None:
        """Take one step at the learning rate `rate`, and clear the gradients.

        This does not change a parameter without a gradient, or its state.
        """
        gradients = [parameter.grad for parameter in self.parameters]
        state = (self.averages, self.squares, self.steps)
        rows = [r for r in zip(self.parameters, gradients, *state, strict=True) if r[1] is not None]
        if rows:
            columns: list[Any] = list(map(list, zip(*rows, strict=True)))
            torch._foreach_add_(columns[-1], 1)
            columns.insert(-1, [])  # the maxima of AMSGrad
            torch._fused_adam_(*columns, lr=rate, beta2=self.beta2, **OPTIONS)
        self.clear_gradients()

    def clear_gradients(self) -> None:
        """Set all gradients to None."""
        for parameter in self.parameters:
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """The tensors of the state, not copied, by names such as `0.exp_avg`."""
        kinds = {"exp_avg": self.averages, "exp_avg_sq": self.squares, "step": self.steps}
        return {
            f"{index}.{kind}": tensor
            for kind, tensors in kinds.items()
            for index, tensor in enumerate(tensors)
        }
