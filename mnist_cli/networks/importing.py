"""The code of a network, imported by its target."""

import importlib
import importlib.util
import inspect
import sys
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from mnist_cli.errors import MnistCliError
from mnist_cli.networks.failures import naming_failures
from mnist_cli.schema.networks import ModelSpec


def factory(spec: ModelSpec) -> Callable[[], Any]:
    """Import what `spec` points at, with its arguments: a callable that returns the network.

    Raises:
        MnistCliError: there is no such file, module or name, importing it fails, or it does not
            take these arguments.
    """
    source, _, attribute = spec.target.rpartition(":")
    try:
        with naming_failures(f"cannot import {source}"):
            module = _import_file(Path(source)) if source.endswith(".py") else _import_name(source)
    except MnistCliError as error:
        if source.endswith(".py") and "attempted relative import" in str(error):
            package = ".".join(Path(source).with_suffix("").parts)
            raise MnistCliError(
                f"{source} imports its neighbours as a part of a package; "
                f"name it as one: {package}:{attribute}"
            ) from error
        raise
    try:
        made = getattr(module, attribute)
    except AttributeError:
        raise MnistCliError(f"{source} has no '{attribute}'; give {source}:NAME") from None
    if not callable(made):
        raise MnistCliError(f"{spec.target} is not callable; name a class or a function")
    if spec.arguments or spec.keywords:
        try:
            inspect.signature(made).bind(*spec.arguments, **spec.keywords)
        except TypeError as error:
            raise MnistCliError(f"{spec.target}: {error}") from None
        return partial(made, *spec.arguments, **spec.keywords)
    return made  # type: ignore[no-any-return]


def _import_name(name: str) -> ModuleType:
    # A console script does not search the working directory; people expect `python -m` rules.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    return importlib.import_module(name)


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError("no such file")
    folder = path.resolve().parent
    sys.path.insert(0, str(folder))  # the file may import its neighbours, as a script may
    name = f"mnist_cli_custom_{zlib.crc32(bytes(path.resolve()))}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # the suffix is .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    before = set(sys.modules)
    spec.loader.exec_module(module)
    for neighbour in set(sys.modules) - before:  # another file may have others of the same name
        if Path(getattr(sys.modules[neighbour], "__file__", None) or "/").parent == folder:
            del sys.modules[neighbour]
    return module
