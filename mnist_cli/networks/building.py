"""Imports the code of a network, makes the network with the weights of a seed, and tries it."""

import importlib
import importlib.util
import inspect
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import seed as seed_python
from types import ModuleType
from typing import Any

import torch
from numpy.random import seed as seed_numpy
from torch import Tensor, manual_seed, nn

from mnist_cli.errors import MnistCliError, did_you_mean
from mnist_cli.networks.identity import read_source
from mnist_cli.networks.isolation import Surroundings, running
from mnist_cli.schema.datasets import NUM_CLASSES
from mnist_cli.schema.networks import ModelSpec

PROBABILITIES = (
    "seems to end in softmax: training takes its outputs as logits, so it learns badly; remove the "
    "softmax, or use log_softmax"
)


def build(spec: ModelSpec, seed: int, num_classes: int = NUM_CLASSES) -> nn.Module:
    """Import a network and make it once, as `factory` and its result do."""
    return factory(spec, num_classes)(seed, spec.name)


def factory(spec: ModelSpec, num_classes: int = NUM_CLASSES) -> Callable[[int, str], nn.Module]:
    """Import the target of `spec` anew; return what makes the network with the weights of a seed.

    The result takes the seed, and the name that messages give the network. The target gets
    `num_classes` if it has such an argument and `spec` does not give it. Only the networks that
    are made so use the imported modules.

    Raises:
        MnistCliError: the file, module or name does not exist, the import fails, or the target
            does not take the arguments; from the result, the target fails, or its network does not
            map N×1×28×28 to N×num_classes on the CPU.
    """
    source = spec.target.rpartition(":")[0]
    # Like a script, a file can import its neighbours. A module can be in the working directory,
    # although a console script does not search it.
    folders = [*spec.folders, str(Path.cwd())]
    if source.endswith(".py"):
        folders = [str(Path(source).resolve().parent), *spec.folders]
    surroundings = Surroundings(folders)
    target, signature = _import_target(spec, surroundings)
    keywords = _choose_keywords(spec, signature, num_classes) if signature else spec.keywords

    def make(seed: int, name: str) -> nn.Module:
        seed_all(seed)
        with surroundings.running(f"{spec.name} cannot be created"):
            model = target(*spec.arguments, **keywords)
        if not isinstance(model, nn.Module):
            raise MnistCliError(f"{name} returned {type(model).__name__}, not an nn.Module")
        surroundings.adopt(model)
        with surroundings.running(f"{name} failed on a batch of 2x1x28x28 float32 images"):
            _check(name, model, num_classes)
        return model

    return make


def _import_target(
    spec: ModelSpec, surroundings: Surroundings
) -> tuple[Callable[..., Any], inspect.Signature | None]:
    source, _, attribute = spec.target.rpartition(":")
    is_file = source.endswith(".py")
    signature = None
    importlib.invalidate_caches()
    try:
        with surroundings.running(f"cannot import {source}"):
            module = _import_file(Path(source)) if is_file else importlib.import_module(source)
            target: Any = getattr(module, attribute, None)
            with suppress(ValueError, TypeError):  # some functions in C have no signature
                signature = inspect.signature(target)
            hint = did_you_mean(attribute, dir(module))
    except MnistCliError as error:
        if is_file and "attempted relative import" in str(error):
            package = ".".join(Path(source).with_suffix("").parts)
            raise MnistCliError(
                f"{source} imports its neighbours as a part of a package; "
                f"name it as one: {package}:{attribute}"
            ) from error
        raise
    if target is None:
        raise MnistCliError(f"{source} has no '{attribute}'{hint}; give {source}:NAME")
    if isinstance(target, nn.Module):
        raise MnistCliError(f"{spec.name} is a network; name the class or function that makes one")
    if not callable(target):
        raise MnistCliError(f"{spec.target} is not callable; name a class or a function")
    return target, signature


def _import_file(path: Path) -> ModuleType:
    read_source(path)
    name = f"mnist_cli_custom_{zlib.crc32(bytes(path.resolve()))}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # the suffix is .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _choose_keywords(
    spec: ModelSpec, signature: inspect.Signature, num_classes: int
) -> dict[str, Any]:
    """The keywords of `spec`, and `num_classes` if the target takes it and `spec` has it not.

    Raises MnistCliError if the target does not take the arguments of `spec`.
    """
    keywords, parameters = dict(spec.keywords), signature.parameters
    by_position = list(parameters)[: len(spec.arguments)]
    by_name = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    parameter = parameters.get("num_classes")
    if parameter and parameter.kind in by_name and "num_classes" not in by_position:
        keywords.setdefault("num_classes", num_classes)
    if not spec.arguments and not spec.keywords:
        return keywords
    takes_any = any(each.kind == inspect.Parameter.VAR_KEYWORD for each in parameters.values())
    for name in keywords:
        if name not in parameters and not takes_any:
            hint = did_you_mean(name, parameters)
            raise MnistCliError(f"{spec.target} has no argument '{name}'{hint}")
    try:
        signature.bind(*spec.arguments, **keywords)
    except TypeError as error:
        raise MnistCliError(f"{spec.target}: {error}") from None
    return keywords


@torch.no_grad()
def _check(name: str, model: nn.Module, num_classes: int) -> None:
    output = model.eval()(torch.zeros(2, 1, 28, 28, dtype=torch.float32))
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
    images = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with running(model, "the network failed on random images"):
        output = model.eval()(images).float()
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
