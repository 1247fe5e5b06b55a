"""What a running command reports: plain events, handed to one callable.

The work calls `on_event`; how an event looks, or whether it is shown, is the caller's affair.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mnist_cli.results import EpochResult, Run


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
    """Steps done in epoch `epoch` (from 1) of `epochs`."""

    model: str
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
class RunFinished:
    """A network of a comparison was trained and evaluated."""

    model: str
    epochs: int
    run: Run


Event = Notice | DownloadProgress | TrainingProgress | EpochFinished | RunFinished
OnEvent = Callable[[Event], None]
