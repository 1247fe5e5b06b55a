"""Ctrl-C and SIGTERM: an orderly end where there is work to undo, an immediate one before."""

import os
import signal
from types import FrameType

from mnist_cli.errors import Terminated
from mnist_cli.streams import say

_unwinding = False


def install() -> None:
    """Handle both signals; one that the caller had ignored stays so."""
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)


def unwind() -> None:
    """From now on a signal is an exception, so that unfinished files are removed on the way out.

    Before, it ends the process at once: large libraries are being imported, and turn an exception
    into another one or drop it.
    """
    global _unwinding  # noqa: PLW0603 - a process has one state of signals
    _unwinding = True


def exit_code(number: int) -> int:
    """Say what ended the process, and return the exit code that says so too."""
    say("interrupted" if number == signal.SIGINT else "terminated")
    return 128 + number


def _stop(number: int, _frame: FrameType | None) -> None:
    if not _unwinding:
        os._exit(exit_code(number))
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated
