"""What `compare` returns: plain frozen data, as results.py has it for one network.

The field names are the keys of the JSON export; comparison.schema.json says what each means, and
`SCHEMA_VERSION` moves when one changes its meaning or goes.
"""

from dataclasses import dataclass
from enum import StrEnum
from sys import float_info

from mnist_cli.config import Protocol
from mnist_cli.results import DatasetInfo, Environment

SCHEMA_VERSION = 1


class Measure(StrEnum):
    """What two networks are ranked by."""

    TEST_ACCURACY = "test_accuracy"
    TRAIN_SECONDS = "train_seconds"


@dataclass(frozen=True)
class Estimate:
    """A mean of `n` values; `half_width` is that of its interval, None where n is 1."""

    mean: float
    half_width: float | None
    n: int
    confidence: float


@dataclass(frozen=True)
class Run:
    """One network trained with one seed; `reached_target` is None where none was set.

    Raises:
        ValueError: a value is impossible; runs are read from files that people may edit.
        TypeError: a value is not a number.
    """

    seed: int
    epochs: int
    test_accuracy: float
    test_loss: float
    train_seconds: float
    reached_target: bool | None = None

    def __post_init__(self) -> None:
        whole = type(self.seed) is int and type(self.epochs) is int
        possible = self.seed >= 0 and self.epochs >= 1 and 0 <= self.test_accuracy <= 1
        measured = 0 < self.train_seconds <= float_info.max >= abs(self.test_loss)
        judged = self.reached_target in {None, True, False}
        if not (whole and possible and measured and judged):
            raise ValueError("no possible run")


@dataclass(frozen=True)
class Figures:
    """What the runs of one network come to.

    `sampling_error` is half the 95 % interval due to the test set having so many images; the
    interval of `test_accuracy` is due to the seeds alone. `pareto_*` is whether no other network
    is both more accurate and cheaper, None where that makes no sense. `outlier_seeds` are those
    whose time is far from the others'.
    """

    test_accuracy: Estimate
    test_loss: Estimate
    train_seconds: Estimate
    train_seconds_median: float
    train_seconds_min: float
    train_seconds_max: float
    images_per_second: float
    sampling_error: float
    outlier_seeds: tuple[int, ...]
    pareto_parameters: bool | None = None
    pareto_seconds: bool | None = None


@dataclass(frozen=True)
class ModelRuns:
    """One row of a comparison; `mult_adds` is for a batch of 64, as in the article.

    A network that could not be made has neither size nor precision. `failure` says why there are
    no further runs, and then there are no `figures`.
    """

    model: str
    parameters: int | None
    mult_adds: int | None
    protocol: Protocol
    precision: str | None
    runs: tuple[Run, ...]
    failure: str | None = None
    figures: Figures | None = None

    @property
    def arrived(self) -> bool:
        """Whether it got to the target in each of its runs."""
        return bool(self.runs) and all(run.reached_target for run in self.runs)


@dataclass(frozen=True)
class Verdict:
    """Two networks: `difference` is first minus second, over the seeds that both have.

    `better` is None where they are not distinguishable; `seeds_needed` estimates then how many
    would settle it, and is None where more than 1,000 would be.
    """

    first: str
    second: str
    measure: Measure
    difference: Estimate
    adjusted_p: float
    better: str | None
    seeds_needed: int | None


@dataclass(frozen=True)
class Change:
    """One network against the same one in a baseline: `difference` is now minus then."""

    model: str
    difference: Estimate | None
    adjusted_p: float | None
    regressed: bool


@dataclass(frozen=True)
class Baseline:
    """What changed since an earlier export; `note` says where the training was another one."""

    file: str
    note: str | None
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class CompareResult:
    """Several networks on one machine; `seeds` are those that were asked for."""

    schema_version: int
    dataset: DatasetInfo
    environment: Environment
    seeds: tuple[int, ...]
    target: float | None
    journal: str | None
    models: tuple[ModelRuns, ...]
    verdicts: tuple[Verdict, ...] = ()
    baseline: Baseline | None = None


@dataclass(frozen=True)
class Judged:
    """One checkpoint of a comparison without training."""

    name: str
    model: str
    seed: int
    parameters: int
    test_accuracy: float
    test_loss: float
    sampling_error: float


@dataclass(frozen=True)
class Disagreement:
    """Two checkpoints on the same images, and the exact McNemar test of their difference.

    `difference` is first minus second, between `low` and `high` at `confidence`.
    """

    first: str
    second: str
    only_first_right: int
    only_second_right: int
    difference: float
    low: float
    high: float
    confidence: float
    adjusted_p: float
    better: str | None


@dataclass(frozen=True)
class DisputedImage:
    """An image that some of the checkpoints get right and others wrong."""

    index: int
    label: int
    predictions: tuple[int, ...]


@dataclass(frozen=True)
class CheckpointComparison:
    """Several checkpoints on one test set; `predictions` are in the order of `checkpoints`."""

    dataset: DatasetInfo
    environment: Environment
    checkpoints: tuple[Judged, ...]
    disagreements: tuple[Disagreement, ...]
    disputed: tuple[DisputedImage, ...]
