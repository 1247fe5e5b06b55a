"""What is handed to whoever trains, and what comes back: plain data that goes between processes."""

from dataclasses import dataclass

from mnist_cli.schema.events import OutputIsProbability, SeedIgnored
from mnist_cli.schema.options import Entry
from mnist_cli.schema.protocol import Precision
from mnist_cli.schema.results import ModelSummary


@dataclass(frozen=True)
class RunTask:
    """One run: an entry, whose precision is decided, with a seed, and up to a target if any."""

    entry: Entry
    seed: int
    target: float | None


@dataclass(frozen=True)
class Measurement:
    """What an entry costs, why its runs may say less than they seem to, or why it has none."""

    cost: ModelSummary | None = None
    precision: Precision | None = None
    oddities: tuple[OutputIsProbability | SeedIgnored, ...] = ()
    failure: str | None = None
