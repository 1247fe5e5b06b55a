"""The exit codes, and the errors that are shown in one line, without a traceback."""

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
