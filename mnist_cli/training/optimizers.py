"""Adam, AdamW and SGD, around torch's own fused kernels.

`torch.optim` computes the same bits but is slower: constructing an optimizer imports torch._dynamo
and sympy, which takes a second, and its `step` around the kernel takes a third of the time of a
small network's training step.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mnist_cli.schema.protocol import Optimizer as Name
from mnist_cli.schema.protocol import Protocol

# torch's defaults
ADAM_OPTIONS: dict[str, Any] = {"beta1": 0.9, "eps": 1e-8, "amsgrad": False, "maximize": False}
SGD_OPTIONS = {"dampening": 0.0, "maximize": False, "is_first_step": False}


class Optimizer:
    """The optimizer of `protocol` for a list of parameters.

    Adam (Kingma and Ba 2015, https://arxiv.org/abs/1412.6980) keeps the running means of the
    gradient and of the squared gradient, and the number of steps as a float32 scalar. AdamW
    (Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101) decouples the weight decay.

    SGD has momentum as torch defines it: v = m v + g, w = w - rate v. Nesterov's subtracts
    rate (g + m v) instead (Sutskever et al. 2013,
    https://proceedings.mlr.press/v28/sutskever13.html). It keeps v, unless the momentum is 0.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], protocol: Protocol) -> None:
        self.parameters = list(parameters)
        self._is_sgd = protocol.optimizer == Name.SGD
        self._options: dict[str, Any] = {"weight_decay": protocol.weight_decay}
        if self._is_sgd:
            kinds = ["momentum_buffer"] if protocol.momentum else []
            self._kernel: Any = torch._fused_sgd_
            self._options |= SGD_OPTIONS
            self._options |= {"momentum": protocol.momentum, "nesterov": protocol.nesterov}
        else:
            kinds = ["exp_avg", "exp_avg_sq"]
            is_adamw = protocol.optimizer == Name.ADAMW
            self._kernel = torch._fused_adamw_ if is_adamw else torch._fused_adam_
            self._options |= ADAM_OPTIONS | {"beta2": protocol.beta2}
        self._tensors = {
            kind: [torch.zeros_like(p, requires_grad=False) for p in parameters] for kind in kinds
        }
        if not self._is_sgd:
            self._tensors["step"] = [
                torch.zeros((), dtype=torch.float32, device=p.device) for p in parameters
            ]

    @torch.no_grad()
    def update(self, rate: float | Tensor) -> None:
        """Take one step at the learning rate `rate`, and clear the gradients.

        This does not change a parameter without a gradient, or its state.
        """
        gradients = [parameter.grad for parameter in self.parameters]
        columns = (self.parameters, gradients, *self._tensors.values())
        rows = [row for row in zip(*columns, strict=True) if row[1] is not None]
        used: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
        if rows and self._is_sgd:
            parameters, gradients, *velocities = used
            velocity = velocities[0] if velocities else []
            self._kernel(parameters, gradients, velocity, lr=rate, **self._options)
        elif rows:
            *others, steps = used
            torch._foreach_add_(steps, 1)
            maxima: list[Tensor] = []  # of AMSGrad
            self._kernel(*others, maxima, steps, lr=rate, **self._options)
        self.clear_gradients()

    def clear_gradients(self) -> None:
        """Set all gradients to None."""
        for parameter in self.parameters:
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """The tensors of the state, not copied, by names such as `0.exp_avg`."""
        return {
            f"{index}.{kind}": tensor
            for kind, tensors in self._tensors.items()
            for index, tensor in enumerate(tensors)
        }
