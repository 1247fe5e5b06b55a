"""`show-samples`: chooses images by seed, label and error."""

import numpy as np
import torch
from numpy.typing import NDArray

from mnist_cli.data import datasets
from mnist_cli.data.dataset import LabelledImages, use_classes
from mnist_cli.errors import UsageError
from mnist_cli.schema.augmentation import Augmentation
from mnist_cli.schema.datasets import DatasetInfo, Split
from mnist_cli.schema.events import Notice, OnEvent
from mnist_cli.schema.options import SamplesOptions
from mnist_cli.schema.results import SamplesResult, ShownImage
from mnist_cli.training.augmentation import augment
from mnist_cli.training.checkpoint import load
from mnist_cli.training.device import place, resolve_device
from mnist_cli.training.evaluation import predict
from mnist_cli.training.examples import images_to_device
from mnist_cli.workflows.shared import choose_data, restore_network


def choose_samples(
    options: SamplesOptions, on_event: OnEvent
) -> tuple[SamplesResult, LabelledImages]:
    """Choose images by seed, label and, with a checkpoint, by whether its prediction is wrong.

    With an augmentation, the training images are those of epoch 1 with the seed.
    Returns the result, and its images in the same order. Raises UsageError for an unknown label.
    """
    device = resolve_device(options.device)
    saved = load(options.checkpoint) if options.checkpoint else None
    model = restore_network(saved, options.model, on_event) if saved else None
    data, split = choose_data(options.data, saved), options.shown_split
    if split == Split.TEST:
        info, labelled = datasets.load_test(data, on_event, saved.record.dataset if saved else None)
    else:
        dataset = datasets.load(data, on_event)
        dataset = use_classes(dataset, saved.record.dataset) if saved else dataset
        info, labelled = dataset.info, dataset.train
    predictions = None if model is None else _predict(model, labelled, device)

    images = labelled.images
    if options.augmentation:
        images = _augment(images, options.augmentation, options.seed, device)
    chosen = _choose(options, info, labelled.labels, predictions)
    if len(chosen) < options.count:
        only = f"only {len(chosen)} images in the {split} set match"
        on_event(Notice(f"{only} ({options.count} requested)"))
    result = SamplesResult(
        dataset=info,
        split=str(split),
        samples=tuple(
            ShownImage(
                index=int(index),
                label=int(labelled.labels[index]),
                prediction=None if predictions is None else int(predictions[index]),
            )
            for index in chosen
        ),
        checkpoint=str(options.checkpoint) if options.checkpoint else None,
        output=str(options.output) if options.output else None,
        seed=options.seed,
        augmentation=options.augmentation,
    )
    return result, LabelledImages(images[chosen], labelled.labels[chosen])


def _choose(
    options: SamplesOptions,
    info: DatasetInfo,
    labels: NDArray[np.unsignedinteger],
    predictions: NDArray[np.int64] | None,
) -> NDArray[np.int64]:
    """Choose positions of images with the label and, with --errors, a wrong prediction."""
    fits = np.ones(len(labels), dtype=bool)
    if options.label is not None:
        if options.label not in info.classes:
            raise UsageError(f"--label is one of {info.class_list}, not {options.label}")
        fits &= labels == info.classes.index(options.label)
    if predictions is not None and options.errors:
        fits &= predictions != labels
    return np.random.default_rng(options.seed).permutation(np.flatnonzero(fits))[: options.count]


def _augment(
    images: NDArray[np.uint8], augmentation: Augmentation, seed: int, device: torch.device
) -> NDArray[np.uint8]:
    """Augment all images as in epoch 1; an image's position decides how it is changed."""
    pixels = images_to_device(images, device)
    augment(pixels, augmentation, seed, epoch=1, out=pixels)
    changed: NDArray[np.uint8] = (pixels[:, 0] * 255).round().byte().cpu().numpy()
    return changed


def _predict(
    model: torch.nn.Module, labelled: LabelledImages, device: torch.device
) -> NDArray[np.int64]:
    images = images_to_device(labelled.images, device)
    classes: NDArray[np.int64] = predict(place(model, device), images).argmax(1).numpy()
    return classes
