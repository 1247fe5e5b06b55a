"""What happens around the work of every command, and what becomes of its gates."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout

from mnist_cli.errors import ExitCode
from mnist_cli.report.progress import reporter
from mnist_cli.schema.events import OnEvent
from mnist_cli.system import process
from mnist_cli.system.streams import say


@contextmanager
def working(quiet: bool = False) -> Iterator[OnEvent]:
    """Enter it once everything is imported; it yields what the work calls with each event.

    Standard output is standard error within: what a custom network prints is no result.
    """
    process.start_work()
    with redirect_stdout(sys.stderr), reporter(quiet) as on_event:
        yield on_event


def failed_accuracy_gate(test_accuracy: float, min_accuracy: float | None) -> list[str]:
    """Why one training or evaluation misses its threshold; empty where it does not."""
    if min_accuracy is None or test_accuracy >= min_accuracy:
        return []
    return [f"test accuracy {test_accuracy:.4f} is below --min-accuracy {min_accuracy:.10g}"]


def exit_code_of(failed_gates: Sequence[str]) -> ExitCode:
    """Say in one line which gates were not met and why, if any."""
    if not failed_gates:
        return ExitCode.OK
    say(f"gate: {'; '.join(failed_gates)}")
    return ExitCode.GATE_NOT_MET
