"""What each command is asked to do: options, their defaults and their limits.

Every default stands here once; the command line reads it from these classes.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mnist_cli.errors import UsageError
from mnist_cli.registry import ModelSpec

DEVICE_FORM = re.compile(r"auto|cpu|mps|xpu|cuda(:\d{1,3})?")
PICTURE_SUFFIXES = (".png", ".svg", ".pdf")
NUM_CLASSES = 10
MAX_BATCH_SIZE = 1_000_000
MAX_SEEDS = 1000
STDOUT = Path("-")


def check_batch_size(batch_size: int) -> None:
    """Raise UsageError unless `batch_size` is one that may fit in a memory."""
    if not 1 <= batch_size <= MAX_BATCH_SIZE:
        raise UsageError(f"--batch-size must be from 1 to {MAX_BATCH_SIZE:,}, not {batch_size}")


def check_seed(seed: int) -> None:
    """Raise UsageError unless `seed` is one that every generator takes."""
    if not 0 <= seed < 2**63:
        raise UsageError(f"--seed must be from 0 to 2**63 - 1, not {seed}")


def check_device(device: str) -> None:
    """Raise UsageError unless `device` has a known form; whether it exists is asked later."""
    if not DEVICE_FORM.fullmatch(device):
        raise UsageError(f"--device {device} is not one of auto, cpu, cuda, cuda:N, mps, xpu")


def check_output(path: Path, option: str = "--output") -> None:
    """Raise UsageError where `path` cannot become a regular file, before any work is done."""
    folder = path.resolve().parent
    if not folder.is_dir():
        raise UsageError(
            f"cannot write {path}: the folder {folder} does not exist; create it first"
        )
    if not os.access(folder, os.W_OK):
        raise UsageError(f"cannot write {path}: no permission in {folder}; choose another {option}")
    if path.exists() and not path.is_file():
        raise UsageError(f"cannot write {path}: it is not a regular file; choose another {option}")


def check_picture(path: Path, option: str) -> None:
    """Raise UsageError unless `path` can become a picture in a format we write."""
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise UsageError(f"{option} {path} must end in .png, .svg or .pdf")
    check_output(path, option)


def check_fraction(value: float | None, option: str) -> None:
    """Raise UsageError unless an accuracy is a fraction; 97 for 0.97 would never be met."""
    if value is not None and not 0 <= value <= 1:
        raise UsageError(f"{option} is a fraction from 0 to 1, not {value}")


class DatasetName(StrEnum):
    """What `--dataset` takes; AUTO is resolved by `datasets.load`."""

    AUTO = "auto"
    MNIST = "mnist"
    MNIST5K = "mnist5k"
    FASHION_MNIST = "fashion-mnist"
    KMNIST = "kmnist"


class Split(StrEnum):
    """Which part of a dataset."""

    TRAIN = "train"
    TEST = "test"


class Precision(StrEnum):
    """The number format of a training step; weights and evaluation are always float32."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"


class Recipe(StrEnum):
    """Named protocols; see recipes.py."""

    ARTICLE = "article"
    FAST = "fast"


class Schedule(StrEnum):
    """How the learning rate moves through a training."""

    CONSTANT = "constant"
    ONE_CYCLE = "one-cycle"


@dataclass(frozen=True)
class DataOptions:
    """Which dataset, and the folder that holds or will hold it (None: the user cache)."""

    dataset: DatasetName = DatasetName.AUTO
    data_dir: Path | None = None


@dataclass(frozen=True)
class Protocol:
    """How a network is trained. The defaults are the article's: Adam, 5 epochs, batch 64.

    `lr` is the rate throughout with the constant schedule, and the peak with the one-cycle one,
    which rises in a straight line for the fraction `warmup` of all steps and then falls to zero
    (Smith and Topin 2018, https://arxiv.org/abs/1708.07120). `beta2` is Adam's, and `dropout` a
    factor on the network's own dropout probabilities.

    Raises:
        UsageError: a value is out of range; the message names the option.
    """

    recipe: Recipe = Recipe.ARTICLE
    epochs: int = 5
    batch_size: int = 64
    lr: float = 1e-3
    optimizer: str = "adam"
    beta2: float = 0.999
    schedule: Schedule = Schedule.CONSTANT
    warmup: float = 0.0
    dropout: float = 1.0

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise UsageError(f"--epochs must be at least 1, not {self.epochs}")
        if not 0 < self.lr < float("inf"):
            raise UsageError(f"--lr must be a positive number, not {self.lr}")
        check_batch_size(self.batch_size)


@dataclass(frozen=True)
class TrainOptions:
    """`train`: one network, one seed, one checkpoint."""

    model: ModelSpec
    protocol: Protocol = Protocol()
    data: DataOptions = DataOptions()
    device: str = "auto"
    precision: Precision = Precision.AUTO
    seed: int = 0
    output: Path | None = None
    resume: Path | None = None

    def __post_init__(self) -> None:
        check_device(self.device)
        check_seed(self.seed)
        check_output(self.checkpoint)

    @property
    def checkpoint(self) -> Path:
        """Where the result goes: --output, else the resumed file, else MODEL.safetensors."""
        return self.output or self.resume or Path(f"{self.model.short_name}.safetensors")


@dataclass(frozen=True)
class EvalOptions:
    """`eval`: a checkpoint on a test set. `model` is needed for custom networks only."""

    checkpoint: Path
    model: ModelSpec | None = None
    data: DataOptions = DataOptions()
    device: str = "auto"

    def __post_init__(self) -> None:
        check_device(self.device)


@dataclass(frozen=True)
class SummaryOptions:
    """`summary`: one network layer by layer, or a line for each registered one."""

    model: ModelSpec | None = None
    batch_size: int = Protocol.batch_size

    def __post_init__(self) -> None:
        check_batch_size(self.batch_size)


@dataclass(frozen=True)
class CompareOptions:
    """`compare`: several networks, each with its protocol, trained with the same `seeds` seeds.

    With a `target`, each is trained until it has that test accuracy, for its epochs at most.
    """

    models: Mapping[ModelSpec, Protocol]
    data: DataOptions = DataOptions()
    device: str = "auto"
    precision: Precision = Precision.AUTO
    seed: int = 0
    seeds: int = 1
    target: float | None = None
    journal: Path | None = None
    baseline: Path | None = None

    def __post_init__(self) -> None:
        check_device(self.device)
        check_seed(self.seed)
        if not 1 <= self.seeds <= MAX_SEEDS:
            raise UsageError(f"--seeds must be from 1 to {MAX_SEEDS:,}, not {self.seeds}")
        if self.seed + self.seeds > 2**63:
            raise UsageError("--seed and --seeds together must stay below 2**63")
        check_fraction(self.target, "--target")
        if self.baseline is not None and self.seeds < 2:
            raise UsageError("--baseline needs --seeds 2 or more, to tell a change from luck")
        if self.journal is not None:
            if self.journal == STDOUT:
                raise UsageError("--journal needs a file, not standard output")
            check_output(self.journal, "--journal")


@dataclass(frozen=True)
class CheckpointsOptions:
    """`compare` with checkpoints: `models` are the codes of the custom networks among them.

    `show_disagreements` is how many of the disputed images to choose, by `seed`.
    """

    checkpoints: tuple[Path, ...]
    models: tuple[ModelSpec, ...] = ()
    data: DataOptions = DataOptions()
    device: str = "auto"
    seed: int = 0
    show_disagreements: int = 0

    def __post_init__(self) -> None:
        check_device(self.device)
        check_seed(self.seed)
        if len(set(self.checkpoints)) < max(2, len(self.checkpoints)):
            raise UsageError("name two or more checkpoints to compare, each once")


@dataclass(frozen=True)
class GateOptions:
    """What a comparison must reach; None where nothing is asked."""

    min_accuracy: float | None = None
    max_seconds: float | None = None
    fail_on_regression: bool = False

    def __post_init__(self) -> None:
        check_fraction(self.min_accuracy, "--min-accuracy")
        if self.max_seconds is not None and not 0 < self.max_seconds < float("inf"):
            raise UsageError(f"--max-seconds must be a positive number, not {self.max_seconds}")


@dataclass(frozen=True)
class ExportOptions:
    """Files that a comparison is written to; the path `-` is standard output."""

    json: Path | None = None
    csv: Path | None = None
    markdown: Path | None = None
    plot: Path | None = None

    def __post_init__(self) -> None:
        exports = {
            "--export-json": self.json,
            "--export-csv": self.csv,
            "--export-markdown": self.markdown,
        }
        for option, path in exports.items():
            if path is not None and path != STDOUT:
                check_output(path, option)
        if self.plot is not None:
            check_picture(self.plot, "--plot")
        if len(set(self._places)) < len(self._places):
            raise UsageError("two exports cannot go to the same place")

    def check_apart(self, path: Path | None, option: str) -> None:
        """Raise UsageError where an export would take the place of a file that is read."""
        if path is not None and path.resolve() in self._places:
            raise UsageError(f"an export cannot replace {path}, the file of {option}")

    @property
    def _places(self) -> list[Path]:
        paths = (self.json, self.csv, self.markdown, self.plot)
        return [path.resolve() for path in paths if path is not None]

    @property
    def to_stdout(self) -> bool:
        """Whether standard output is taken by an export."""
        return STDOUT in {self.json, self.csv, self.markdown}


@dataclass(frozen=True)
class SamplesOptions:
    """`show-samples`: some images, with predictions when a checkpoint is given.

    `split` None means the training images, as in the article, or the test images when a
    checkpoint is to be judged on them.
    """

    count: int = 9
    split: Split | None = None
    label: int | None = None
    seed: int = 0
    output: Path | None = None
    checkpoint: Path | None = None
    errors: bool = False
    model: ModelSpec | None = None
    data: DataOptions = DataOptions()
    device: str = "auto"

    def __post_init__(self) -> None:
        check_device(self.device)
        check_seed(self.seed)
        if self.count < 1:
            raise UsageError(f"--count must be at least 1, not {self.count}")
        if self.label is not None and not 0 <= self.label < NUM_CLASSES:
            raise UsageError(f"--label must be a class from 0 to 9, not {self.label}")
        if self.checkpoint is None and (self.errors or self.model):
            option = "--errors" if self.errors else "--model"
            raise UsageError(f"{option} needs --checkpoint FILE, the network to look at")
        if self.output is not None:
            check_picture(self.output, "--output")
