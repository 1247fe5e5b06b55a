"""The options of each command, with their defaults."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mnist_cli.schema.augmentation import NO_AUGMENTATION, Augmentation
from mnist_cli.schema.comparison import Settling
from mnist_cli.schema.datasets import DatasetName, Split
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.protocol import Precision, Protocol
from mnist_cli.system.files import absolute

VAL = -1.0  # as a number of images to hold out: the validation images
AUTO = 0  # as a number: as many seeds as needed, as many jobs as fit
MAX_SEED = 2**63 - 1  # of torch's generators
MAX_SEEDS = 1000
MAX_THREADS = 1024
MAX_JOBS = 1024
LEAST_RUNS = 5  # of a network, now and in a baseline; with fewer, Welch's test is too liberal
STDOUT = Path("-")
STDIN = Path("-")


@dataclass(frozen=True)
class DataOptions:
    """A dataset, and the folder to read or download it (None: the user cache).

    `dataset` is the path of a person's own images, or the name of a published dataset. `hold_out`
    training images replace the test images; a value below 1 is a fraction of them, and VAL means
    the validation images of the dataset. `as_digits` brings own pictures to MNIST's form.
    """

    dataset: DatasetName | Path = DatasetName.AUTO
    data_dir: Path | None = None
    hold_out: float | None = None
    as_digits: bool = False

    @property
    def name(self) -> str:
        """The name in results: `mnist`, or of own images `ours/` or `ours.npz`."""
        if not isinstance(self.dataset, Path):
            return str(self.dataset)
        path = Path(os.path.normpath(absolute(self.dataset)))
        return f"{path.name}/" if path.is_dir() else path.name


@dataclass(frozen=True)
class TrainOptions:
    """`train`: one network, one seed, one checkpoint."""

    model: ModelSpec
    protocol: Protocol
    data: DataOptions = DataOptions()
    device: str = "auto"
    precision: Precision = Precision.AUTO
    seed: int = 0
    output: Path | None = None
    resume: Path | None = None
    threads: int | None = None

    @property
    def checkpoint(self) -> Path:
        """The file to write: --output, else the resumed file, else MODEL.safetensors."""
        return self.output or self.resume or Path(f"{self.model.short_name}.safetensors")


@dataclass(frozen=True)
class Entry:
    """A network of a comparison with its protocol; `varied` are the settings of `--vary`."""

    model: ModelSpec
    protocol: Protocol
    precision: Precision = Precision.AUTO
    varied: Mapping[str, str | bool | int | float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name in all outputs: `cnn`, or `cnn lr=0.003`."""
        settings = (f"{key}={written(value)}" for key, value in self.varied.items())
        return " ".join([self.model.name, *settings])


def written(value: object) -> str:
    """A value of a setting as text: on or off, or with ten digits at most."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class ExecutionOptions:
    """What trains the runs of a comparison, each with `threads`.

    With one of `jobs`, this process trains; more `jobs` are worker processes (AUTO: as many as
    fit). `cluster` is the address or file of a Dask scheduler, whose workers train instead. A run
    that takes longer than `run_timeout` seconds is killed, so it needs a worker process.
    """

    jobs: int = 1
    threads: int | None = None
    cluster: str | None = None
    run_timeout: float | None = None

    @property
    def in_process(self) -> bool:
        """Whether this process trains."""
        return self.jobs == 1 and self.cluster is None and self.run_timeout is None

    @property
    def run_threads(self) -> int | None:
        """Threads of a training step; None is the number of cores."""
        several = self.jobs != 1 or self.cluster is not None
        return self.threads or (1 if several else None)


@dataclass(frozen=True)
class GateOptions:
    """The thresholds of a comparison, if any; accuracies are fractions."""

    min_accuracy: float | None = None
    max_seconds: float | None = None
    fail_on_regression: bool = False


@dataclass(frozen=True)
class ExportOptions:
    """The files to which a comparison is written; the path `-` is standard output."""

    json: Path | None = None
    csv: Path | None = None
    markdown: Path | None = None
    latex: Path | None = None
    plot: Path | None = None
    report: Path | None = None

    @property
    def num_to_stdout(self) -> int:
        """How many exports go to standard output."""
        return [self.json, self.csv, self.markdown, self.latex].count(STDOUT)


@dataclass(frozen=True)
class CompareOptions:
    """`compare` with entries, trained with the same seeds from `seed` on, or with exports.

    There are `seeds` seeds, or with AUTO as many as needed to `settle` the entries, which takes
    `time_limit` seconds at most. With a `target`, a run stops at that test accuracy. Entries whose
    accuracies differ by less than `margin`, a fraction, are equivalent; the best is found if no
    other is better by more.
    """

    entries: tuple[Entry, ...] = ()
    data: DataOptions = DataOptions()
    device: str = "auto"
    seed: int = 0
    seeds: int = 1
    settle: Settling | None = None
    time_limit: float | None = None
    margin: float | None = None
    target: float | None = None
    journal: Path | None = None
    baseline: Path | None = None
    execution: ExecutionOptions = ExecutionOptions()
    gates: GateOptions = GateOptions()
    files: ExportOptions = ExportOptions()


@dataclass(frozen=True)
class CheckpointsOptions:
    """`compare` with checkpoints; `models` are the custom networks among them.

    `show_disagreements` is the number of disputed images to choose, by `seed`.
    """

    checkpoints: tuple[Path, ...]
    models: tuple[ModelSpec, ...] = ()
    data: DataOptions = DataOptions()
    device: str = "auto"
    seed: int = 0
    show_disagreements: int = 0


@dataclass(frozen=True)
class SamplesOptions:
    """`show-samples`: some images, with predictions if there is a checkpoint.

    If `split` is None, the images are training images, or with a checkpoint test images. With
    `augmentation`, they are training images as in epoch 1.
    """

    count: int = 9
    split: Split | None = None
    label: str | None = None
    augmentation: Augmentation = NO_AUGMENTATION
    seed: int = 0
    output: Path | None = None
    checkpoint: Path | None = None
    errors: bool = False
    model: ModelSpec | None = None
    data: DataOptions = DataOptions()
    device: str = "auto"

    @property
    def shown_split(self) -> Split:
        """The split to show."""
        return self.split or (Split.TEST if self.checkpoint else Split.TRAIN)


@dataclass(frozen=True)
class FeaturesOptions:
    """`show-features`: a checkpoint and one image, a `picture` file or the test image `index`.

    A picture is converted to MNIST's form unless it is `raw`. The image is moved by `shift` pixels
    to the right.
    """

    checkpoint: Path
    picture: Path | None = None
    index: int = 0
    raw: bool = False
    shift: int = 0
    output: Path | None = None
    model: ModelSpec | None = None
    data: DataOptions = DataOptions()
    device: str = "auto"
