"""How a network is trained."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from annotated_types import Interval

from mnist_cli.schema.augmentation import NO_AUGMENTATION, Augmentation
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


class Optimizer(StrEnum):
    """What changes the weights; training/optimizers.py has their sources."""

    ADAM = "adam"
    ADAMW = "adamw"
    SGD = "sgd"


class Schedule(StrEnum):
    """How the learning rate changes during training."""

    CONSTANT = "constant"
    ONE_CYCLE = "one-cycle"
    """Falls linearly to zero (Smith and Topin 2018, https://arxiv.org/abs/1708.07120)."""
    COSINE = "cosine"
    """Falls to zero as half a cosine (Loshchilov and Hutter 2017,
    https://arxiv.org/abs/1608.03983)."""


Epochs = Positive
BatchSize = Annotated[int, Interval(ge=1, le=MAX_BATCH_SIZE)]
LearningRate = Annotated[float, Interval(gt=0, le=1e99)]
Momentum = Annotated[float, Interval(ge=0, lt=1)]
WeightDecay = Annotated[float, Interval(ge=0, le=1e99)]
Warmup = Annotated[float, Interval(ge=0, lt=1)]
Dropout = Annotated[float, Interval(ge=0, le=1e99)]


@dataclass(frozen=True)
class Settings(Record):
    """The settings of a training that the user chooses; the recipe decides those that are None."""

    recipe: Recipe = Recipe.ARTICLE
    epochs: Epochs | None = None
    batch_size: BatchSize | None = None
    lr: LearningRate | None = None
    optimizer: Optimizer | None = None
    momentum: Momentum | None = None
    nesterov: bool | None = None
    weight_decay: WeightDecay | None = None
    schedule: Schedule | None = None
    warmup: Warmup | None = None
    dropout: Dropout | None = None
    augment: Augmentation | None = None
    shuffle_pixels: bool | None = None
    precision: Precision = Precision.AUTO


@dataclass(frozen=True)
class Protocol(Record):
    """How a network is trained. The defaults are the article's: Adam, 5 epochs, batch 64."""

    recipe: Recipe = Recipe.ARTICLE
    epochs: Epochs = 5
    batch_size: BatchSize = 64
    lr: LearningRate = 1e-3
    """The learning rate, or its peak if it changes."""
    optimizer: Optimizer = Optimizer.ADAM
    beta2: Annotated[float, Interval(ge=0, lt=1)] = 0.999
    """Adam's decay rate for the mean of the squared gradients."""
    momentum: Momentum = 0.0
    """The momentum of SGD."""
    nesterov: bool = False
    """Whether it is Nesterov's momentum."""
    weight_decay: WeightDecay = 0.0
    """Added to the gradient times the weight; AdamW subtracts it times rate and weight instead."""
    schedule: Schedule = Schedule.CONSTANT
    warmup: Warmup = 0.0
    """The fraction of all steps for which the learning rate rises linearly from zero."""
    dropout: Dropout = 1.0
    """A factor on the network's own dropout probabilities."""
    augment: Augmentation = NO_AUGMENTATION
    """Random changes of the training images, new in each epoch."""
    shuffle_pixels: bool = False
    """Whether the pixels of all images are in one fixed random order."""

    @property
    def depends_on_epochs(self) -> bool:
        """Whether the rate of a step depends on the number of epochs."""
        return self.schedule != Schedule.CONSTANT or self.warmup > 0
