"""Follows an image through a network: its operations in their order, and their outputs."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode

from mnist_cli.networks.isolation import running
from mnist_cli.schema.results import Stage

COPIES = 7  # of the image in a batch; a function that returns another number works on weights
SILENT = {"get", "to", "float", "contiguous", "clone", "detach"}  # they compute nothing new


@dataclass(frozen=True)
class Traced:
    """A stage of a network with its output, of the size that the stage names.

    `weight` are the weights of its layer, if it has one with weights of two dimensions or more.
    """

    stage: Stage
    output: Tensor
    weight: Tensor | None = None


@torch.no_grad()
def trace(name: str, model: nn.Module, image: Tensor) -> list[Traced]:
    """Follow a 1×28×28 image through `model`, in eval mode; the first stage is the input.

    Layers are found with hooks, and functions that the network's own code calls with a
    TorchFunctionMode. A scripted module is one layer. Raises MnistCliError if the network fails.
    """
    recorder, batch = _Recorder(model, image), image.repeat(COPIES, 1, 1, 1)
    with running(model, f"cannot follow an image through {name}"), recorder.watching():
        model.eval()(batch)
    return recorder.traced


class _Recorder(TorchFunctionMode):
    """Records the layers and functions that a batch meets."""

    def __init__(self, model: nn.Module, image: Tensor) -> None:
        super().__init__()
        self.traced = [Traced(Stage(("input",), tuple(image.shape)), image)]
        self._network = model
        self._depth = 0  # of the layers that run now
        self._counted: set[int] = set()  # parameters, by identity

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Record until the end of the context."""
        # Hooks for all modules, because a scripted module takes none of its own.
        with (
            _uncompiled(),
            warnings.catch_warnings(action="ignore"),  # torch warns of hooks all the same
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave),
            self,
        ):
            yield

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        output = function(*args, **(kwargs or {}))
        name = getattr(function, "__name__", "").strip("_")
        is_batch = isinstance(output, Tensor) and output.dim() > 1 and len(output) == COPIES
        if is_batch and not self._depth and name not in SILENT:
            self._add(Stage((name,), tuple(output.shape[1:])), output)
        return output

    def _enter(self, module: nn.Module, _inputs: Any) -> None:
        self._depth += _is_layer(module, self._network)

    def _leave(self, module: nn.Module, _inputs: Any, output: Any) -> None:
        if not _is_layer(module, self._network):
            return
        while isinstance(output, tuple | list) and output:  # a recurrent layer returns its state
            output = output[0]
        if self._depth == 1 and isinstance(output, Tensor) and output.dim():
            self._add_layer(module, output)
        self._depth -= 1

    def _add_layer(self, layer: nn.Module, output: Tensor) -> None:
        size = tuple(output.shape[1:] if len(output) == COPIES else output.shape)
        kernel = getattr(layer, "kernel_size", ())
        kernel = (kernel,) * (len(size) - 1) if isinstance(kernel, int) else tuple(kernel)
        trained = [each for each in layer.parameters() if each.requires_grad]
        new = [each for each in trained if id(each) not in self._counted]
        self._counted.update(map(id, trained))
        name = getattr(layer, "original_name", type(layer).__name__).removeprefix("Parametrized")
        stage = Stage(
            operations=(f"{name} {'×'.join(map(str, kernel))}".rstrip(),),
            output_size=size,
            kernel_size=kernel,
            parameters=sum(each.numel() for each in new),
            reuses_weights=bool(trained) and not new,
        )
        weight = getattr(layer, "weight", None)
        is_matrix = isinstance(weight, Tensor) and weight.dim() > 1
        self._add(stage, output, weight if is_matrix else None)

    def _add(self, stage: Stage, output: Tensor, weight: Tensor | None = None) -> None:
        """Begin a stage if the operation has weights, a kernel or another size of output.

        Otherwise the operation is one more of the last stage.
        """
        last = self.traced[-1].stage
        output = (output[0] if output.shape[1:] == stage.output_size else output).clone()
        if weight is not None or stage.kernel_size or stage.output_size != last.output_size:
            self.traced.append(Traced(stage, output, weight))
            return
        joined = replace(
            last,
            operations=last.operations + stage.operations,
            parameters=last.parameters + stage.parameters,
        )
        self.traced[-1] = replace(self.traced[-1], stage=joined, output=output)


def _uncompiled() -> AbstractContextManager[object]:
    """Run compiled networks as they were, because compiled code calls no hooks."""
    nothing_is_compiled = "torch._dynamo" not in sys.modules  # which takes seconds to import
    stance = nullcontext() if nothing_is_compiled else torch.compiler.set_stance("force_eager")
    return cast("AbstractContextManager[object]", stance)


def _is_layer(module: nn.Module, network: nn.Module) -> bool:
    """Whether a module counts as one layer: one of torch's, a scripted one, or a leaf."""
    if isinstance(module, torch.jit.ScriptModule):
        return True
    if module is network or isinstance(module, nn.Sequential):
        return False
    return type(module).__module__.startswith("torch.nn.") or not any(module.children())
