"""The exit codes, and the errors that are shown in one line, without a traceback."""

from collections.abc import Iterable
from difflib import get_close_matches
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit code of the process (130 after Ctrl-C, 143 after SIGTERM)."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    GATE_NOT_MET = 3


class MnistCliError(Exception):
    """An expected failure. The message is one line that says what to do."""

    exit_code = ExitCode.FAILURE


class UsageError(MnistCliError):
    """The command line has an invalid value, or options that contradict each other."""

    exit_code = ExitCode.USAGE


class Interrupted(KeyboardInterrupt):
    """Ctrl-C; a network's own code may raise a KeyboardInterrupt, but not this."""


class Terminated(BaseException):
    """SIGTERM. Like KeyboardInterrupt, it is no Exception, so `except Exception` ignores it."""


SIGNALS = (Interrupted, Terminated)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean cnn?)` if one of the `known` names is close, or an empty string."""
    close = get_close_matches(name, list(known), 1)
    return f" (did you mean {close[0]}?)" if close else ""
