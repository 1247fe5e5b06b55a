"""What a comparison sends to the process that trains, and the answers."""

from collections.abc import Callable
from dataclasses import dataclass

from mnist_cli.schema.comparison import Run
from mnist_cli.schema.options import Entry
from mnist_cli.schema.protocol import Precision
from mnist_cli.schema.record import Record
from mnist_cli.schema.results import Environment, ModelSummary


@dataclass(frozen=True)
class RunTask:
    """One run: an entry with fp32 or bf16, a seed, and perhaps a target."""

    entry: Entry
    seed: int
    target: float | None


OnProgress = Callable[[RunTask, str, int, int, int], None]
"""Called with (task, name of the worker, epoch, steps done, steps of an epoch)."""


@dataclass(frozen=True)
class Measurement:
    """The cost of an entry, with warnings about its results, or why it cannot be trained."""

    cost: ModelSummary | None = None
    precision: Precision | None = None
    precision_reason: str = ""
    notices: tuple[str, ...] = ()
    failure: str | None = None


@dataclass(frozen=True)
class WorkerAnswer(Record):
    """The answer of a worker process, as JSON: one of these fields."""

    environment: Environment | None = None
    measurement: Measurement | None = None
    run: Run | None = None
    failure: str | None = None
    """Why a run failed; a measurement has its own."""
    needs_images: bool = False
