"""Follows an image through a network: its operations, and their outputs as arrays to draw."""

import sys
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import max_pool2d
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode

from mnist_cli.networks.isolation import running
from mnist_cli.schema.datasets import SIDE
from mnist_cli.schema.results import Stage

Floats = NDArray[np.float32]

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
    # Compiled code calls no hooks. If nothing is compiled, _dynamo would take seconds to import.
    is_compiled = "torch._dynamo" in sys.modules
    set_stance: Any = torch.compiler.set_stance if is_compiled else nullcontext
    with (
        running(model, f"cannot follow an image through {name}"),
        set_stance("force_eager"),
        warnings.catch_warnings(action="ignore"),  # torch warns of hooks all the same
        # Hooks for all modules, because a scripted module takes none of its own.
        register_module_forward_pre_hook(recorder.enter_module),
        register_module_forward_hook(recorder.leave_module),
        recorder,
    ):
        model.eval()(batch)
    return recorder.traced


@dataclass(frozen=True)
class Features:
    """The outputs of each stage, maps N×H×W or a vector, and what explains them.

    `image` is uint8 28×28. `weights` are those of the first layer as N×H×W images, or None if they
    make none. `occlusion` is 28×28, in [-1, 1].
    """

    image: NDArray[np.uint8]
    weights: Floats | None
    outputs: Sequence[tuple[Stage, Floats]]
    occlusion: Floats


def find_first_layer(traced: Sequence[Traced]) -> Traced | None:
    """The first stage with weights."""
    stages = (each for each in traced[1:] if each.weight is not None or each.stage.parameters)
    return next(stages, None)


def to_images(weight: Tensor | None) -> Floats | None:
    """Weights as images N×H×W: of each kernel, or of each unit that sees all pixels."""
    if weight is None:
        return None
    images = weight.detach().float().cpu()
    if images.dim() == 2:
        return _to_array(images.view(-1, SIDE, SIDE)) if images.shape[1] == SIDE**2 else None
    return _to_array(images.flatten(0, -3))


def list_outputs(traced: Sequence[Traced]) -> list[tuple[Stage, Floats]]:
    """The outputs as maps N×H×W or vectors, without the input and stages that only rearrange."""
    outputs = []
    for before, each in pairwise(traced):
        computes = each.stage.kernel_size or each.stage.parameters or each.stage.reuses_weights
        if not computes and each.output.numel() == before.output.numel():
            continue
        values = each.output.float().cpu()
        is_vector = values.dim() < 2 or values.shape[-2:] == (1, 1)
        shape = (-1,) if is_vector else (-1, *values.shape[-2:])
        outputs.append((each.stage, _to_array(values.reshape(shape))))
    return outputs


def cover(image: Tensor, side: int) -> Tensor:
    """Copies of a float32 1×28×28 image, one for each pixel, with a black square around the pixel.

    `side` is odd. Returns 784×1×28×28, row by row.
    """
    pixels = torch.eye(SIDE**2, device=image.device).view(-1, 1, SIDE, SIDE)
    squares = max_pool2d(pixels, side, stride=1, padding=side // 2)
    return image * (1 - squares)


def _to_array(values: Tensor) -> Floats:
    array: Floats = torch.nan_to_num(values).numpy()
    return array


class _Recorder(TorchFunctionMode):
    """Records the layers and functions that a batch meets."""

    def __init__(self, model: nn.Module, image: Tensor) -> None:
        super().__init__()
        self.traced = [Traced(Stage(("input",), tuple(image.shape)), image)]
        self._network = model
        self._depth = 0  # of the layers that run now
        self._counted: set[int] = set()  # parameters, by identity

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        output = function(*args, **(kwargs or {}))
        name = getattr(function, "__name__", "").strip("_")
        is_batch = isinstance(output, Tensor) and output.dim() > 1 and len(output) == COPIES
        if is_batch and not self._depth and name not in SILENT:
            self._add(Stage((name,), tuple(output.shape[1:])), output)
        return output

    def enter_module(self, module: nn.Module, _inputs: Any) -> None:
        """Take note that a module runs."""
        self._depth += _is_layer(module, self._network)

    def leave_module(self, module: nn.Module, _inputs: Any, output: Any) -> None:
        """Record a module that ran, if it is a layer and no part of another one."""
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


def _is_layer(module: nn.Module, network: nn.Module) -> bool:
    """Whether a module counts as one layer: one of torch's, a scripted one, or a leaf."""
    if isinstance(module, torch.jit.ScriptModule):
        return True
    if module is network or isinstance(module, nn.Sequential):
        return False
    return type(module).__module__.startswith("torch.nn.") or not any(module.children())
