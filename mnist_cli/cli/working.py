"""What all commands share: progress during the work, and gates after it."""

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
    """Yield the function to call with each event. Enter this context after all imports.

    Within it, standard output goes to standard error: what a custom network prints is no result.
    """
    process.start_work()
    with redirect_stdout(sys.stderr), reporter(quiet) as on_event:
        yield on_event


def judge_accuracy(
    accuracy: float, min_accuracy: float | None, evaluated_on: str = "test"
) -> list[Gate]:
    """Judge the accuracy of one network; no gate without a threshold."""
    if min_accuracy is None:
        return []
    verdict = GateVerdict.MET if accuracy >= min_accuracy else GateVerdict.NOT_MET
    value = Estimate(accuracy, None, 1, CONFIDENCE)
    gate = Gate("", "--min-accuracy", verdict, min_accuracy, value, evaluated_on=evaluated_on)
    return [gate]


def report_gates(gates: Sequence[Gate], *, quiet: bool) -> ExitCode:
    """Print a line for each gate, with `quiet` only if it was not met; return the exit code."""
    failed = [gate for gate in gates if gate.verdict == GateVerdict.NOT_MET]
    for gate in failed if quiet else gates:
        say(describe_gate(gate))
    return ExitCode.GATE_NOT_MET if failed else ExitCode.OK
