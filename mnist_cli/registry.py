"""Names of networks: the built-in table, and targets that point at a user's own code.

Importing this module does not import torch; only `factory` does.
"""

import hashlib
import importlib
import importlib.util
import sys
import traceback
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from mnist_cli.errors import MnistCliError, UsageError


@dataclass(frozen=True)
class ModelSpec:
    """A network by name. `target` is `package.module:Name` or `path/file.py:Name`."""

    name: str
    target: str
    custom: bool = False

    @property
    def short_name(self) -> str:
        """The name as part of a file name: `strongcnn`, or `net` for `my/file.py:Net`."""
        return self.name.rpartition(":")[2].lower()


MODELS = {
    "mlp": ModelSpec("mlp", "mnist_cli.models:MLP"),
    "tinycnn": ModelSpec("tinycnn", "mnist_cli.models:TinyCNN"),
    "cnn": ModelSpec("cnn", "mnist_cli.models:CNN"),
    "strongcnn": ModelSpec("strongcnn", "mnist_cli.models:StrongCNN"),
}


def resolve(name: str) -> ModelSpec:
    """Find a network by its registered name, in any case, or take a custom target.

    Nothing is imported yet.

    Raises:
        UsageError: `name` is neither; the message lists the registered names.
    """
    spec = MODELS.get(name.lower())
    if spec is not None:
        return spec
    source, _, attribute = name.rpartition(":")
    if source and attribute.isidentifier():
        if source.endswith(".py"):  # ./nets.py and nets.py are one file
            name = f"{Path(source)}:{attribute}"
        return ModelSpec(name, name, custom=True)
    if name.endswith(".py"):
        raise UsageError(f"write {name}:NAME to say which network of the file")
    raise UsageError(
        f"unknown model '{name}': choose from {', '.join(MODELS)}, "
        "or give package.module:Name or path/file.py:Name"
    )


def factory(spec: ModelSpec) -> Callable[[], Any]:
    """Import what `spec` points at: a callable without arguments that returns the network.

    Raises:
        MnistCliError: there is no such file, module or name, or importing it fails.
    """
    source, _, attribute = spec.target.rpartition(":")
    try:
        module = _import_file(Path(source)) if source.endswith(".py") else _import_name(source)
    except (Exception, SystemExit) as error:
        raise MnistCliError(f"cannot import {source}: {describe(error)}") from error
    try:
        made = getattr(module, attribute)
    except AttributeError:
        raise MnistCliError(f"{source} has no '{attribute}'; give {source}:NAME") from None
    if not callable(made):
        raise MnistCliError(f"{spec.target} is not callable; name a class or a function")
    return made  # type: ignore[no-any-return]


def code_sha256(spec: ModelSpec) -> str | None:
    """The hash of the file that defines a custom network; what it imports is not covered."""
    if not spec.custom:
        return None
    source, _, _ = spec.target.rpartition(":")
    if source.endswith(".py"):
        path = source
    else:
        found = importlib.util.find_spec(source)
        path = (found and found.origin) or ""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if Path(path).is_file() else None


def describe(error: BaseException) -> str:
    """An exception in one line, with the innermost place in the code that raised it."""
    try:
        message = str(error)
    except Exception:  # a network's own exception may be broken too
        message = "an exception without a message"
    text = " ".join(f"{type(error).__name__}: {message}".split())
    if isinstance(error, SyntaxError):  # its text names the place already
        return text
    frames = traceback.extract_tb(error.__traceback__)
    ours = (str(Path(__file__).parent), str(Path(importlib.__file__).parent), "<frozen")
    outside = [frame for frame in frames if not frame.filename.startswith(ours)]
    return f"{text} ({outside[-1].filename}:{outside[-1].lineno})" if outside else text


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
