"""The surroundings of the work of every command, and its gates."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout

from mnist_cli.errors import ExitCode
from mnist_cli.report.gates import describe_gate
from mnist_cli.report.progress import reporter
from mnist_cli.schema.comparison import CONFIDENCE, Estimate
from mnist_cli.schema.events import OnEvent
from mnist_cli.schema.gates import Gate, GateVerdict
from mnist_cli.system import process
from mnist_cli.system.streams import say


@contextmanager
def working(quiet: bool = False) -> Iterator[OnEvent]:
    """Report progress during the work; it yields the function to call with each event.

    Within, standard output goes to standard error: what a custom network prints is no result.
    Enter it after all imports.
    """
    process.start_work()
    with redirect_stdout(sys.stderr), reporter(quiet) as on_event:
        yield on_event


def accuracy_gate(test_accuracy: float, min_accuracy: float | None) -> list[Gate]:
    """The gate of one training or evaluation; empty without a threshold."""
    if min_accuracy is None:
        return []
    verdict = GateVerdict.MET if test_accuracy >= min_accuracy else GateVerdict.NOT_MET
    value = Estimate(test_accuracy, None, 1, CONFIDENCE)
    return [Gate("", "--min-accuracy", verdict, min_accuracy, value)]


def exit_code_of(gates: Sequence[Gate], *, quiet: bool) -> ExitCode:
    """Print a line for each gate, with `quiet` only for those that were not met."""
    failed = [gate for gate in gates if gate.verdict == GateVerdict.NOT_MET]
    for gate in failed if quiet else gates:
        say(describe_gate(gate))
    return ExitCode.GATE_NOT_MET if failed else ExitCode.OK
