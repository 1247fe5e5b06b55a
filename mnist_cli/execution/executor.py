"""Executors train the runs of a comparison, in this process or in worker processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

import torch

from mnist_cli.data.dataset import Dataset
from mnist_cli.execution.trainer import Trainer
from mnist_cli.formatting import plural
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.datasets import NUM_CLASSES
from mnist_cli.schema.events import OnEvent, Waiting
from mnist_cli.schema.options import CompareOptions, Entry
from mnist_cli.schema.results import Environment
from mnist_cli.schema.runs import Measurement, OnProgress, RunTask


class Executor(Protocol):
    """Trains runs, several at once; they may finish in any order."""

    @property
    def slots(self) -> int:
        """How many runs it trains at once; this changes when workers join or leave."""

    def environment(self) -> Environment:
        """The machine that trains, or one of them."""

    def measure_all(self, entries: tuple[Entry, ...]) -> list[Measurement]:
        """Measure the cost of each entry; raises MnistCliError if its code cannot be imported."""

    def hand_over(self, dataset: Dataset) -> None:
        """Take the images, once, before the first run."""

    def submit(self, task: RunTask) -> None:
        """Start a run as soon as there is a slot."""

    def wait(self, on_progress: OnProgress) -> list[tuple[RunTask, Run | str]]:
        """Wait for runs to finish or fail; return an empty list if the number of slots changed.

        Raises MnistCliError if no further run can be trained.
        """


class InProcess(Trainer):
    """An executor that trains one run at a time in this process."""

    slots = 1

    def __init__(self, device: str, threads: int | None, num_classes: int = NUM_CLASSES) -> None:
        super().__init__(device, threads, num_classes)
        self._tasks: list[RunTask] = []

    def measure_all(self, entries: tuple[Entry, ...]) -> list[Measurement]:
        """Measure the cost of each entry."""
        return list(map(self.measure, entries))

    def submit(self, task: RunTask) -> None:
        """Queue a run, which `wait` trains."""
        self._tasks.append(task)

    def wait(self, on_progress: OnProgress) -> list[tuple[RunTask, Run | str]]:
        """Train the run that was submitted first."""
        task = self._tasks.pop(0)
        return [(task, self.train(task, partial(on_progress, task, "")))]


@contextmanager
def executing(
    options: CompareOptions, on_event: OnEvent, num_classes: int = NUM_CLASSES
) -> Iterator[Executor]:
    """Yield the executor that `options` select; its processes end with the context."""
    execution, threads = options.execution, options.execution.run_threads
    if execution.in_process:
        yield InProcess(options.device, threads, num_classes)
        return
    from mnist_cli.execution.engine import cluster_client, count_jobs_that_fit, local_client
    from mnist_cli.execution.workers import Workers

    threads = threads or torch.get_num_threads()
    if execution.cluster is not None:
        jobs, connected = 1, cluster_client(execution.cluster)
        on_event(Waiting(f"connecting to {execution.cluster}"))
    else:
        jobs = execution.jobs or count_jobs_that_fit(options.device, threads)
        connected = local_client(jobs, threads)
        on_event(Waiting(f"starting {plural(jobs, 'worker')}"))
    with connected as client:
        yield Workers(client, options, threads, on_event, jobs, num_classes)
