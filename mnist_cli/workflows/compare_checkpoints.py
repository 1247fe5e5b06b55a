"""`compare` with checkpoints: evaluates trained networks on the same images."""

from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from mnist_cli.comparison import statistics
from mnist_cli.data import datasets
from mnist_cli.data.dataset import LabelledImages
from mnist_cli.errors import UsageError
from mnist_cli.formatting import plural
from mnist_cli.networks.registry import find_registered
from mnist_cli.schema.comparison import (
    ALPHA,
    CheckpointComparison,
    Disagreement,
    DisputedImage,
    EvaluatedCheckpoint,
)
from mnist_cli.schema.datasets import DatasetName
from mnist_cli.schema.events import Notice, OnEvent
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.options import CheckpointsOptions
from mnist_cli.schema.results import Evaluation
from mnist_cli.training.checkpoint import Checkpoint, load
from mnist_cli.training.device import environment, place, resolve_device
from mnist_cli.training.evaluation import predict, score
from mnist_cli.training.examples import to_device
from mnist_cli.workflows.shared import choose_data, restore_network, warn_of_leak


def compare_checkpoints(
    options: CheckpointsOptions, on_event: OnEvent
) -> tuple[CheckpointComparison, LabelledImages]:
    """Evaluate checkpoints on the same test images, and test how they differ.

    Returns the comparison, and its disputed images in the same order.
    """
    device = resolve_device(options.device)
    saved = [load(path) for path in options.checkpoints]
    models = _restore_networks(saved, options.models, on_event)
    _check_one_dataset(saved, options)
    data, trained_on = choose_data(options.data, saved[0]), saved[0].record.dataset
    dataset, images = datasets.load_test(data, on_event, trained_on)
    test = to_device(images, device)
    evaluated, predictions = [], []
    for checkpoint, model in zip(saved, models, strict=True):
        warn_of_leak(checkpoint.record, dataset, on_event)
        logits = predict(place(model, device), test.images)
        predictions.append(logits.argmax(1).numpy())
        evaluated.append(_describe_checkpoint(checkpoint, model, score(logits, test.labels)))
    answers = np.stack(predictions)
    right = answers == images.labels
    chosen = _choose_disputed(right, options, on_event)
    result = CheckpointComparison(
        dataset=dataset,
        environment=environment(device),
        checkpoints=tuple(evaluated),
        disagreements=_compare_pairs(options.checkpoints, right),
        disputed=tuple(
            DisputedImage(
                index=int(index),
                label=int(images.labels[index]),
                predictions=tuple(answers[:, index].tolist()),
            )
            for index in chosen
        ),
    )
    return result, LabelledImages(images.images[chosen], images.labels[chosen])


def _restore_networks(
    saved: list[Checkpoint], custom: tuple[ModelSpec, ...], on_event: OnEvent
) -> list[nn.Module]:
    """Restore all networks; custom ones take the spec of the same name, else the first spec."""
    if custom and all(find_registered(checkpoint.record.model) for checkpoint in saved):
        raise UsageError("--model is for custom networks, and no checkpoint holds one")
    by_name = {spec.name: spec for spec in custom}
    first = custom[0] if custom else None
    specs = [
        None if find_registered(name := checkpoint.record.model) else by_name.get(name, first)
        for checkpoint in saved
    ]
    return [restore_network(each, spec, on_event) for each, spec in zip(saved, specs, strict=True)]


def _check_one_dataset(saved: list[Checkpoint], options: CheckpointsOptions) -> None:
    """Raise UsageError if several datasets could give the test images, or classes differ."""
    if len({checkpoint.record.dataset.classes for checkpoint in saved}) > 1:
        raise UsageError("these checkpoints were trained on different classes; choose others")
    names = sorted({checkpoint.record.dataset.name for checkpoint in saved})
    if options.data.dataset == DatasetName.AUTO and len(names) > 1:
        raise UsageError(
            f"these checkpoints were trained on {' and '.join(names)}; "
            "say with --dataset which test images to use"
        )


def _describe_checkpoint(
    checkpoint: Checkpoint, model: nn.Module, evaluation: Evaluation
) -> EvaluatedCheckpoint:
    accuracy = evaluation.test_accuracy
    return EvaluatedCheckpoint(
        name=str(checkpoint.path),
        model=checkpoint.record.model,
        seed=checkpoint.record.seed,
        parameters=checkpoint.record.parameters,
        total_parameters=sum(parameter.numel() for parameter in model.parameters()),
        test_accuracy=accuracy,
        test_loss=evaluation.test_loss,
        sampling_error=statistics.sampling_error(accuracy, evaluation.num_samples),
    )


def _compare_pairs(paths: tuple[Path, ...], right: NDArray[np.bool_]) -> tuple[Disagreement, ...]:
    """Test each pair, with Bonferroni's correction; `right` is checkpoints × images."""
    pairs = list(combinations(range(len(paths)), 2))
    num_samples = right.shape[1]
    confidence = 1 - ALPHA / len(pairs)
    results = []
    for a, b in pairs:
        only_a, only_b = int((right[a] & ~right[b]).sum()), int((right[b] & ~right[a]).sum())
        low, high = statistics.disagreement_interval(only_a, only_b, num_samples, confidence)
        better = paths[a] if only_a > only_b else paths[b]
        results.append(
            Disagreement(
                first=str(paths[a]),
                second=str(paths[b]),
                only_first_right=only_a,
                only_second_right=only_b,
                difference=(only_a - only_b) / num_samples,
                low=low,
                high=high,
                confidence=confidence,
                adjusted_p=min(1.0, len(pairs) * statistics.mcnemar(only_a, only_b)),
                better=str(better) if low > 0 or high < 0 else None,
            )
        )
    return tuple(results)


def _choose_disputed(
    right: NDArray[np.bool_], options: CheckpointsOptions, on_event: OnEvent
) -> NDArray[np.int64]:
    """Choose positions of images that only some checkpoints classify correctly."""
    disputed = np.flatnonzero(right.any(axis=0) & ~right.all(axis=0))
    if len(disputed) < options.show_disagreements:
        few = f"the checkpoints disagree on only {plural(len(disputed), 'image')}"
        none = "the checkpoints make errors on the same images"
        on_event(Notice(few if len(disputed) else none))
    chosen = np.random.default_rng(options.seed).permutation(disputed)
    return chosen[: options.show_disagreements]
