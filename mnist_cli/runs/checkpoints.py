"""`compare` with checkpoints: trained networks on the same images, without training."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from torch import nn

from mnist_cli import engine, stats
from mnist_cli.checkpoint import Checkpoint, load
from mnist_cli.comparison import CheckpointComparison, Disagreement, DisputedImage, Judged
from mnist_cli.config import CheckpointsOptions, DatasetName
from mnist_cli.data import datasets
from mnist_cli.data.datasets import LabelledImages
from mnist_cli.device import environment, resolve_device
from mnist_cli.errors import UsageError
from mnist_cli.events import Notice, OnEvent
from mnist_cli.formatting import plural
from mnist_cli.registry import MODELS, ModelSpec
from mnist_cli.runs.common import data_of, on_device, restored, warn_of_leak


def compare_checkpoints(
    options: CheckpointsOptions, on_event: OnEvent
) -> tuple[CheckpointComparison, LabelledImages]:
    """Let several checkpoints judge the same test images, and test how they differ.

    Returns:
        The comparison, and the disputed images that were chosen, in its order.

    Raises:
        UsageError: a custom network was not named, or the test images are not clear.
        MnistCliError: a file or the data are damaged, or do not fit a network.
    """
    device = resolve_device(options.device)
    saved = [load(path) for path in options.checkpoints]
    if options.models and all(checkpoint.record.model in MODELS for checkpoint in saved):
        raise UsageError("--model is for custom networks, and no checkpoint holds one")
    models = [_network(checkpoint, options.models) for checkpoint in saved]
    if options.data.dataset == DatasetName.AUTO:
        names = sorted({checkpoint.record.dataset.name for checkpoint in saved})
        if len(names) > 1:
            raise UsageError(
                f"these checkpoints were trained on {' and '.join(names)}; "
                "say with --dataset which test images to use"
            )
    dataset = datasets.load(data_of(options.data, saved[0]), on_event)
    for checkpoint in saved:
        warn_of_leak(checkpoint.record, dataset, on_event)
    test = on_device(dataset.test, device)
    judged, predictions = [], []
    for checkpoint, model in zip(saved, models, strict=True):
        logits = engine.predict(engine.place(model, device), test.images)
        evaluation = engine.score(logits, test.labels)
        predictions.append(logits.argmax(1).numpy())
        judged.append(
            Judged(
                name=str(checkpoint.path),
                model=checkpoint.record.model,
                seed=checkpoint.record.seed,
                parameters=checkpoint.record.parameters,
                test_accuracy=evaluation.test_accuracy,
                test_loss=evaluation.test_loss,
                sampling_error=stats.sampling_error(
                    evaluation.test_accuracy, evaluation.num_samples
                ),
            )
        )
    answers = np.stack(predictions)
    right = answers == dataset.test.labels
    chosen = _disputed(right, options, on_event)
    result = CheckpointComparison(
        dataset=dataset.info,
        environment=environment(device),
        checkpoints=tuple(judged),
        disagreements=_disagreements([str(path) for path in options.checkpoints], right),
        disputed=tuple(
            DisputedImage(
                index=int(index),
                label=int(dataset.test.labels[index]),
                predictions=tuple(answers[:, index].tolist()),
            )
            for index in chosen
        ),
    )
    return result, LabelledImages(dataset.test.images[chosen], dataset.test.labels[chosen])


def _network(checkpoint: Checkpoint, custom: tuple[ModelSpec, ...]) -> nn.Module:
    """Of several custom networks, a checkpoint's own is the one of its name."""
    if checkpoint.record.model in MODELS:
        return restored(checkpoint, None)
    named = [spec for spec in custom if spec.name == checkpoint.record.model]
    return restored(checkpoint, next(iter([*named, *custom]), None))


def _disagreements(names: list[str], right: NDArray[np.bool_]) -> tuple[Disagreement, ...]:
    """The exact test for each pair, Holm-adjusted over all; `right` is checkpoints × images."""
    pairs = list(combinations(range(len(names)), 2))
    counts = [
        (int((right[a] & ~right[b]).sum()), int((right[b] & ~right[a]).sum())) for a, b in pairs
    ]
    num_samples = right.shape[1]
    judged = stats.holm([stats.mcnemar(*count) for count in counts])
    results = []
    for (a, b), (only_a, only_b), (adjusted_p, level) in zip(pairs, counts, judged, strict=True):
        low, high = stats.disagreement_interval(only_a, only_b, num_samples, 1 - level)
        better = names[a] if only_a > only_b else names[b]
        results.append(
            Disagreement(
                first=names[a],
                second=names[b],
                only_first_right=only_a,
                only_second_right=only_b,
                difference=(only_a - only_b) / num_samples,
                low=low,
                high=high,
                confidence=1 - level,
                adjusted_p=adjusted_p,
                better=better if adjusted_p < stats.ALPHA else None,
            )
        )
    return tuple(results)


def _disputed(
    right: NDArray[np.bool_], options: CheckpointsOptions, on_event: OnEvent
) -> NDArray[np.int64]:
    """Positions of images that some get right and others wrong, as many as asked for."""
    disputed = np.flatnonzero(right.any(axis=0) & ~right.all(axis=0))
    chosen = np.random.default_rng(options.seed).permutation(disputed)
    if len(disputed) < options.show_disagreements:
        few = f"they disagree on {plural(len(disputed), 'image')} only"
        on_event(Notice(few if len(disputed) else "they are right and wrong on the same images"))
    return chosen[: options.show_disagreements]
