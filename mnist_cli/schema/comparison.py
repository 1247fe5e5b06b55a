"""What `compare` returns: plain frozen data, as results.py has it for one network.

The field names are the keys of the JSON export, and the docstrings describe them in its JSON schema
(`python -m mnist_cli.schema`). `SCHEMA_VERSION` is raised when a field goes or changes its meaning,
not when one is added. Accuracies are fractions, durations are seconds. The limits refuse files that
have more networks or runs, or larger numbers, than a comparison can have.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Literal

from annotated_types import Ge, Interval, Len

from mnist_cli.schema.datasets import NUM_CLASSES, DatasetInfo
from mnist_cli.schema.protocol import Protocol
from mnist_cli.schema.record import Count, Positive, Record, Sealed
from mnist_cli.schema.results import Environment, EpochResult, Fraction, Loss, Seconds

SCHEMA_VERSION: Literal[2] = 2
ALPHA = 0.05  # the chance of any false verdict
CONFIDENCE = 1 - ALPHA
NEAR_CHANCE = 2 / NUM_CLASSES  # twice the accuracy of guessing: what has no more did not learn
LOOKS = (4, 5, 7, 10, 14, 20, 28, 40, 56, 80)  # numbers of seeds at which pairs may be looked at
MAX_NETWORKS = 256
MAX_RUNS = 2000  # of a network, in merged exports

Duration = Annotated[float, Interval(ge=0, le=1e12)]
Name = Annotated[str, Len(1, 10_000)]
Look = Annotated[int, Interval(ge=2, le=MAX_RUNS)]


class Measure(StrEnum):
    """What two networks are ranked by."""

    TEST_ACCURACY = "test_accuracy"
    TRAIN_SECONDS = "train_seconds"


class Outcome(StrEnum):
    """What is known of two networks."""

    BETTER = "better"
    EQUIVALENT = "equivalent"
    """They differ by less than the margin."""
    SET_ASIDE = "set aside"
    """The largest number of seeds is unlikely to decide it."""
    OPEN = "open"


SETTLED = frozenset({Outcome.BETTER, Outcome.EQUIVALENT})


@dataclass(frozen=True)
class Estimate(Record):
    """A mean with its interval."""

    mean: float
    half_width: Annotated[float, Ge(0)] | None
    """Half the width of its two-sided Student interval; null if n is 1, and for figures of one
    network if the number of seeds depends on the results."""
    n: Positive
    """Number of values."""
    confidence: Fraction
    """Confidence level of this interval alone: 1 - 0.05 / m for m simultaneous ones."""


@dataclass(frozen=True)
class Run(Record):
    """One network trained with one seed."""

    seed: Count
    """Decides the initial weights and the order of the images."""
    epochs: Positive
    """Passes over the training images; fewer than the protocol's if it stopped at the target."""
    test_accuracy: Fraction
    """Share of the test images that are classified correctly, after the last epoch."""
    test_loss: Loss
    """Mean cross-entropy on the test images, in nats."""
    train_seconds: Seconds
    """Duration of the training steps alone: no loading, warm-up or evaluation."""
    reached_target: bool | None = None
    """Whether the accuracy reached `target`; null without one."""
    history: tuple[EpochResult, ...] = ()
    """Losses, accuracy and training time of each epoch."""
    mistakes: str | None = None
    """The wrong answers: Base64 of a zlib stream with a byte for each test image in its order,
    which is 10 * label + answer, or 255 for a right answer."""
    cpu_seconds: Duration | None = None
    """CPU time of all threads of the process during the training steps; null if unknown."""
    threads: Positive | None = None
    """Threads of a training step, which decide the last bits; null if unknown."""
    host: str = ""
    """Name of the machine."""
    processor: str = ""
    runs_at_once: Positive = 1
    """The most runs, this one included, that the machine was ready to train during this one. Only
    times of runs with 1 count. Other programs and workers of other schedulers are not known."""

    @property
    def near_chance(self) -> bool:
        """Whether it did not learn: its accuracy is 20 % at most; that of guessing is 10 %."""
        return self.test_accuracy <= NEAR_CHANCE


@dataclass(frozen=True)
class Aggregate(Record):
    """Figures over the runs of one network."""

    test_accuracy: Estimate
    """Over the seeds: the interval says nothing about other test images."""
    test_loss: Estimate
    train_seconds: Estimate | None
    """Mean over the seeds; with a target, over those that reached it if any did. All times are of
    runs that had the same machine to themselves; null without such runs."""
    train_seconds_median: Seconds | None
    train_seconds_min: Seconds | None
    train_seconds_max: Seconds | None
    images_per_second: float | None
    """Training images a second, median over the seeds."""
    sampling_error: float
    """Half the 95 % Wilson interval of the accuracy, which is due to the number of test images."""
    outlier_seeds: tuple[Count, ...]
    """Seeds whose time is more than 14.826 median absolute deviations from the median."""
    pareto_parameters: bool | None = None
    """Whether it is Pareto-optimal by mean accuracy and all parameters; null with a target or if
    there is no other network with figures."""
    pareto_seconds: bool | None = None
    """The same with the median time instead of the parameters; null also if a time is unknown."""
    accuracy_deviation: float | None = None
    """Standard deviation of the accuracy over the seeds; null for one seed."""
    low_seeds: tuple[Count, ...] = ()
    """Seeds whose accuracy is below the median by at least 22 median absolute deviations and three
    times `sampling_error`; empty for fewer than four seeds."""

    @property
    def times(self) -> tuple[float, float, float] | None:
        """Median, least and most seconds of training; None if they are unknown."""
        mid, low, high = self.train_seconds_median, self.train_seconds_min, self.train_seconds_max
        return None if mid is None or low is None or high is None else (mid, low, high)


@dataclass(frozen=True)
class ModelRuns(Record):
    """One row of a comparison: a network with all its runs."""

    model: Name
    """Name of the network, with the varied settings: `cnn`, or `cnn lr=0.003`."""
    parameters: Count | None
    """Trainable parameters; null if the network could not be built."""
    total_parameters: Count | None
    """All parameters, frozen ones included."""
    mult_adds: Count | None
    """Multiply-adds of one forward pass of 64 images, as torchinfo counts them; null if it cannot,
    as in a scripted network."""
    protocol: Protocol
    precision: str | None
    """Number format of the training steps; null if the network could not be built."""
    runs: Annotated[tuple[Run, ...], Len(0, MAX_RUNS)]
    """Finished runs, by seed."""
    failure: str | None = None
    """Why there are no further runs."""
    figures: Aggregate | None = None
    """Null without a run or after a failure."""
    network: str = ""
    """Name or target of the network alone."""
    varied: dict[str, str | int | float] = field(default_factory=dict)
    """The settings that differ from row to row, by their names on the command line."""
    code: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file that a custom network consists of; empty for the article's."""
    precision_reason: str = ""
    """Why this number format was chosen; empty in exports of earlier versions."""
    settled: bool | None = None
    """Whether each pair with this network has a verdict; null for a fixed number of seeds."""

    @property
    def always_reached_target(self) -> bool:
        """Whether it has runs and each reached the target."""
        return bool(self.runs) and all(run.reached_target for run in self.runs)


@dataclass(frozen=True)
class Settling(Record):
    """How seeds are added until each pair of networks is settled."""

    max_seeds: Annotated[int, Interval(ge=LOOKS[0], le=MAX_RUNS)]
    """The largest number of seeds of a network."""
    looks: Annotated[tuple[Look, ...], Len(1, 20)] = LOOKS
    """The numbers of seeds at which a pair may be looked at. The error rate is divided by how many
    there are, whether or not they are reached."""

    @property
    def allowed_looks(self) -> tuple[int, ...]:
        """The looks that need no more seeds than `max_seeds`."""
        return tuple(look for look in self.looks if look <= self.max_seeds)


@dataclass(frozen=True)
class Verdict(Record):
    """Which of two networks is better, if the runs can tell."""

    first: str
    second: str
    measure: Measure
    """What the two are ranked by: the time if there is a target."""
    difference: Estimate
    """Mean over the common seeds of first minus second. The interval leaves out zero exactly if one
    is better; all of a comparison are simultaneous 95 % confidence intervals."""
    adjusted_p: Fraction
    """P-value of the paired t-test, times the number of pairs and of looks (Bonferroni)."""
    better: str | None
    """The better network; null if they are not distinguishable."""
    outcome: Outcome = Outcome.OPEN
    sampling_error: float | None = None
    """Half the 95 % interval of the difference due to the choice of N test images: 1.96 times the
    standard deviation over images of (share of the first's runs that are right minus share of the
    second's), divided by the square root of N. Null with a target, and if a run has no mistakes."""
    near_chance: tuple[str, ...] = ()
    """Those of the two with a run that did not learn: no interval allows for that."""


@dataclass(frozen=True)
class Change(Record):
    """One network now and in the baseline."""

    model: str
    difference: Estimate | None
    """Mean accuracy now minus then; null if one has too few runs. All intervals of a baseline are
    simultaneous 95 % confidence intervals."""
    adjusted_p: Fraction | None
    """P-value of the test, times the number of networks (Bonferroni)."""
    paired: bool
    """Whether it is the paired t-test of five or more common seeds, else Welch's of all."""
    regressed: bool
    """Whether the accuracy is significantly lower."""
    identical: bool = False
    """Whether each common seed has the same accuracy as then: the interval is then that of rounding
    to one image."""
    near_chance: bool = False
    """Whether a run now or then did not learn: no interval allows for that."""


@dataclass(frozen=True)
class Baseline(Record):
    """What changed since an earlier export."""

    file: str
    note: str | None
    """How the training differed then."""
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class CompareResult(Sealed):
    """The result of `compare`: several networks, trained with the same seeds.

    `environment` is that of one of the machines that trained; each run names its own.
    """

    schema_version: Literal[2]
    dataset: DatasetInfo
    environment: Environment
    seeds: Annotated[tuple[Count, ...], Len(1, MAX_RUNS)]
    """The seeds asked for; a network with fewer runs is unfinished or was settled earlier."""
    target: Fraction | None
    """Test accuracy to train up to."""
    journal: str | None
    """File that holds the finished runs, and knows whether seeds were added; null for merged
    exports, and if no file could be written."""
    models: Annotated[tuple[ModelRuns, ...], Len(1, MAX_NETWORKS)]
    """In the order asked for."""
    seeds_changed: bool = False
    """Whether two or more other seeds, some of these among them, were asked for before: as their
    verdicts could be seen, the chance of a false verdict is now more than 5 %."""
    narrowed_from: Count | None = None
    """How many networks an earlier comparison had that held all of these and others, on common
    seeds; null if no such comparison is in the user's state folder."""
    verdicts: tuple[Verdict, ...] = ()
    """One for each pair of networks with two common seeds or more, or with a look."""
    baseline: Baseline | None = None
    settling: Settling | None = None
    """Null for a number of seeds that was fixed in advance."""
    margin: Fraction | None = None
    """Networks whose accuracies differ by less are equivalent."""
    wall_seconds: Duration | None = None
    """Duration of the comparison so far, since it was last started; null for merged exports."""

    @property
    def seed_ranges(self) -> list[range]:
        """The seeds as ranges without gaps, such as 0 to 4 and 10 to 14."""
        known = set(self.seeds)
        starts = [seed for seed in self.seeds if seed - 1 not in known]
        ends = [seed + 1 for seed in self.seeds if seed + 1 not in known]
        return list(map(range, starts, ends))

    @property
    def number_of_looks(self) -> int:
        """The number of looks at each pair: 1 for a fixed number of seeds."""
        return len(self.settling.looks) if self.settling else 1


@dataclass(frozen=True)
class EvaluatedCheckpoint:
    """One checkpoint of a comparison without training."""

    name: str
    model: str
    seed: int
    parameters: int
    total_parameters: int
    test_accuracy: float
    test_loss: float
    sampling_error: float


@dataclass(frozen=True)
class Disagreement:
    """Two checkpoints on the same images, and the exact McNemar test of their difference.

    `difference` is first minus second; `low` and `high` are a simultaneous 95 % confidence interval
    of it on new images, which leaves out zero exactly if one is `better`. `adjusted_p` is the
    test's p-value times the number of pairs.
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
    checkpoints: tuple[EvaluatedCheckpoint, ...]
    disagreements: tuple[Disagreement, ...]
    disputed: tuple[DisputedImage, ...]
