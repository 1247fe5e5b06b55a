"""What the loop of a comparison needs of whoever trains its runs."""

from collections.abc import Callable
from typing import Protocol

from mnist_cli.data.datasets import Dataset
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.options import Entry
from mnist_cli.schema.results import Environment
from mnist_cli.schema.runs import Measurement, RunTask

OnProgress = Callable[[RunTask, str, int, int, int], None]
"""Called with (task, who trains it, epoch, steps done, steps of an epoch)."""


class Executor(Protocol):
    """Trains runs, `slots` of them at once; in which order they finish is its affair."""

    @property
    def slots(self) -> int:
        """How many runs are trained at once; it changes where workers come and go."""

    def environment(self) -> Environment:
        """The machine that trains, or one of them."""

    def measure(self, entries: tuple[Entry, ...]) -> list[Measurement]:
        """What each entry costs; raises MnistCliError where its code cannot be imported."""

    def hand_over(self, dataset: Dataset) -> None:
        """Take the images, once, before the first run."""

    def submit(self, task: RunTask) -> None:
        """Begin a run as soon as there is a slot."""

    def next(self, on_progress: OnProgress) -> list[tuple[RunTask, Run | str]]:
        """Wait for runs to finish or fail; none where another number of slots is all that is new.

        Raises:
            MnistCliError: no run can be trained any more.
        """
