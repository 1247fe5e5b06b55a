"""The results of the commands; the field names are the keys of the JSON output.

Accuracies are fractions, durations are seconds, losses are mean cross-entropies in nats.
"""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval

from mnist_cli.schema.augmentation import Augmentation
from mnist_cli.schema.datasets import DIGITS, DatasetInfo
from mnist_cli.schema.protocol import Protocol
from mnist_cli.schema.record import Count, Positive, Record

Fraction = Annotated[float, Interval(ge=0, le=1)]
Seconds = Annotated[float, Interval(ge=1e-9, le=1e12)]
Loss = Annotated[float, Interval(ge=-1e99, le=1e99)]  # float32 ends at 3.4e38


@dataclass(frozen=True)
class Environment(Record):
    """What may change the last bits of a result, or its speed."""

    device: str
    processor: str
    threads: Positive
    cpu_capability: str
    torch: str
    python: str
    platform: str
    mnist_cli: str

    @property
    def deciding(self) -> dict[str, str | int]:
        """What must be equal for all runs of a comparison, because it decides their last bits.

        Devices of the same type count as equal.
        """
        return {
            "device": self.device.partition(":")[0],
            "threads": self.threads,
            "torch": self.torch,
            "mnist_cli": self.mnist_cli,
        }


@dataclass(frozen=True)
class Evaluation:
    """Exact means over all `num_samples` images; `confusion_matrix[truth][prediction]` counts."""

    test_accuracy: float
    test_loss: float
    num_samples: int
    confusion_matrix: tuple[tuple[int, ...], ...]
    balanced_accuracy: float


@dataclass(frozen=True)
class EpochResult(Record):
    """One epoch: `train_loss` is the mean over its images; the test figures are those after it."""

    epoch: Positive
    train_loss: Loss
    test_loss: Loss
    test_accuracy: Fraction
    train_seconds: Seconds


@dataclass(frozen=True)
class TrainResult(Record):
    """One network trained with one seed: `train` prints it, and a checkpoint includes it.

    `tensors_sha256` covers weights and optimizer state, and `train_seconds` only training steps;
    `precision` is fp32 or bf16.
    """

    model: str
    parameters: Positive
    """Trainable parameters."""
    dataset: DatasetInfo
    environment: Environment
    protocol: Protocol
    code: dict[str, str]
    """SHA-256 of each file that a custom network consists of; empty for the article's."""
    precision: str
    seed: Count
    epochs: tuple[EpochResult, ...]
    test_accuracy: Fraction
    test_loss: Loss
    train_seconds: Seconds
    tensors_sha256: str
    checkpoint: str
    precision_reason: str = ""
    """Why this number format was chosen; empty if an earlier version trained."""
    balanced_accuracy: Fraction | None = None
    """Mean recall of the classes that have test images; null if an earlier version trained."""


@dataclass(frozen=True)
class ClassResult:
    """One class in a test set; a ratio without a denominator is None."""

    label: int
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True, kw_only=True)
class EvalResult(TrainResult):
    """A checkpoint on a test set: the training record, with new test figures.

    `dataset` and `environment` are those of the evaluation; `trained_on` names the dataset, and
    `trained_in` describes the environment, of the training. `sampling_error` is half the 95 %
    Wilson interval of the accuracy, due to the number of test images.
    """

    trained_on: str
    trained_in: Environment
    num_samples: int
    per_class: tuple[ClassResult, ...]
    confusion_matrix: tuple[tuple[int, ...], ...]
    sampling_error: float


@dataclass(frozen=True)
class LayerSummary:
    """One layer of a network; `output_size` includes the batch.

    `parameters` are the trainable ones. For a scripted network, sizes are empty and `mult_adds` is
    None.
    """

    name: str
    type: str
    output_size: tuple[int, ...]
    parameters: int
    mult_adds: int | None


@dataclass(frozen=True)
class Stage:
    """One or more operations on an image, and the size of their output without the batch.

    `operations` have torch's names: `Conv2d 3×3`, `ReLU`. The first is a layer with weights or a
    kernel, or changes the size; the others keep it. `parameters` are the trainable ones;
    `reuses_weights` says that an earlier stage has counted them.
    """

    operations: tuple[str, ...]
    output_size: tuple[int, ...]
    kernel_size: tuple[int, ...] = ()
    parameters: int = 0
    reuses_weights: bool = False


@dataclass(frozen=True)
class ModelSummary:
    """A network's size for one batch; a megabyte is 10**6 bytes, as in torchinfo.

    `parameters` are the trainable ones, `total_parameters` all; a tensor that two layers share
    counts once. `mult_adds` and the memory of activations are None if they cannot be counted.
    `stages` are what a diagram shows, the input first; only `summary` finds them.
    """

    model: str
    batch_size: int
    parameters: int
    total_parameters: int
    mult_adds: int | None
    input_megabytes: float
    forward_backward_megabytes: float | None
    parameter_megabytes: float
    total_megabytes: float | None
    layers: tuple[LayerSummary, ...]
    stages: tuple[Stage, ...] = ()

    @property
    def mult_adds_per_image(self) -> float | None:
        """The multiply-adds of one image, which decide the precision."""
        return None if self.mult_adds is None else self.mult_adds / self.batch_size


@dataclass(frozen=True)
class SummaryResult:
    """The sizes of one network or of all."""

    models: tuple[ModelSummary, ...]


@dataclass(frozen=True)
class ShownImage:
    """One image by its position in the split, with its label and the network's prediction."""

    index: int
    label: int
    prediction: int | None = None


@dataclass(frozen=True)
class SamplesResult:
    """The chosen images, in the order in which they are drawn."""

    dataset: DatasetInfo
    split: str
    samples: tuple[ShownImage, ...]
    checkpoint: str | None
    output: str | None
    seed: int
    augmentation: Augmentation


LOW_CONFIDENCE = 0.9
"""A lower probability is called low. With the article's cnn, 4 % of MNIST's test images have a
lower one, with its mlp 6 %; among them are three quarters of the wrong predictions."""


@dataclass(frozen=True)
class PictureResult:
    """The prediction for a picture, or in `failure` the reason why there is none.

    `probabilities` are those of the classes, the softmax of the network's outputs.
    """

    picture: str
    prediction: int | None = None
    probabilities: tuple[float, ...] = ()
    low_confidence: bool | None = None
    failure: str | None = None


@dataclass(frozen=True)
class PredictResult:
    """A checkpoint on pictures, in the order of the command line; folders are sorted."""

    checkpoint: str
    model: str
    trained_on: str
    pictures: tuple[PictureResult, ...]
    classes: tuple[str, ...] = DIGITS


@dataclass(frozen=True)
class StageOutput:
    """What a stage makes of an image: the size of its output, and its least and largest value."""

    operations: tuple[str, ...]
    output_size: tuple[int, ...]
    least: float
    most: float


@dataclass(frozen=True)
class FeaturesResult:
    """What a network makes of one image: a picture file, or a test image with index and label.

    `label` and `prediction` are positions in `classes`. `occlusion` has a value for each pixel, row
    by row: how much the probability of `prediction` falls when a square around it is black.
    """

    checkpoint: str
    model: str
    image: str
    index: int | None
    label: int | None
    shift: int
    prediction: int
    probabilities: tuple[float, ...]
    classes: tuple[str, ...]
    first_layer: str
    weights_size: tuple[int, ...] | None
    """Number, height and width of the images that the first layer's weights make, if they do."""
    stages: tuple[StageOutput, ...]
    occlusion: tuple[tuple[float, ...], ...]
    output: str | None


@dataclass(frozen=True)
class ExportResult:
    """A network in a file for other programs.

    `max_difference` is the largest difference between logits of the file and of the network over
    `num_samples` test images, for which both predict the same classes. Both fields are None if no
    installed package can run the file.
    """

    checkpoint: str
    model: str
    output: str
    num_bytes: int
    dataset: DatasetInfo
    num_samples: int | None
    max_difference: float | None
