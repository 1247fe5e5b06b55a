"""The questions to workers, and the check that an answer fits its question."""

from collections.abc import Callable
from typing import Any, Literal

import torch

from mnist_cli import __version__
from mnist_cli.comparison.mistakes import decode, is_wrong
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.datasets import DatasetInfo
from mnist_cli.schema.options import Entry
from mnist_cli.schema.record import from_json
from mnist_cli.schema.results import Environment
from mnist_cli.schema.runs import Measurement, RunTask, WorkerAnswer

ENVIRONMENT: Literal["environment"] = "environment"
VERSIONS = {"mnist_cli": __version__, "torch": str(torch.__version__)}
Question = Entry | RunTask | Literal["environment"]


def make_ask() -> Callable[..., Any]:
    """Return a function for a worker that may lack mnist-cli: Dask sends it as bytecode.

    It calls `worker.answer`; but if the worker has other `versions`, it returns those.
    """

    def ask(versions: dict[str, str], *arguments: Any) -> Any:
        from importlib import import_module

        found = {}
        for package in versions:
            try:
                found[package] = str(import_module(package).__version__)
            except ImportError:
                found[package] = "not installed"
        if found != versions:
            return found
        return import_module("mnist_cli.execution.worker").answer(*arguments)

    return ask


def read_answer(
    question: Question, answer: Any, info: DatasetInfo | None, threads: int
) -> Environment | Measurement | Run | str | None:
    """Check and unpack an answer; return None if the worker needs the images first.

    A text says why a network could not be trained. Raises ValueError if the worker has other
    versions, or the answer does not fit `question`. Its message follows the address, as in "the
    worker tcp://10.0.0.7:4123 gave an invalid answer".
    """
    if isinstance(answer, dict):
        _check_versions(answer)
    try:
        read = from_json(WorkerAnswer, answer)
        if isinstance(question, RunTask) and read.run:
            assert info, "a run is asked for after its dataset is known"
            _check_run(question, read.run, info, threads)
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


def _check_versions(versions: dict[str, Any]) -> None:
    for package, version in VERSIONS.items():
        if versions.get(package) != version:
            raise ValueError(
                f"has {package} {str(versions.get(package))[:40]}, not {version}: install the same "
                "version there, or stop that worker"
            )


def _check_run(task: RunTask, run: Run, info: DatasetInfo, threads: int) -> None:
    """Raise ValueError if a run is not of `task`, or contradicts itself."""
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
        codes = decode(run.mistakes, info.num_test, len(info.classes))
        right = int((~is_wrong(codes)).sum())
        expected["right answers"] = (round(run.test_accuracy * info.num_test), right)
    for name, (value, wanted) in expected.items():
        if value != wanted:
            raise ValueError(f"{name} {value} instead of {wanted}")
