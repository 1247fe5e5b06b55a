"""What a running command reports: plain events, handed to one callable.

The work calls `on_event`; how an event looks, or whether it is shown, is the caller's affair.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mnist_cli.comparison import Run
from mnist_cli.results import EpochResult


@dataclass(frozen=True)
class Notice:
    """Something the person should know, in one line."""

    text: str


@dataclass(frozen=True)
class DownloadProgress:
    """Bytes of one file so far; `total` is None where the server does not tell."""

    file: str
    done: int
    total: int | None


@dataclass(frozen=True)
class TrainingProgress:
    """Steps done in epoch `epoch` (from 1) of `epochs`; `seed` is None where there is one only."""

    model: str
    seed: int | None
    epoch: int
    epochs: int
    step: int
    steps: int


@dataclass(frozen=True)
class EpochFinished:
    """An epoch was trained, evaluated and saved."""

    model: str
    epochs: int
    result: EpochResult


@dataclass(frozen=True)
class RunsLeft:
    """How far a comparison is; `at_least` says that the seconds are but a lower bound."""

    total: int
    left: int
    seconds: float
    at_least: bool


@dataclass(frozen=True)
class RunFinished:
    """A network of a comparison was trained and evaluated; `epochs` is the most it could take."""

    model: str
    seed: int | None
    epochs: int
    run: Run
    remaining: RunsLeft


@dataclass(frozen=True)
class RunFailed:
    """A network of a comparison failed and will not be tried with other seeds."""

    model: str
    reason: str
    remaining: RunsLeft


Event = (
    Notice
    | DownloadProgress
    | TrainingProgress
    | EpochFinished
    | RunsLeft
    | RunFinished
    | RunFailed
)
OnEvent = Callable[[Event], None]
