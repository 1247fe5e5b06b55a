"""The two phases of a process: a fast start, then work that a signal interrupts safely.

The start imports large libraries. A signal then ends the process at once, because an import may
swallow an exception. Garbage collection is off: it took 0.3 of the 2.0 s of `import torch`, which
makes hardly any garbage.
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
    """Start the first phase. If the caller ignores SIGINT, it stays ignored."""
    gc.disable()
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)


def start_work() -> None:
    """Start the second phase: a signal raises an exception, so that unfinished files are removed.

    Garbage collection is on again, for objects that are created from now on.
    """
    global _working  # noqa: PLW0603 - a process has one phase
    _working = True
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def signal_exit_code(number: int) -> int:
    """Report the signal that ended the process, and return its exit code."""
    say("interrupted" if number == signal.SIGINT else "terminated")
    return 128 + number


def leave(code: int) -> NoReturn:
    """End the process without the shutdown of Python, which takes 0.1 to 0.4 s with torch.

    This runs the functions registered with `atexit`, for 2 s at most, and flushes both streams.
    Code of a network, in threads or such functions, cannot delay the end or change the exit code.
    A signal ends the process at once.
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
        with suppress(OSError):  # this failure was reported before
            stream.flush()
    _end(code)


def _stop(number: int, _frame: FrameType | None) -> None:
    if not _working:
        _end(signal_exit_code(number))
    raise Interrupted if number == signal.SIGINT else Terminated
