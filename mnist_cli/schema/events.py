"""The events that a command reports to `on_event`; the caller decides what to show."""

from collections.abc import Callable
from dataclasses import dataclass

from mnist_cli.schema.comparison import Contender, Run, Settling, Verdict
from mnist_cli.schema.results import EpochResult


class Event:
    """What a command reports."""


@dataclass(frozen=True)
class Notice(Event):
    """A warning for the user; the work continues."""

    text: str


@dataclass(frozen=True)
class Waiting(Event):
    """What the command waits for until the next event, such as `starting 2 workers`."""

    text: str


@dataclass(frozen=True)
class DownloadProgress(Event):
    """Bytes of one file so far; `total` is None if the server does not send it."""

    file: str
    done: int
    total: int | None


@dataclass(frozen=True)
class ReadingProgress(Event):
    """How many of the pictures in a folder or file are read."""

    path: str
    done: int
    total: int


@dataclass(frozen=True)
class TrainingProgress(Event):
    """Steps done in epoch `epoch` (from 1) of `epochs`; `seed` is None if there is only one."""

    model: str
    seed: int | None
    epoch: int
    epochs: int
    step: int
    steps: int
    worker: str = ""
    """The name of the worker if there are several."""


@dataclass(frozen=True)
class EpochFinished(Event):
    """An epoch was trained, evaluated on `test` or `validation` images, and saved."""

    model: str
    epochs: int
    result: EpochResult
    evaluated_on: str = "test"


@dataclass(frozen=True)
class RunsLeft(Event):
    """The runs that a comparison has left; if `at_least`, `seconds` is a lower bound.

    If seeds are added, these are the runs until the next look, at `look` seeds.
    """

    total: int
    left: int
    seconds: float
    at_least: bool
    look: int | None = None


@dataclass(frozen=True)
class PairsLookedAt(Event):
    """Pairs of networks have new verdicts, or are still open with new intervals."""

    verdicts: tuple[Verdict, ...]
    margin: float | None
    settling: Settling


@dataclass(frozen=True)
class NetworksDropped(Event):
    """Networks that are surely not the best get no further seeds."""

    dropped: tuple[Contender, ...]


@dataclass(frozen=True)
class RunFinished(Event):
    """A network of a comparison was trained and evaluated; `epochs` is the maximum."""

    model: str
    seed: int | None
    epochs: int
    run: Run
    remaining: RunsLeft
    evaluated_on: str = "test"


@dataclass(frozen=True)
class RunFailed(Event):
    """A network of a comparison failed; it gets no other seeds."""

    model: str
    seed: int
    reason: str
    remaining: RunsLeft


OnEvent = Callable[[Event], None]
