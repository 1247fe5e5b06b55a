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
GRID_SUFFIXES = (".png", ".svg", ".pdf")
NUM_CLASSES = 10
MAX_BATCH_SIZE = 1_000_000


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


def check_output(path: Path) -> None:
    """Raise UsageError where `path` cannot become a regular file, before any work is done."""
    folder = path.resolve().parent
    if not folder.is_dir():
        raise UsageError(
            f"cannot write {path}: the folder {folder} does not exist; create it first"
        )
    if not os.access(folder, os.W_OK):
        raise UsageError(f"cannot write {path}: no permission in {folder}; choose another --output")
    if path.exists() and not path.is_file():
        raise UsageError(f"cannot write {path}: it is not a regular file; choose another --output")


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
    """`compare`: several networks, each with its protocol."""

    models: Mapping[ModelSpec, Protocol]
    data: DataOptions = DataOptions()
    device: str = "auto"
    precision: Precision = Precision.AUTO
    seed: int = 0

    def __post_init__(self) -> None:
        check_device(self.device)
        check_seed(self.seed)


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
            if self.output.suffix.lower() not in GRID_SUFFIXES:
                raise UsageError(f"--output {self.output} must end in {', '.join(GRID_SUFFIXES)}")
            check_output(self.output)
