"""What several commands share."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mnist_cli.errors import MnistCliError, UsageError
from mnist_cli.networks.building import build
from mnist_cli.networks.identity import changed_files, code_sha256
from mnist_cli.networks.registry import call_of, find_registered
from mnist_cli.schema.datasets import DatasetInfo, DatasetName
from mnist_cli.schema.events import Notice, OnEvent
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.options import DataOptions
from mnist_cli.schema.results import Environment, TrainResult
from mnist_cli.system import cpus
from mnist_cli.training.checkpoint import Checkpoint, restore_model
from mnist_cli.training.evaluation import predict
from mnist_cli.training.examples import prepare


def restore_network(saved: Checkpoint, custom: ModelSpec | None, on_event: OnEvent) -> nn.Module:
    """Build the network of a checkpoint, with a notice if its code changed since the training.

    If it was trained on images with shuffled pixels, it shuffles those of its input.

    This imports only registered networks and `custom`, never a name in a file. Raises UsageError if
    a custom network needs `custom` or other arguments, MnistCliError if the weights do not fit.
    """
    spec = custom or find_registered(saved.record.model)
    if spec is None:
        raise UsageError(
            f"{saved.path} holds the custom network {saved.record.model!r}: "
            "name its code with --model package.module:Name or path/file.py:Name"
        )
    if custom and call_of(custom.name) != call_of(saved.record.model):
        raise UsageError(
            f"{saved.path} holds {saved.record.model}: name its code with the same arguments"
        )
    model = build(spec, saved.record.seed, len(saved.record.dataset.classes))
    restore_model(saved, model)
    protocol = saved.record.protocol

    def prepare_input(_model: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return prepare(inputs[0], protocol), *inputs[1:]

    if protocol.shuffle_pixels:
        model.register_forward_pre_hook(prepare_input)
    if files := changed_files(saved.record.code, code_sha256(spec)):
        on_event(Notice(f"{', '.join(files)} changed since {saved.path} was trained"))
    return model


def predict_probabilities(model: nn.Module, images: Tensor) -> Tensor:
    """Float64 N×classes on the CPU; raises MnistCliError if an output is not finite."""
    if not len(images):
        return torch.empty(0)
    probabilities = predict(model, images).double().softmax(1)
    if not probabilities.isfinite().all():
        raise MnistCliError("the network's outputs are not finite; train it with a lower --lr")
    return probabilities


def choose_data(data: DataOptions, saved: Checkpoint | None) -> DataOptions:
    """Replace `auto` by the dataset on which a checkpoint was trained.

    Raises UsageError if that is a person's own: no path is opened because a file names it.
    """
    if saved is None or data.dataset != DatasetName.AUTO:
        return data
    if not saved.record.dataset.is_published:
        raise UsageError(
            f"{saved.path} was trained on {saved.record.dataset.name}: name it, or other images, "
            "with --dataset PATH"
        )
    return replace(data, dataset=DatasetName(saved.record.dataset.name))


def warn_of_busy_cpus(machine: Environment, on_event: OnEvent) -> None:
    """Send a notice if threads on the CPU would have to share it with other programs.

    The threads of a step wait for the slowest: with two cores and another program on one of them,
    StrongCNN took 114 s an epoch with two threads and 61 s with one, CNN 11.3 s and 4.0 s.
    """
    busy, free = cpus.find_free()
    if machine.device == "cpu" and busy > cpus.BUSY and machine.threads > free:
        slow = f"{machine.threads} threads may take several times as long as usual"
        advice = f"give --threads {free} while they run"
        on_event(Notice(f"other programs keep {busy:.1f} CPUs busy: {slow}; {advice}"))


def warn_of_leak(record: TrainResult, dataset: DatasetInfo, on_event: OnEvent) -> None:
    """Send a notice if a network is evaluated on images that it was trained on."""
    if dataset.name == DatasetName.MNIST5K and record.dataset.name == DatasetName.MNIST:
        reason = "mnist5k consists of MNIST training images, which this network was trained on"
        on_event(Notice(f"{reason}: this accuracy says nothing about new images"))
