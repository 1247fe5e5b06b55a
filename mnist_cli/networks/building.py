"""Builds a network with the weights of a seed, and checks that it fits the images."""

from collections.abc import Callable
from random import seed as seed_python
from typing import Any

import torch
from numpy.random import seed as seed_numpy
from torch import Tensor, manual_seed, nn

from mnist_cli.errors import MnistCliError
from mnist_cli.networks.importing import factory
from mnist_cli.networks.isolation import running
from mnist_cli.schema.datasets import NUM_CLASSES
from mnist_cli.schema.networks import ModelSpec

PROBABILITIES = (
    "seems to end in softmax: training takes its outputs as logits, so it learns badly; remove the "
    "softmax, or use log_softmax"
)


def build(spec: ModelSpec, seed: int, num_classes: int = NUM_CLASSES) -> nn.Module:
    """Import and `instantiate` a network; raises MnistCliError as `factory` and that do."""
    return instantiate(spec.name, factory(spec, num_classes), seed, num_classes)


def instantiate(
    name: str, make: Callable[[], Any], seed: int, num_classes: int = NUM_CLASSES
) -> nn.Module:
    """Call `make`, from `factory`, after `seed_all(seed)`, and try the network on the CPU.

    Raises MnistCliError if `make` fails or the network does not map N×1×28×28 to N×num_classes.
    """
    seed_all(seed)
    model = make()
    if not isinstance(model, nn.Module):
        raise MnistCliError(f"{name} returned {type(model).__name__}, not an nn.Module")
    with running(model, f"{name} failed on a batch of 2x1x28x28 float32 images"):
        _check(name, model, num_classes)
    return model


@torch.no_grad()
def _check(name: str, model: nn.Module, num_classes: int) -> None:
    output = model.eval()(torch.zeros(2, 1, 28, 28))
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if shape != (2, num_classes):
        hint = "" if num_classes == NUM_CLASSES else "; let it take an argument num_classes"
        raise MnistCliError(
            f"{name} maps 2x1x28x28 images to {shape}, not to (2, {num_classes}) logits{hint}"
        )
    if not output.is_floating_point():
        format_ = str(output.dtype).removeprefix("torch.")
        raise MnistCliError(f"{name} returns {format_} numbers; make them float32 logits")
    if not trainable(model):
        raise MnistCliError(f"{name} has no trainable parameters")
    others = {parameter.dtype for parameter in trainable(model)} - {torch.float32}
    if others:
        format_ = str(others.pop()).removeprefix("torch.")
        raise MnistCliError(f"{name} has {format_} weights; make them float32, as the images are")


@torch.no_grad()
def outputs_probabilities(model: nn.Module) -> bool:
    """Whether the outputs for two random images are positive and sum to 1."""
    generator = torch.Generator().manual_seed(0)
    with running(model, "the network failed on random images"):
        output = model.eval()(torch.rand(2, 1, 28, 28, generator=generator)).float()
    return bool((output >= 0).all() and torch.allclose(output.sum(1), torch.ones(2), atol=1e-4))


def same_weights(first: nn.Module, second: nn.Module) -> bool:
    """Whether two networks have equal parameters."""
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


def shares_memory(first: nn.Module, second: nn.Module) -> bool:
    """Whether two networks share weights or buffers, so that training one changes the other."""
    places = [
        {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
        for model in (first, second)
    ]
    return bool((places[0] & places[1]) - {0})


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that training changes, each once, in the order of the modules."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def count_parameters(model: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(parameter.numel() for parameter in trainable(model))


def seed_all(seed: int) -> None:
    """Seed torch, and numpy and Python, whose random numbers a network's code may use."""
    manual_seed(seed)  # imported by name, because a network's code may replace torch.manual_seed
    seed_numpy(seed % 2**32)  # noqa: NPY002 - this is the global state
    seed_python(seed)
