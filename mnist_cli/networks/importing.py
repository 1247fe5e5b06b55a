"""Imports the code of a network by its target."""

import importlib
import importlib.util
import inspect
import sys
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from mnist_cli.errors import MnistCliError, did_you_mean
from mnist_cli.networks.identity import read_source
from mnist_cli.networks.isolation import Surroundings
from mnist_cli.schema.datasets import NUM_CLASSES
from mnist_cli.schema.networks import ModelSpec


def factory(spec: ModelSpec, num_classes: int = NUM_CLASSES) -> Callable[[], Any]:
    """Import the target of `spec` anew; return a callable that makes the network.

    The target gets `num_classes` if it has such an argument and `spec` does not give it.
    Only this callable and its networks use the imported modules. Raises MnistCliError if the file,
    module or name does not exist, the import fails, or the target does not take the arguments.
    """
    source, _, attribute = spec.target.rpartition(":")
    # Like a script, a file can import its neighbours. A module can be in the working directory,
    # although a console script does not search it.
    is_file = source.endswith(".py")
    folder = str(Path(source).resolve().parent) if is_file else str(Path.cwd())
    surroundings = Surroundings([folder, *spec.folders] if is_file else [*spec.folders, folder])
    importlib.invalidate_caches()
    try:
        with surroundings.running(f"cannot import {source}"):
            module = _import_file(Path(source)) if is_file else importlib.import_module(source)
            target = getattr(module, attribute, None)
            signature = _find_signature(target)
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
    classes = _choose_classes(spec, signature, num_classes)
    if signature and (spec.arguments or spec.keywords):
        _check_arguments(spec, signature, classes)

    def make() -> Any:
        with surroundings.running(f"{spec.name} cannot be created"):
            model = target(*spec.arguments, **spec.keywords, **classes)
        surroundings.adopt(model)
        return model

    return make


def _import_file(path: Path) -> ModuleType:
    read_source(path)
    name = f"mnist_cli_custom_{zlib.crc32(bytes(path.resolve()))}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # the suffix is .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _find_signature(target: Any) -> inspect.Signature | None:
    with suppress(ValueError, TypeError):  # some functions in C have no signature
        return inspect.signature(target)
    return None


def _choose_classes(
    spec: ModelSpec, signature: inspect.Signature | None, num_classes: int
) -> dict[str, int]:
    """The argument `num_classes` if the target has it and `spec` does not; else nothing."""
    parameters = signature.parameters if signature else {}
    given = {*list(parameters)[: len(spec.arguments)], *spec.keywords}
    by_name = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    parameter = parameters.get("num_classes")
    takes = parameter is not None and parameter.kind in by_name and "num_classes" not in given
    return {"num_classes": num_classes} if takes else {}


def _check_arguments(
    spec: ModelSpec, signature: inspect.Signature, classes: Mapping[str, int]
) -> None:
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        for name in spec.keywords:
            if name not in signature.parameters:
                hint = did_you_mean(name, signature.parameters)
                raise MnistCliError(f"{spec.target} has no argument '{name}'{hint}")
    try:
        signature.bind(*spec.arguments, **spec.keywords, **classes)
    except TypeError as error:
        raise MnistCliError(f"{spec.target}: {error}") from None
