"""What a running command reports: plain events, handed to one callable.

The work calls `on_event`; how an event looks, or whether it is shown, is the caller's affair.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mnist_cli.schema.comparison import Run, Settling, Verdict
from mnist_cli.schema.results import EpochResult


@dataclass(frozen=True)
class DownloadProgress:
    """Bytes of one file so far; `total` is None where the server does not tell."""

    file: str
    done: int
    total: int | None


@dataclass(frozen=True)
class SubsetUsed:
    """Files of the complete MNIST are `missing` in `folder`: mnist5k takes its place."""

    folder: str
    missing: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class TrainingImagesReused:
    """A network is judged on images that it was trained on."""


@dataclass(frozen=True)
class CodeChanged:
    """Files of a custom network are not those that the checkpoint at `path` was trained with."""

    path: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class SeedIgnored:
    """A network has the same first weights with two seeds: its runs differ by the order alone."""

    model: str


@dataclass(frozen=True)
class OutputIsProbability:
    """A network's outputs are positive and add up to 1, where the loss expects logits."""

    model: str


@dataclass(frozen=True)
class FewerImages:
    """Of the `wanted` images of a split, only `found` fit what was asked for."""

    found: int
    wanted: int
    split: str


@dataclass(frozen=True)
class FewerDisputedImages:
    """Checkpoints disagree on fewer images than were to be shown."""

    found: int


@dataclass(frozen=True)
class CheckpointReplaced:
    """The file at `path` will be replaced by a new training."""

    path: str


@dataclass(frozen=True)
class TrainingProgress:
    """Steps done in epoch `epoch` (from 1) of `epochs`; `seed` is None where there is one only."""

    model: str
    seed: int | None
    epoch: int
    epochs: int
    step: int
    steps: int
    worker: str = ""
    """Its name, where there are several that may train."""


@dataclass(frozen=True)
class EpochFinished:
    """An epoch was trained, evaluated and saved."""

    model: str
    epochs: int
    result: EpochResult


@dataclass(frozen=True)
class TrainingInterrupted:
    """A training ends early; the checkpoint at `path` holds `done` of `epochs` epochs."""

    path: str
    done: int
    epochs: int


@dataclass(frozen=True)
class JournalUnavailable:
    """Finished runs cannot be kept."""

    reason: str


@dataclass(frozen=True)
class JournalFound:
    """A journal holds `finished` of `total` runs, which are not repeated."""

    path: str
    finished: int
    total: int


@dataclass(frozen=True)
class ComparisonInterrupted:
    """A comparison ends early; its journal holds `finished` of `total` runs."""

    path: str
    finished: int
    total: int


@dataclass(frozen=True)
class RunsLeft:
    """How far a comparison is; `at_least` says that the seconds are but a lower bound.

    Where seeds are added, the runs are those until the next look, at `look` seeds.
    """

    total: int
    left: int
    seconds: float
    at_least: bool
    look: int | None = None


@dataclass(frozen=True)
class PairsLookedAt:
    """Pairs of networks have new verdicts, or are still open with new intervals."""

    verdicts: tuple[Verdict, ...]
    margin: float | None
    settling: Settling


@dataclass(frozen=True)
class MarginTooFine:
    """Intervals of `seeds` seeds are about `half_width` to each side: too wide for `margin`."""

    margin: float
    half_width: float
    seeds: int
    num_test: int


@dataclass(frozen=True)
class TimeLimitReached:
    """A comparison ends as the next run would take longer; `open` pairs are not settled yet."""

    open: int
    journal: str | None


@dataclass(frozen=True)
class WorkersAwaited:
    """No worker is connected to the scheduler at `address`; runs begin when one comes."""

    address: str


@dataclass(frozen=True)
class RunFinished:
    """A network of a comparison was trained and evaluated; `epochs` is the most it could take."""

    model: str
    seed: int | None
    epochs: int
    run: Run
    remaining: RunsLeft


@dataclass(frozen=True)
class NetworkUnusable:
    """A network of a comparison cannot be made or measured; its row says why."""

    model: str


@dataclass(frozen=True)
class RunFailed:
    """A network of a comparison failed, for the reason in its row; it gets no other seeds."""

    model: str
    remaining: RunsLeft


Event = (
    DownloadProgress
    | SubsetUsed
    | TrainingImagesReused
    | CodeChanged
    | SeedIgnored
    | OutputIsProbability
    | FewerImages
    | FewerDisputedImages
    | CheckpointReplaced
    | TrainingProgress
    | EpochFinished
    | TrainingInterrupted
    | JournalUnavailable
    | JournalFound
    | ComparisonInterrupted
    | RunsLeft
    | PairsLookedAt
    | MarginTooFine
    | TimeLimitReached
    | WorkersAwaited
    | RunFinished
    | NetworkUnusable
    | RunFailed
)
OnEvent = Callable[[Event], None]
