"""Executors train the runs of a comparison, in this process or in worker processes."""

from collections.abc import Iterator, Sequence
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

    def measure_all(self, entries: Sequence[Entry]) -> tuple[Environment, list[Measurement]]:
        """Describe the machine that trains, or one of them, and measure the cost of each entry.

        Raises MnistCliError if the code of an entry cannot be imported.
        """

    def hand_over(self, dataset: Dataset) -> None:
        """Take the images, once, before the first run."""

    def train_all(
        self, tasks: Sequence[RunTask], on_progress: OnProgress
    ) -> list[tuple[RunTask, Run | str]]:
        """Start `tasks` as soon as there are slots; return the first runs that finish or fail.

        They may be of an earlier call. Returns an empty list if the number of slots changed. Raises
        MnistCliError if no further run can be trained.
        """


class InProcess(Trainer):
    """An executor that trains one run at a time in this process."""

    slots = 1

    def measure_all(self, entries: Sequence[Entry]) -> tuple[Environment, list[Measurement]]:
        """Describe this machine, and measure the cost of each entry."""
        return self.environment(), list(map(self.measure, entries))

    def train_all(
        self, tasks: Sequence[RunTask], on_progress: OnProgress
    ) -> list[tuple[RunTask, Run | str]]:
        """Train the `tasks`, one after the other."""
        return [(task, self.train(task, partial(on_progress, task, ""))) for task in tasks]


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
