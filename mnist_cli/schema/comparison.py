"""The result of `compare`; results.py has those of the other commands.

The field names are the keys of the JSON export, and the docstrings are their descriptions in its
JSON schema (`python -m mnist_cli.schema`). `SCHEMA_VERSION` increases if a field is removed or
changes its meaning, but not if one is added. Accuracies are fractions, durations are seconds. The
limits reject files with more networks or runs, or larger numbers, than a comparison can have.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from typing import Annotated, Literal

from annotated_types import Ge, Interval, Len

from mnist_cli.schema.datasets import DatasetInfo
from mnist_cli.schema.protocol import Protocol
from mnist_cli.schema.record import Count, Positive, Record, Sealed
from mnist_cli.schema.results import Environment, EpochResult, Fraction, Loss, Seconds

SCHEMA_VERSION: Literal[2] = 2
ALPHA = 0.05  # the chance of any false verdict
CONFIDENCE = 1 - ALPHA
LOOKS = (4, 5, 7, 10, 14, 20, 28, 40, 56, 80)  # numbers of seeds at which pairs may be looked at
MAX_NETWORKS = 256
MAX_RUNS = 2000  # of a network, in merged exports

Duration = Annotated[float, Interval(ge=0, le=1e12)]


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
    """The maximum number of seeds is unlikely to decide the pair."""
    OPEN = "open"


SETTLED = frozenset({Outcome.BETTER, Outcome.EQUIVALENT})


@dataclass(frozen=True)
class Estimate(Record):
    """A mean with its interval."""

    mean: float
    half_width: Annotated[float, Ge(0)] | None
    """Half the width of the two-sided Student interval; null if n is 1, and for figures of one
    network if the number of seeds depends on the results."""
    n: Positive
    """Number of values."""
    confidence: Fraction
    """Confidence level of this interval alone: 1 - 0.05 / m for m simultaneous intervals."""


@dataclass(frozen=True)
class Run(Record):
    """One network trained with one seed."""

    seed: Count
    """Decides the initial weights and the order of the images."""
    epochs: Positive
    """Passes over the training images; fewer than in the protocol if the run reached the target."""
    test_accuracy: Fraction
    """Fraction of test images that the network classifies correctly after the last epoch."""
    test_loss: Loss
    """Mean cross-entropy on the test images, in nats."""
    train_seconds: Seconds
    """Duration of the training steps, without loading, warm-up and evaluation."""
    reached_target: bool | None = None
    """Whether the accuracy reached `target`; null without one."""
    history: tuple[EpochResult, ...] = ()
    """Losses, accuracy and training time of each epoch."""
    mistakes: str | None = None
    """The wrong answers: Base64 of a zlib stream with a byte for each test image, in their order:
    10 * label + answer, or 255 for a right answer. If there are K classes instead of 10: K * label
    + answer; with more than 15, in four bytes, the lowest first, and 4294967295 if right."""
    cpu_seconds: Duration | None = None
    """CPU time of all threads of the process during the training steps; null if unknown."""
    threads: Positive | None = None
    """Threads of a training step, whose number changes the last bits; null if unknown."""
    host: str = ""
    """Name of the machine."""
    processor: str = ""
    runs_at_once: Positive = 1
    """The most runs that the machine could train at the same time, this one included. Only times of
    runs with 1 count. Other programs, and workers of other schedulers, are unknown."""
    balanced_accuracy: Fraction | None = None
    """Mean over the classes of the fraction of their test images that is classified correctly."""


@dataclass(frozen=True)
class Aggregate(Record):
    """Figures over the runs of one network."""

    test_accuracy: Estimate
    """Over the seeds: the interval says nothing about other test images."""
    test_loss: Estimate
    train_seconds: Estimate | None
    """Mean over the seeds; with a target, over the seeds that reached it, if any did. All times are
    of runs that had the same machine to themselves; null if there are none."""
    train_seconds_median: Seconds | None
    train_seconds_min: Seconds | None
    train_seconds_max: Seconds | None
    images_per_second: float | None
    """Training images per second, median over the seeds."""
    sampling_error: float
    """Half the 95 % Wilson interval of the accuracy, due to the number of test images."""
    outlier_seeds: tuple[Count, ...]
    """Seeds whose time is more than 14.826 median absolute deviations from the median."""
    pareto_parameters: bool | None = None
    """Whether it is Pareto-optimal by mean accuracy and all parameters; null with a target or if
    there is no other network with figures."""
    pareto_seconds: bool | None = None
    """Whether it is by mean accuracy and median time; null with a target or an unknown time."""
    accuracy_deviation: float | None = None
    """Standard deviation of the accuracy over the seeds; null for one seed."""
    low_seeds: tuple[Count, ...] = ()
    """Seeds whose accuracy is below the median by at least 22 median absolute deviations and three
    times `sampling_error`; empty for fewer than four seeds."""
    balanced_accuracy: Estimate | None = None
    """Null if a run does not have it."""

    @property
    def times(self) -> tuple[float, float, float] | None:
        """Median, least and most seconds of training; None if they are unknown."""
        mid, low, high = self.train_seconds_median, self.train_seconds_min, self.train_seconds_max
        return None if mid is None or low is None or high is None else (mid, low, high)


@dataclass(frozen=True)
class ModelRuns(Record):
    """One row of a comparison: a network with all its runs."""

    model: Annotated[str, Len(1, 10_000)]
    """Name of the network, with the varied settings: `cnn`, or `cnn lr=0.003`."""
    parameters: Count | None
    """Trainable parameters; null if the network could not be built."""
    total_parameters: Count | None
    """All parameters, frozen ones included."""
    mult_adds: Count | None
    """Multiply-adds of one forward pass of 64 images, as torchinfo counts them; null if it cannot
    count them, as in a scripted network."""
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
    varied: dict[str, str | bool | int | float] = field(default_factory=dict)
    """The settings of --vary, by their names on the command line."""
    code: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file that a custom network consists of; empty for the article's."""
    precision_reason: str = ""
    """Why this number format was chosen; empty in exports of earlier versions."""
    settled: bool | None = None
    """Whether each judged pair with this network has a verdict, or with `find_best` whether it is
    dropped or the best is found; null for a fixed number of seeds."""

    @property
    def always_reached_target(self) -> bool:
        """Whether it has runs and each reached the target."""
        return bool(self.runs) and all(run.reached_target for run in self.runs)

    def differs_in_one(self, other: "ModelRuns") -> bool:
        """Whether the two differ only in the network, or only in one setting of --vary."""
        settings = [self.varied.get(key) != other.varied.get(key) for key in self.varied]
        return sum([self.network != other.network, *settings]) <= 1


@dataclass(frozen=True)
class Settling(Record):
    """How seeds are added until each pair of networks is settled, or the best is found."""

    max_seeds: Annotated[int, Interval(ge=LOOKS[0], le=MAX_RUNS)]
    """The maximum number of seeds of a network."""
    looks: Annotated[tuple[Annotated[int, Interval(ge=2, le=MAX_RUNS)], ...], Len(1, 20)] = LOOKS
    """The numbers of seeds at which a pair may be looked at. The level of each test is divided by
    how many there are, whether or not a pair reaches them."""
    find_best: bool = False
    """Whether only the best network is looked for: there are `contenders` and no verdicts."""

    @property
    def allowed_looks(self) -> tuple[int, ...]:
        """The looks that need no more seeds than `max_seeds`."""
        return tuple(look for look in self.looks if look <= self.max_seeds)

    @property
    def goal(self) -> str:
        """Until when seeds are added, as text."""
        return "until the best is found" if self.find_best else "until settled"


@dataclass(frozen=True)
class Contender(Record):
    """A network that may be the best, or one that was dropped because it is surely not.

    With 95 % probability, the best is not dropped, and all gaps are right.
    """

    model: str
    n: Count
    """Number of its seeds at the last look; if it was dropped, at that look."""
    gap: Fraction | None
    """The most by which its accuracy may be below that of the best; null if it was dropped."""
    dropped_by: str | None = None
    """The network that was most surely ahead of it when it was dropped."""
    needs_seeds: bool = False
    """Whether further seeds are likely to change what is known of it."""


@dataclass(frozen=True)
class Verdict(Record):
    """Which of two networks is better, if the runs can tell."""

    first: str
    second: str
    measure: Measure
    """What the two are ranked by: the time if there is a target."""
    difference: Estimate
    """Mean over the common seeds of first minus second. The interval excludes zero exactly if one
    is better; a comparison has simultaneous 95 % confidence intervals."""
    adjusted_p: Fraction
    """P-value of the paired t-test, times the number of pairs and of looks (Bonferroni)."""
    better: str | None
    """The better network; null if they are not distinguishable."""
    outcome: Outcome = Outcome.OPEN
    sampling_error: float | None = None
    """Half the 95 % interval of the difference due to the choice of N test images: 1.96 times the
    standard deviation over images of (share of the first's runs that are right minus share of the
    second's), divided by √N. Null with a target, and if a run has no field `mistakes`."""
    near_chance: tuple[str, ...] = ()
    """Which of the two have a run near chance, which no interval allows for."""


@dataclass(frozen=True)
class Change(Record):
    """One network now and in the baseline."""

    model: str
    difference: Estimate | None
    """Mean accuracy now minus then; null if there are too few runs. The intervals of all networks
    are simultaneous 95 % confidence intervals."""
    adjusted_p: Fraction | None
    """P-value of the test, times the number of networks (Bonferroni)."""
    paired: bool
    """Whether the test is the paired t-test of five or more common seeds, else Welch's of all."""
    regressed: bool
    """Whether the accuracy is significantly lower."""
    identical: bool = False
    """Whether each common seed has the same accuracy as then: the interval is then that of rounding
    to one image."""
    near_chance: bool = False
    """Whether a run now or then is near chance, which no interval allows for."""


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

    `environment` describes one of the machines that trained; each run names its own.
    """

    schema_version: Literal[2]
    dataset: DatasetInfo
    environment: Environment
    seeds: Annotated[tuple[Count, ...], Len(1, MAX_RUNS)]
    """The requested seeds; a network with fewer runs is unfinished, or needed fewer for its
    verdicts."""
    target: Fraction | None
    """Test accuracy to train up to."""
    journal: str | None
    """File with the finished runs and the requested seeds; null for merged exports, and if no file
    could be written."""
    models: Annotated[tuple[ModelRuns, ...], Len(1, MAX_NETWORKS)]
    """In the order of the command line."""
    seeds_changed: bool = False
    """Whether the user had requested another set of two or more seeds with some of these: its
    verdicts could be seen, so the chance of a false verdict is more than 5 %."""
    narrowed_from: Count | None = None
    """Number of networks in a previous comparison that had all of these and others, on common
    seeds; null if the user's state folder has no such comparison."""
    verdicts: tuple[Verdict, ...] = ()
    """One for each of `pairs` with two or more common seeds, or with a look."""
    contenders: tuple[Contender, ...] = ()
    """One for each network that did not fail, after the first look with `find_best`."""
    baseline: Baseline | None = None
    settling: Settling | None = None
    """Null for a number of seeds that was fixed in advance."""
    margin: Fraction | None = None
    """Networks whose accuracies differ by less are equivalent."""
    wall_seconds: Duration | None = None
    """Duration of the comparison since its last start; null for merged exports."""

    @property
    def seed_ranges(self) -> list[range]:
        """The seeds as ranges without gaps, such as 0 to 4 and 10 to 14."""
        known = set(self.seeds)
        starts = [seed for seed in self.seeds if seed - 1 not in known]
        ends = [seed + 1 for seed in self.seeds if seed + 1 not in known]
        return list(map(range, starts, ends))

    @property
    def pairs(self) -> list[tuple[ModelRuns, ModelRuns]]:
        """The pairs that are judged: those that differ in one thing; none with `find_best`."""
        if self.settling and self.settling.find_best:
            return []
        return [pair for pair in combinations(self.models, 2) if pair[0].differs_in_one(pair[1])]

    @property
    def remaining(self) -> list[Contender]:
        """The contenders that may be the best, the one with the smallest gap first."""
        return sorted(
            (each for each in self.contenders if not each.dropped_by),
            key=lambda each: each.gap or 0.0,
        )

    @property
    def best(self) -> str | None:
        """The network that is the best, or within the margin of it; None if it is not known."""
        left = self.remaining
        if left and (len(left) == 1 or (left[0].gap or 0.0) < (self.margin or 0.0)):
            return left[0].model
        return None

    def near_chance(self, runs: Iterable[Run]) -> list[Run]:
        """Those of `runs` that may have learned nothing: see `DatasetInfo.near_chance`."""
        return [run for run in runs if run.test_accuracy <= self.dataset.near_chance]

    @property
    def beaten(self) -> set[tuple[str, str]]:
        """Each better network with each worse one.

        If a beats b and b beats c, then a beats c: all intervals hold together.
        """
        worse: dict[str, set[str]] = {model.model: set() for model in self.models}
        for verdict in self.verdicts:
            if verdict.better:
                worse[verdict.better] |= {verdict.first, verdict.second} - {verdict.better}
        for middle, below in worse.items():
            for others in worse.values():
                if middle in others:
                    others.update(below)
        return {(better, name) for better, others in worse.items() for name in others}

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

    `difference` is first minus second; `low` and `high` are its simultaneous 95 % confidence
    interval on new images, which excludes zero exactly if one is `better`. `adjusted_p` is the
    p-value times the number of pairs.
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
