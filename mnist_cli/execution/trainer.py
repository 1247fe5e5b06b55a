"""Measures networks and trains runs in this process; only its task decides a run."""

import platform
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from mnist_cli.comparison import mistakes
from mnist_cli.data.dataset import Dataset
from mnist_cli.errors import MnistCliError
from mnist_cli.networks import building
from mnist_cli.networks.complexity import count_operations
from mnist_cli.networks.isolation import running
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.datasets import NUM_CLASSES
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.options import Entry
from mnist_cli.schema.results import Environment
from mnist_cli.schema.runs import Measurement, OnProgress, RunTask
from mnist_cli.training.device import environment, resolve_device, use_threads
from mnist_cli.training.evaluation import predict, score
from mnist_cli.training.examples import Examples, prepare, to_device
from mnist_cli.training.loop import OnStep, fit
from mnist_cli.training.precision import choose_precision
from mnist_cli.training.state import Training


class Trainer:
    """Measures and trains networks on one device, one run at a time.

    This is an executor; it imports the code of each network once.
    """

    slots = 1

    def __init__(self, device: str, threads: int | None, num_classes: int = NUM_CLASSES) -> None:
        use_threads(threads)
        self.copies: dict[str, ModelSpec] = {}
        """The networks whose code is elsewhere on this machine, by name."""
        self.examples: tuple[Examples, Examples] | None = None
        self._device = resolve_device(device)
        self._num_classes = num_classes
        self._factories: dict[str, Callable[[int, str], nn.Module]] = {}
        self._previous: dict[str, nn.Module] = {}

    def environment(self) -> Environment:
        """This machine."""
        return environment(self._device)

    def hand_over(self, dataset: Dataset) -> None:
        """Put the images on the device, before the first run."""
        self.examples = (
            to_device(dataset.train, self._device),
            to_device(dataset.test, self._device),
        )

    def measure_all(self, entries: Sequence[Entry]) -> tuple[Environment, list[Measurement]]:
        """Describe this machine, and measure the cost of each entry."""
        return self.environment(), list(map(self.measure, entries))

    def train_all(
        self, tasks: Sequence[RunTask], on_progress: OnProgress
    ) -> list[tuple[RunTask, Run | str]]:
        """Train the `tasks`, one after the other."""
        return [(task, self.train(task, partial(on_progress, task, ""))) for task in tasks]

    def measure(self, entry: Entry) -> Measurement:
        """Count the cost of a network, and check outputs and initial weights of a custom one.

        Raises MnistCliError if its code cannot be imported.
        """
        custom, name = entry.model.custom, entry.name
        self._import_factory(entry.model)
        notices: list[str] = []
        try:
            model = self._build(entry, seed=0)
            cost, _ = count_operations(name, model)
            if custom and building.outputs_probabilities(model):
                notices.append(f"{name} {building.PROBABILITIES}")
            if custom and building.same_weights(model, self._build(entry, seed=1)):
                notices.append(
                    f"{name} has the same initial weights with every seed: its seeds vary less "
                    "than those of other networks"
                )
        except MnistCliError as error:
            return Measurement(failure=str(error))
        choice = choose_precision(entry.precision, self._device, cost.mult_adds_per_image)
        return Measurement(cost, *choice, tuple(notices))

    def train(self, task: RunTask, on_step: OnStep) -> Run | str:
        """Train for all epochs or up to the target; return the run, or why it failed."""
        assert self.examples is not None
        entry, (examples, test) = task.entry, self.examples
        history, cpu_seconds = [], 0.0
        try:
            model = self._build(entry, task.seed)
            training = Training(model, examples, entry.protocol, task.seed, entry.precision)
            images = prepare(test.images, entry.protocol)
            for fitted in fit(training, on_step=on_step):
                cpu_seconds += fitted.cpu_seconds
                logits = predict(model, images)
                evaluation = score(logits, test.labels)
                history.append(last := fitted.judged(evaluation))
                reached = None if task.target is None else last.test_accuracy >= task.target
                if reached:
                    break
        except MnistCliError as error:
            return str(error)
        return Run(
            seed=task.seed,
            epochs=last.epoch,
            test_accuracy=last.test_accuracy,
            test_loss=last.test_loss,
            train_seconds=sum(epoch.train_seconds for epoch in history),
            reached_target=reached,
            history=tuple(history),
            mistakes=mistakes.encode(
                test.labels.cpu().numpy(), logits.argmax(1).numpy(), self._num_classes
            ),
            balanced_accuracy=evaluation.balanced_accuracy,
            cpu_seconds=cpu_seconds,
            threads=torch.get_num_threads(),
            host=platform.node(),
            processor=self.environment().processor,
        )

    def _import_factory(self, model: ModelSpec) -> Callable[[int, str], nn.Module]:
        if model.name not in self._factories:
            copy = self.copies.get(model.name, model)
            self._factories[model.name] = building.factory(copy, self._num_classes)
        return self._factories[model.name]

    def _build(self, entry: Entry, seed: int) -> nn.Module:
        name = entry.name
        model = self._import_factory(entry.model)(seed, name)
        with running(model, f"{name} failed"):
            if name in self._previous and building.shares_memory(model, self._previous[name]):
                raise MnistCliError(
                    f"{name} returns the same weights or buffers each time; "
                    "it must make new ones, so that each seed starts anew"
                )
        self._previous[name] = model
        return model
