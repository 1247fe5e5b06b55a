"""How a network is trained."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from annotated_types import Interval

from mnist_cli.schema.record import Positive, Record

MAX_BATCH_SIZE = 1_000_000


class Precision(StrEnum):
    """The number format of the training steps; weights and evaluation are always float32."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"


class Recipe(StrEnum):
    """Named protocols; training/recipes.py holds their values."""

    ARTICLE = "article"
    FAST = "fast"


class Schedule(StrEnum):
    """How the learning rate changes during training."""

    CONSTANT = "constant"
    ONE_CYCLE = "one-cycle"


Epochs = Positive
BatchSize = Annotated[int, Interval(ge=1, le=MAX_BATCH_SIZE)]
LearningRate = Annotated[float, Interval(gt=0, le=1e99)]
Dropout = Annotated[float, Interval(ge=0, le=1e99)]


@dataclass(frozen=True)
class Settings(Record):
    """The settings of a training that the user chooses; the recipe decides those that are None."""

    recipe: Recipe = Recipe.ARTICLE
    epochs: Epochs | None = None
    batch_size: BatchSize | None = None
    lr: LearningRate | None = None
    dropout: Dropout | None = None
    precision: Precision = Precision.AUTO


@dataclass(frozen=True)
class Protocol(Record):
    """How a network is trained. The defaults are the article's: Adam, 5 epochs, batch 64."""

    recipe: Recipe = Recipe.ARTICLE
    epochs: Epochs = 5
    batch_size: BatchSize = 64
    lr: LearningRate = 1e-3
    """The constant learning rate, or its peak with the one-cycle schedule."""
    optimizer: str = "adam"
    beta2: Annotated[float, Interval(ge=0, lt=1)] = 0.999
    """Adam's decay rate for the mean of the squared gradients."""
    schedule: Schedule = Schedule.CONSTANT
    """One-cycle: the rate rises linearly for the fraction `warmup` of all steps and then falls to
    zero (Smith and Topin 2018, https://arxiv.org/abs/1708.07120)."""
    warmup: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    dropout: Dropout = 1.0
    """A factor on the network's own dropout probabilities."""
