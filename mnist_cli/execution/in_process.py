"""Runs one after the other in this process."""

from mnist_cli.data.datasets import Dataset
from mnist_cli.execution.executor import OnProgress
from mnist_cli.execution.trainer import Trainer
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.options import Entry
from mnist_cli.schema.results import Environment
from mnist_cli.schema.runs import Measurement, RunTask
from mnist_cli.training.examples import Examples, to_device


class InProcess:
    """An executor with one slot and no engine."""

    slots = 1

    def __init__(self, device: str, threads: int | None) -> None:
        self._trainer = Trainer(device, threads)
        self._examples: tuple[Examples, Examples] | None = None
        self._tasks: list[RunTask] = []

    def environment(self) -> Environment:
        """This machine."""
        return self._trainer.environment

    def measure(self, entries: tuple[Entry, ...]) -> list[Measurement]:
        """What each entry costs; raises MnistCliError where its code cannot be imported."""
        return [self._trainer.measure(entry) for entry in entries]

    def hand_over(self, dataset: Dataset) -> None:
        """Put the images on the device."""
        device = self._trainer.device
        self._examples = to_device(dataset.train, device), to_device(dataset.test, device)

    def submit(self, task: RunTask) -> None:
        """Train it when `next` is called."""
        self._tasks.append(task)

    def next(self, on_progress: OnProgress) -> list[tuple[RunTask, Run | str]]:
        """Train the run that was submitted first."""
        assert self._examples is not None
        task = self._tasks.pop(0)
        outcome = self._trainer.train(
            task, *self._examples, lambda *steps: on_progress(task, "", *steps)
        )
        return [(task, outcome)]
