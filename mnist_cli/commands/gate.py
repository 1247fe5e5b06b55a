"""The exit code of a result that was asked to reach something."""

from collections.abc import Sequence

from mnist_cli.errors import ExitCode
from mnist_cli.streams import say


def passed(reasons: Sequence[str]) -> ExitCode:
    """Say in one line why a gate is not met, if it is not."""
    if not reasons:
        return ExitCode.OK
    say(f"gate: {'; '.join(reasons)}")
    return ExitCode.GATE_NOT_MET
