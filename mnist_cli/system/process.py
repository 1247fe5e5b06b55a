"""The two phases of a process: getting ready as fast as possible, then work that is undone safely.

While it gets ready, large libraries are imported. A signal then ends the process at once, because
an import may turn an exception into another one or drop it. Garbage is not collected, because next
to nothing that an import makes is garbage: looking for it took 0.3 of 2.0 s of `import torch`.
"""

import atexit
import gc
import os
import signal
import sys
from contextlib import suppress
from threading import Thread
from types import FrameType
from typing import NoReturn

from mnist_cli.errors import Interrupted, Terminated
from mnist_cli.system.streams import say

EXIT_SECONDS = 2.0
_working = False
_end = os._exit  # a network's code may replace it


def get_ready() -> None:
    """Start the first phase; a signal that the caller had ignored stays ignored."""
    gc.disable()
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)


def start_work() -> None:
    """Start the second phase: a signal raises an exception, so that unfinished files are removed.

    Garbage is collected again, among what is made from now on.
    """
    global _working  # noqa: PLW0603 - a process has one phase
    _working = True
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def signal_exit_code(number: int) -> int:
    """Say what ended the process, and return the exit code that says so too."""
    say("interrupted" if number == signal.SIGINT else "terminated")
    return 128 + number


def leave(code: int) -> NoReturn:
    """End the process without taking it apart, which takes 0.1 to 0.4 s once torch is imported.

    The functions registered with `atexit` are called, for 2 s at most, and both streams are
    flushed; the system frees the rest. What a network's code left behind, a thread or such a
    function, can neither keep the process alive nor choose its exit code. A signal ends it at once.
    """
    global _working  # noqa: PLW0603 - a process has one phase
    _working = False
    for name in ("_exit", "abort"):
        setattr(os, name, sys.exit)
    sys.unraisablehook = lambda raised: say(f"notice: {raised.exc_type.__name__} at the exit")
    functions = Thread(target=atexit._run_exitfuncs, daemon=True)  # noqa: SLF001 - the only way
    functions.start()
    functions.join(EXIT_SECONDS)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # what could not be written was said before
            stream.flush()
    _end(code)


def _stop(number: int, _frame: FrameType | None) -> None:
    if not _working:
        _end(signal_exit_code(number))
    raise Interrupted if number == signal.SIGINT else Terminated
