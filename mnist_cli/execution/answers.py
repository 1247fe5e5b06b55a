"""Checks that the answer of a worker fits its question before it enters a comparison."""

from collections.abc import Callable
from typing import Any, Literal

from mnist_cli.comparison.mistakes import RIGHT, decode
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.options import Entry
from mnist_cli.schema.record import from_json
from mnist_cli.schema.results import Environment
from mnist_cli.schema.runs import Measurement, RunTask, WorkerAnswer

VERSIONS: Literal["versions"] = "versions"
ENVIRONMENT: Literal["environment"] = "environment"
Question = Entry | RunTask | Literal["versions", "environment"]
Outcome = Environment | Measurement | Run | str
"""A text is the reason why a network could not be measured or trained."""


def versions() -> Callable[[], dict[str, str]]:
    """What a worker runs; it is sent as bytecode, as mnist-cli may be missing there."""

    def found() -> dict[str, str]:
        from importlib import import_module

        there = {}
        for package in ("mnist_cli", "torch"):
            try:
                there[package] = str(import_module(package).__version__)
            except ImportError:
                there[package] = "not installed"
        return there

    return found


def check_versions(answer: Any, slots: int) -> None:
    """Raise ValueError if a worker has other versions, or would train several runs at once."""
    ours = versions()()
    theirs = answer if isinstance(answer, dict) else dict.fromkeys(ours, "an unknown version")
    for package, version in ours.items():
        if theirs.get(package) != version:
            raise ValueError(
                f"has {package} {str(theirs.get(package))[:40]}, not {version}: install the same "
                "there, or end that worker"
            )
    if slots != 1:
        raise ValueError(
            "would train several runs in one process: start it with --nthreads 1, and as many as "
            "you like with --nworkers"
        )


def read_answer(question: Question, answer: Any, num_test: int, threads: int) -> Outcome | None:
    """Check and unpack an answer; None if the worker needs the images first.

    Raises:
        ValueError: it does not fit `question`; the message continues after "the worker".
    """
    try:
        read = from_json(WorkerAnswer, answer)
        if isinstance(question, RunTask) and read.run:
            _check_run(question, read.run, num_test, threads)
    except (ValueError, TypeError) as error:
        raise ValueError(f"gave an invalid answer ({str(error)[:200]})") from error
    if question == ENVIRONMENT and read.environment:
        return read.environment
    if isinstance(question, Entry) and read.measurement:
        return read.measurement
    if isinstance(question, RunTask) and (read.run or read.failure):
        return read.run or read.failure
    if isinstance(question, RunTask) and read.needs_images:
        return None
    raise ValueError("gave an invalid answer")


def _check_run(task: RunTask, run: Run, num_test: int, threads: int) -> None:
    """Raise ValueError if a run is not that of a task, or contradicts itself."""
    most = task.entry.protocol.epochs
    reached = None if task.target is None else run.test_accuracy >= task.target
    last = run.history[-1] if run.history else None
    expected = {
        "seed": (run.seed, task.seed),
        "epochs": (run.epochs, min(run.epochs, most) if reached else most),
        "history": ([epoch.epoch for epoch in run.history], list(range(1, run.epochs + 1))),
        "test_accuracy": (run.test_accuracy, last and last.test_accuracy),
        "reached_target": (run.reached_target, reached),
        "threads": (run.threads, threads),
    }
    if run.mistakes is not None:
        right = int((decode(run.mistakes, num_test) == RIGHT).sum())
        expected["right answers"] = (round(run.test_accuracy * num_test), right)
    for name, (told, asked) in expected.items():
        if told != asked:
            raise ValueError(f"{name} {told} instead of {asked}")
