"""Runs a network's own code in isolation: own modules, own settings, errors in one line."""

import importlib
import os
import re
import signal
import sys
import threading
import traceback
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.backends import cudnn, mkldnn

from mnist_cli.errors import SIGNALS, MnistCliError
from mnist_cli.networks.identity import PACKAGE, is_users
from mnist_cli.system import streams

MOST_CHARACTERS = 1000
NO_SUCH_DEVICE = re.compile(r"NVIDIA driver|not (compiled|linked) with")  # in torch's messages
DEVICE_HINT = "its code uses a device that this machine does not have; use --device instead"


class Surroundings:
    """The modules and settings of one network, which are active only while its code runs.

    All networks share installed modules and the standard library. Other modules, and `SETTINGS`,
    belong to one network, so that another one may have modules of the same names.
    """

    def __init__(self, folders: Iterable[str] = ()) -> None:
        """Python looks for modules in `folders` first, then in sys.path."""
        self._modules: dict[str, ModuleType] = {}
        self._settings: dict[_Setting, Any] = {SEARCH_PATH: [*folders, *sys.path]}
        self._running = False

    @contextmanager
    def running(self, what: str) -> Iterator[None]:
        """Run code of the network, then restore modules, settings, streams and working directory.

        A forked process ends when it leaves the context. Raises MnistCliError, whose message starts
        with `what`, if the code fails or tries to end the process.
        """
        try:
            with self._activate():
                yield
        except (MnistCliError, *SIGNALS):
            raise
        except BaseException as error:
            raise MnistCliError(f"{what}: {_describe(error)}") from error

    def adopt(self, model: nn.Module) -> None:
        """Make the function `running` use these surroundings for `model`."""
        _adopted[id(model)] = self
        weakref.finalize(model, _adopted.pop, id(model), None).atexit = False

    @contextmanager
    def _activate(self) -> Iterator[None]:
        if self._running:
            yield
            return
        self._running, process = True, os.getpid()
        try:
            with streams.keep(), _prevent_exit(), self._use_settings(), self._use_modules():
                yield
        finally:
            self._running = False
            if os.getpid() != process:
                os._exit(0)

    @contextmanager
    def _use_modules(self) -> Iterator[None]:
        before = dict(sys.modules)
        sys.modules.update(self._modules)
        try:
            yield
        finally:
            for name, module in list(sys.modules.items()):
                if before.get(name) is not module and self._owns(name.partition(".")[0], before):
                    self._modules[name] = module
                    del sys.modules[name]
            sys.modules.update(before)

    def _owns(self, package: str, before: dict[str, ModuleType]) -> bool:
        if package in self._modules:
            return True
        # module.__file__ may run the module's own code.
        names = getattr(sys.modules.get(package), "__dict__", {})
        paths = [names.get("__file__"), *names.get("__path__", ())]
        is_own = any(is_users(path) for path in paths if isinstance(path, str))
        return package not in before and is_own

    @contextmanager
    def _use_settings(self) -> Iterator[None]:
        before = {setting: setting.read() for setting in SETTINGS}
        try:
            for setting, value in self._settings.items():
                setting.write(value)
            yield
        finally:
            for setting, value in before.items():
                if (now := setting.read()) != value:
                    setting.write(value)
                    if setting.kept:
                        self._settings[setting] = now


def running(model: nn.Module, what: str) -> Any:
    """Run code of `model` as `Surroundings.running` does, in the surroundings that made it."""
    return (_adopted.get(id(model)) or Surroundings()).running(what)


def _describe(error: BaseException) -> str:
    """An exception in one line, with the innermost line of the user's files, or outside ours."""
    try:
        message = str(error)
    except BaseException:  # its __str__ may fail too
        message = "an exception without a message"
    if isinstance(error, AssertionError | RuntimeError) and NO_SUCH_DEVICE.search(message):
        text = DEVICE_HINT
    else:
        text = " ".join(f"{type(error).__name__}: {message}".split()).rstrip(":")
    if len(text) > MOST_CHARACTERS:
        text = f"{text[:MOST_CHARACTERS]}..."
    if isinstance(error, SyntaxError):  # the text already names the line
        return text
    frames = traceback.extract_tb(error.__traceback__)
    ours = (str(PACKAGE), str(Path(importlib.__file__).parent), "<frozen")
    outside = [frame for frame in frames if not frame.filename.startswith(ours)]
    users = [frame for frame in outside if is_users(frame.filename)]
    place = (users or outside)[-1:]
    return f"{text} ({place[0].filename}:{place[0].lineno})" if place else text


@dataclass(frozen=True, eq=False)
class _Setting:
    """A setting of the process that code may change; if `kept`, the network keeps the change."""

    read: Callable[[], Any]
    write: Callable[[Any], object]
    kept: bool = True


def _set_search_path(folders: list[str]) -> None:
    sys.path[:] = folders


def _set_warning_filters(filters: list[Any]) -> None:
    warnings.resetwarnings()
    warnings.filters.extend(filters)  # type: ignore[attr-defined]


def _get_directory() -> str | None:
    with suppress(OSError):  # it was removed
        return os.getcwd()  # noqa: PTH109
    return None


def _set_directory(folder: str | None) -> None:
    with suppress(OSError):
        os.chdir(folder or ".")


def _set_default_device(device: torch.device) -> None:
    torch.set_default_device(None if device.type == "cpu" else device)


def _get_precisions() -> tuple[str | None, list[str]]:
    parts = [part.fp32_precision for part in PRECISIONS]
    with suppress(RuntimeError):  # the parts were set one by one
        return torch.get_float32_matmul_precision(), parts
    return None, parts


def _set_precisions(precisions: tuple[str | None, list[str]]) -> None:
    together, parts = precisions
    if together:
        torch.set_float32_matmul_precision(together)
    for part, precision in zip(PRECISIONS, parts, strict=True):
        part.fp32_precision = precision


# Where torch keeps the precision of float32 multiplications; the first one applies to all.
PRECISIONS: tuple[Any, ...] = (
    *(torch.backends, torch.backends.cuda.matmul, cudnn, cudnn.conv, cudnn.rnn),  # type: ignore[attr-defined]
    *(mkldnn, mkldnn.matmul, mkldnn.conv, mkldnn.rnn),  # type: ignore[attr-defined]
)
SEARCH_PATH = _Setting(lambda: list(sys.path), _set_search_path)
SETTINGS = (
    SEARCH_PATH,
    _Setting(lambda: list(warnings.filters), _set_warning_filters),
    _Setting(_get_directory, _set_directory),
    _Setting(sys.getrecursionlimit, sys.setrecursionlimit),
    _Setting(torch.get_default_dtype, torch.set_default_dtype),
    _Setting(torch.get_default_device, _set_default_device),
    _Setting(_get_precisions, _set_precisions),
    _Setting(torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    _Setting(torch.is_anomaly_enabled, torch.set_anomaly_enabled),
    _Setting(lambda: cudnn.benchmark, partial(setattr, cudnn, "benchmark")),
    _Setting(lambda: cudnn.enabled, partial(setattr, cudnn, "enabled")),
    # The program decides these: the user sets --threads, and training needs gradients.
    _Setting(torch.get_num_threads, torch.set_num_threads, kept=False),
    _Setting(torch.is_grad_enabled, torch.set_grad_enabled, kept=False),
    _Setting(lambda: cudnn.deterministic, partial(setattr, cudnn, "deterministic"), kept=False),
    *(
        _Setting(partial(signal.getsignal, number), partial(signal.signal, number), kept=False)
        for number in (signal.SIGINT, signal.SIGTERM)
    ),
)
_adopted: dict[int, Surroundings] = {}


@contextmanager
def _prevent_exit() -> Iterator[None]:
    """Make os._exit and os.abort raise SystemExit, because they would end the process silently."""
    real = {name: getattr(os, name) for name in ("_exit", "abort")}
    process, thread, is_over = os.getpid(), threading.get_ident(), False

    def end(name: str, *arguments: int) -> None:
        # A forked child and other threads of this program may end the process. After the context,
        # the caller is code that kept this function, for example for atexit.
        users = is_users(sys._getframe(1).f_code.co_filename)  # noqa: SLF001 - the caller's file
        if os.getpid() == process and (is_over or users or threading.get_ident() == thread):
            raise SystemExit(f"it called os.{name}({', '.join(map(str, arguments))})")
        real[name](*arguments)

    for name in real:
        setattr(os, name, partial(end, name))
    try:
        yield
    finally:
        is_over = True
        for name, function in real.items():
            setattr(os, name, function)
