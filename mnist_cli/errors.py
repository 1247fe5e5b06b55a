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
    """The command line has a value that does not exist, or values that contradict each other."""

    exit_code = ExitCode.USAGE


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, told from a KeyboardInterrupt that a network's own code raises."""


class Terminated(BaseException):
    """SIGTERM. It is no Exception, like KeyboardInterrupt, so that no `except Exception` has it."""


SIGNALS = (Interrupted, Terminated)
