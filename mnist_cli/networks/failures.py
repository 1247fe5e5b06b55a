"""Failures of a network's own code, in one line."""

import importlib
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mnist_cli.errors import MnistCliError


@contextmanager
def naming_failures(what: str) -> Iterator[None]:
    """Turn whatever a network's own code raises into one line that starts with `what`.

    Raises:
        MnistCliError: the code within failed, or called sys.exit.
    """
    try:
        yield
    except MnistCliError:
        raise
    except (Exception, SystemExit) as error:
        raise MnistCliError(f"{what}: {describe(error)}") from error


def describe(error: BaseException) -> str:
    """An exception in one line, with the innermost place outside this package that raised it."""
    try:
        message = str(error)
    except Exception:  # a network's own exception may be broken too
        message = "an exception without a message"
    text = " ".join(f"{type(error).__name__}: {message}".split())
    if isinstance(error, SyntaxError):  # its text names the place already
        return text
    frames = traceback.extract_tb(error.__traceback__)
    ours = (str(Path(__file__).parents[1]), str(Path(importlib.__file__).parent), "<frozen")
    outside = [frame for frame in frames if not frame.filename.startswith(ours)]
    return f"{text} ({outside[-1].filename}:{outside[-1].lineno})" if outside else text
