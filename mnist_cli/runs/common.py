"""What several commands do alike."""

import torch
from torch import nn

from mnist_cli import checkpoint, engine
from mnist_cli.config import (
    DataOptions,
    DatasetName,
    Protocol,
)
from mnist_cli.data.datasets import Dataset, LabelledImages
from mnist_cli.errors import UsageError
from mnist_cli.events import Notice, OnEvent, TrainingProgress
from mnist_cli.registry import MODELS, ModelSpec
from mnist_cli.results import (
    TrainResult,
)


def on_device(labelled: LabelledImages, device: torch.device) -> engine.Examples:
    """Images and labels as tensors on `device`."""
    return engine.to_device(labelled.images, labelled.labels, device)


def progress_of(
    name: str, protocol: Protocol, on_event: OnEvent, seed: int | None = None
) -> engine.OnStep:
    """What the engine calls during a training, to tell it as an event."""

    def report(epoch: int, step: int, steps: int) -> None:
        on_event(TrainingProgress(name, seed, epoch, protocol.epochs, step, steps))

    return report


def restored(saved: checkpoint.Checkpoint, custom: ModelSpec | None) -> nn.Module:
    """The network of a checkpoint. A name in a file is looked up, never imported.

    Raises:
        UsageError: the network is a custom one, and `custom` does not say which.
        MnistCliError: it does not fit the checkpoint.
    """
    spec = custom or MODELS.get(saved.record.model)
    if spec is None:
        raise UsageError(
            f"{saved.path} holds the custom network {saved.record.model!r}: "
            "name its code with --model package.module:Name or path/file.py:Name"
        )
    model = engine.build(spec, saved.record.seed)
    checkpoint.restore_model(saved, model)
    return model


def data_of(data: DataOptions, saved: checkpoint.Checkpoint | None) -> DataOptions:
    """With a checkpoint, `auto` is the dataset of its training."""
    if saved is None or data.dataset != DatasetName.AUTO:
        return data
    return DataOptions(DatasetName(saved.record.dataset.name), data.data_dir)


def warn_of_leak(record: TrainResult, dataset: Dataset, on_event: OnEvent) -> None:
    """Say so where a network is judged on images it was trained on."""
    if dataset.info.name == DatasetName.MNIST5K and record.dataset.name == DatasetName.MNIST:
        on_event(
            Notice(
                "mnist5k consists of MNIST training images, which this network was trained on: "
                "this accuracy says nothing about new images"
            )
        )
