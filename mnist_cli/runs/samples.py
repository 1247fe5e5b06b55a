"""`show-samples`: images by seed, label and error."""

import numpy as np

from mnist_cli import engine
from mnist_cli.checkpoint import load
from mnist_cli.config import (
    SamplesOptions,
    Split,
)
from mnist_cli.data import datasets
from mnist_cli.data.datasets import LabelledImages
from mnist_cli.device import resolve_device
from mnist_cli.events import Notice, OnEvent
from mnist_cli.results import (
    Sample,
    SamplesResult,
)
from mnist_cli.runs.common import data_of, on_device, restored


def show_samples(
    options: SamplesOptions, on_event: OnEvent
) -> tuple[SamplesResult, LabelledImages]:
    """Choose images by seed, label and, with a checkpoint, by whether it gets them wrong.

    Returns:
        What was chosen, and those images in the same order.

    Raises:
        UsageError: the network is a custom one and was not named, or there is no such device.
        MnistCliError: the file or the data are damaged.
    """
    device = resolve_device(options.device)
    saved = load(options.checkpoint) if options.checkpoint else None
    model = restored(saved, options.model) if saved else None
    dataset = datasets.load(data_of(options.data, saved), on_event)
    split = options.split or (Split.TEST if saved else Split.TRAIN)
    labelled = dataset.train if split == Split.TRAIN else dataset.test

    fits = np.ones(len(labelled.labels), dtype=bool)
    if options.label is not None:
        fits &= labelled.labels == options.label
    predictions = None
    if model is not None:
        logits = engine.predict(engine.place(model, device), on_device(labelled, device).images)
        predictions = logits.argmax(1).numpy()
        if options.errors:
            fits &= predictions != labelled.labels
    shuffled = np.random.default_rng(options.seed).permutation(np.flatnonzero(fits))
    chosen = shuffled[: options.count]
    if len(chosen) < options.count:
        on_event(Notice(f"only {len(chosen)} of {options.count} images fit in the {split} set"))
    result = SamplesResult(
        dataset=dataset.info,
        split=str(split),
        samples=tuple(
            Sample(
                index=int(index),
                label=int(labelled.labels[index]),
                prediction=None if predictions is None else int(predictions[index]),
            )
            for index in chosen
        ),
        checkpoint=str(options.checkpoint) if options.checkpoint else None,
        output=str(options.output) if options.output else None,
    )
    return result, LabelledImages(labelled.images[chosen], labelled.labels[chosen])
