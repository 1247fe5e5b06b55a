"""Optimizers around torch's own fused kernels: Adam, AdamW and SGD.

`torch.optim` computes the same bits but is slower: constructing an optimizer imports torch._dynamo
and sympy, which takes a second, and its `step` around the kernel takes a third of the time of a
small network's training step.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mnist_cli.schema.protocol import Optimizer as Name
from mnist_cli.schema.protocol import Protocol

# torch's defaults
ADAM_OPTIONS: dict[str, Any] = {"beta1": 0.9, "eps": 1e-8, "amsgrad": False, "maximize": False}
SGD_OPTIONS = {"dampening": 0.0, "maximize": False, "is_first_step": False}


class Optimizer(ABC):
    """The optimizer of a list of parameters, with tensors of its own for each."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = list(parameters)
        self.tensors: dict[str, list[Tensor]] = {}
        """The state by kind, each with a tensor for each parameter."""

    @torch.no_grad()
    def update(self, rate: float | Tensor) -> None:
        """Take one step at the learning rate `rate`, and clear the gradients.

        This does not change a parameter without a gradient, or its state.
        """
        gradients = [parameter.grad for parameter in self.parameters]
        columns = (self.parameters, gradients, *self.tensors.values())
        rows = [row for row in zip(*columns, strict=True) if row[1] is not None]
        if rows:
            self._apply(rate, *map(list, zip(*rows, strict=True)))
        self.clear_gradients()

    @abstractmethod
    def _apply(self, rate: float | Tensor, *columns: list[Any]) -> None:
        """Change parameters; `columns` are these, their gradients, and their state by kind."""

    def clear_gradients(self) -> None:
        """Set all gradients to None."""
        for parameter in self.parameters:
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """The tensors of the state, not copied, by names such as `0.exp_avg`."""
        return {
            f"{index}.{kind}": tensor
            for kind, tensors in self.tensors.items()
            for index, tensor in enumerate(tensors)
        }

    def _zeros(self) -> list[Tensor]:
        """A tensor for each parameter, with its shape and memory layout."""
        return [torch.zeros_like(p, requires_grad=False) for p in self.parameters]


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, https://arxiv.org/abs/1412.6980).

    With `decoupled` weight decay, it is AdamW (Loshchilov and Hutter 2019,
    https://arxiv.org/abs/1711.05101). Its state: the running means of the gradient and of the
    squared gradient, and the number of steps as a float32 scalar.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        beta2: float,
        weight_decay: float = 0.0,
        *,
        decoupled: bool = False,
    ) -> None:
        super().__init__(parameters)
        self._options = ADAM_OPTIONS | {"beta2": beta2, "weight_decay": weight_decay}
        self._kernel = torch._fused_adamw_ if decoupled else torch._fused_adam_
        steps = [torch.zeros((), dtype=torch.float32, device=p.device) for p in parameters]
        self.tensors = {"exp_avg": self._zeros(), "exp_avg_sq": self._zeros(), "step": steps}

    def _apply(self, rate: float | Tensor, *columns: list[Any]) -> None:
        *others, steps = columns
        torch._foreach_add_(steps, 1)
        maxima: list[Tensor] = []  # of AMSGrad
        self._kernel(*others, maxima, steps, lr=rate, **self._options)  # type: ignore[call-overload]


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, as torch defines it: v = m v + g, w = w - rate v.

    `nesterov` subtracts rate (g + m v) instead (Sutskever et al. 2013,
    https://proceedings.mlr.press/v28/sutskever13.html). Its state is v, unless `momentum` is 0.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        momentum: float,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = False,
    ) -> None:
        super().__init__(parameters)
        self._options: dict[str, Any] = {"momentum": momentum, "weight_decay": weight_decay}
        self._options |= SGD_OPTIONS | {"nesterov": nesterov}
        self.tensors = {"momentum_buffer": self._zeros()} if momentum else {}

    def _apply(self, rate: float | Tensor, *columns: list[Any]) -> None:
        parameters, gradients, *velocities = columns
        torch._fused_sgd_(
            parameters,
            gradients,
            velocities[0] if velocities else [],
            lr=rate,
            **self._options,
        )


def make_optimizer(parameters: Sequence[nn.Parameter], protocol: Protocol) -> Optimizer:
    """The optimizer of `protocol` for `parameters`."""
    decay = protocol.weight_decay
    if protocol.optimizer == Name.SGD:
        return SGD(parameters, protocol.momentum, decay, nesterov=protocol.nesterov)
    decoupled = protocol.optimizer == Name.ADAMW
    return Adam(parameters, protocol.beta2, decay, decoupled=decoupled)
