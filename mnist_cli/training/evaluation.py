"""The accuracy and loss of a network on labelled images, and the figures of each class."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnist_cli.errors import MnistCliError
from mnist_cli.networks.isolation import running
from mnist_cli.schema.results import ClassResult, Evaluation
from mnist_cli.training.examples import Examples

BATCH_SIZE = 500
# On a CPU, the activations of 50 images stay in the cache: StrongCNN takes 0.85 of the time.
BATCH_SIZE_OF_WIDE = 50
WIDE = 32  # channels of a convolution


def evaluate(model: nn.Module, examples: Examples) -> Evaluation:
    """Score the predictions of `model` for `examples`; raises MnistCliError as `score` does."""
    return score(predict(model, examples.images), examples.labels)


@torch.inference_mode()
def predict(model: nn.Module, images: Tensor) -> Tensor:
    """The logits for N×1×28×28 images, float32 N×K on the CPU, with `model` in eval mode."""
    with running(model, "the network failed in evaluation"):
        model.eval()
        batches = images.split(_choose_batch_size(model))
        return torch.cat([model(batch) for batch in batches]).float().cpu()


def score(logits: Tensor, labels: Tensor) -> Evaluation:
    """Compare N×K logits with N labels; raises MnistCliError if the mean loss is not finite."""
    labels = labels.cpu()
    loss = F.cross_entropy(logits.double(), labels).item()
    if not math.isfinite(loss):
        raise MnistCliError(
            "the test loss is not finite: this network diverged; lower the learning rate"
        )
    classes = logits.shape[1]
    pairs = labels * classes + logits.argmax(1)
    matrix = torch.bincount(pairs, minlength=classes**2).view(classes, classes)
    sizes = matrix.sum(1)
    recalls = matrix.diagonal().double()[sizes > 0] / sizes[sizes > 0]
    return Evaluation(
        test_accuracy=int(matrix.trace()) / len(labels),
        test_loss=loss,
        num_samples=len(labels),
        confusion_matrix=tuple(map(tuple, matrix.tolist())),
        balanced_accuracy=min(1.0, recalls.mean().item()),
    )


def _choose_batch_size(model: nn.Module) -> int:
    """The size of a batch. It depends on nothing else, so the same weights give the same bits."""
    convolutions = (layer for layer in model.modules() if isinstance(layer, nn.Conv2d))
    is_wide = any(layer.out_channels >= WIDE for layer in convolutions)
    return BATCH_SIZE_OF_WIDE if is_wide else BATCH_SIZE


def per_class(confusion_matrix: tuple[tuple[int, ...], ...]) -> tuple[ClassResult, ...]:
    """Precision, recall and F1 of each class of a square matrix of counts, rows the truth.

    A class without predictions has no precision, and a class without images has no recall.
    """
    results = []
    for label, row in enumerate(confusion_matrix):
        hits, support = row[label], sum(row)
        predicted = sum(other[label] for other in confusion_matrix)
        precision, recall = _ratio(hits, predicted), _ratio(hits, support)
        f1 = _ratio(2 * hits, support + predicted)
        results.append(ClassResult(label, precision, recall, f1, support))
    return tuple(results)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
