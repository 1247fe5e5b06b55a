"""The exit codes, and the failures that end in one line instead of a traceback."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells its caller (Ctrl-C and SIGTERM add 130 and 143)."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    GATE_NOT_MET = 3


class MnistCliError(Exception):
    """An expected failure. The message is one line that says what to do about it."""

    exit_code = ExitCode.FAILURE


class UsageError(MnistCliError):
    """The command line asks for something that does not exist or does not fit together."""

    exit_code = ExitCode.USAGE


class Interrupted(KeyboardInterrupt):
    """Ctrl-C; a network's own code may raise a plain KeyboardInterrupt."""


class Terminated(BaseException):
    """SIGTERM. Like KeyboardInterrupt no Exception, so that no handler of failures takes it."""


SIGNALS = (Interrupted, Terminated)
