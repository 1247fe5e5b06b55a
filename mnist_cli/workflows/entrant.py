"""A network in a comparison."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING

import torch
from torch import nn

from mnist_cli.comparison import mistakes
from mnist_cli.errors import MnistCliError
from mnist_cli.networks.building import (
    instantiate,
    outputs_probabilities,
    same_weights,
    shares_memory,
)
from mnist_cli.networks.complexity import count_operations
from mnist_cli.networks.failures import naming_failures
from mnist_cli.networks.importing import factory
from mnist_cli.schema.comparison import ModelRuns, Run
from mnist_cli.schema.events import Event, OutputIsProbability, SeedIgnored
from mnist_cli.schema.options import Entry
from mnist_cli.schema.results import EpochResult
from mnist_cli.training.device import resolve_precision
from mnist_cli.training.evaluation import predict, score
from mnist_cli.training.examples import Examples
from mnist_cli.training.loop import OnStep, fit
from mnist_cli.training.state import set_up

if TYPE_CHECKING:
    from mnist_cli.schema.protocol import Precision
    from mnist_cli.schema.results import ModelSummary


class Entrant:
    """A network in a comparison: what it costs, how long it takes, and why it failed."""

    def __init__(self, entry: Entry) -> None:
        self.name = entry.name
        self.protocol = entry.protocol
        self.oddities: list[Event] = []  # why its runs may say less than they seem to
        self._entry = entry
        self.failure: str | None = None
        self._run_seconds: list[float] = []  # all of a run: making, warm-up and evaluation too
        self._make = factory(entry.model)
        self._cost: ModelSummary | None = None
        self._precision: Precision | None = None
        self._last: nn.Module | None = None

    def measure(self, device: torch.device) -> None:
        """Count what the network costs, and look at two seeds of a custom one for oddities.

        Where it fails already, `failure` says why.
        """
        try:
            with naming_failures(f"{self.name} cannot be measured"):
                model = self._built(seed=0)
                self._cost, _ = count_operations(self.name, model)
                custom = self._entry.model.custom
                if custom and outputs_probabilities(model):
                    self.oddities.append(OutputIsProbability(self.name))
                if custom and same_weights(model, self._built(seed=1)):
                    self.oddities.append(SeedIgnored(self.name))
        except MnistCliError as error:
            self.failure = str(error)
        else:
            self._precision = resolve_precision(
                self._entry.precision, device, self._cost.mult_adds_per_image
            )

    def run_seed(
        self, seed: int, examples: Examples, test: Examples, target: float | None, on_step: OnStep
    ) -> Run | None:
        """Train for all epochs, or until `target` is reached; None and a `failure` if it fails."""
        assert self._precision is not None  # only an entrant that was measured is trained
        run: Run | None = None
        with self._noting(seed):
            training = set_up(self._built(seed), examples, self.protocol, seed, self._precision)
            history = []
            for fitted in fit(training, on_step=on_step):
                logits = predict(training.model, test.images)
                evaluation = score(logits, test.labels)
                history.append(
                    EpochResult(
                        epoch=fitted.epoch,
                        train_loss=fitted.train_loss,
                        test_loss=evaluation.test_loss,
                        test_accuracy=evaluation.test_accuracy,
                        train_seconds=fitted.train_seconds,
                    )
                )
                reached = None if target is None else evaluation.test_accuracy >= target
                if reached:
                    break
            run = Run(
                seed=seed,
                epochs=fitted.epoch,
                test_accuracy=evaluation.test_accuracy,
                test_loss=evaluation.test_loss,
                train_seconds=sum(epoch.train_seconds for epoch in history),
                reached_target=reached,
                history=tuple(history),
                mistakes=mistakes.encoded(test.labels.cpu().numpy(), logits.argmax(1).numpy()),
            )
        return None if self.failure else run

    @property
    def usual_seconds(self) -> float | None:
        """How long a run takes with all that is around it; None before the first."""
        return median(self._run_seconds) if self._run_seconds else None

    def row(self, seeds: Sequence[int], finished: Mapping[tuple[str, int], Run]) -> ModelRuns:
        """This network's part of the result."""
        return ModelRuns(
            model=self.name,
            parameters=self._cost.parameters if self._cost else None,
            total_parameters=self._cost.total_parameters if self._cost else None,
            mult_adds=self._cost.mult_adds if self._cost else None,
            protocol=self.protocol,
            precision=str(self._precision) if self._precision else None,
            runs=tuple(
                finished[self.name, seed] for seed in seeds if (self.name, seed) in finished
            ),
            failure=self.failure,
            network=self._entry.model.name,
            varied=dict(self._entry.varied),
        )

    @contextmanager
    def _noting(self, seed: int) -> Iterator[None]:
        """Note how long the run within took, or why it failed."""
        started = time.perf_counter()
        try:
            with naming_failures("the network failed"):
                yield
        except MnistCliError as error:
            self.failure = f"seed {seed}: {error}"
        else:
            self._run_seconds.append(time.perf_counter() - started)

    def _built(self, seed: int) -> nn.Module:
        model = instantiate(self.name, self._make, seed)
        if self._last is not None and shares_memory(model, self._last):
            raise MnistCliError(
                f"{self.name} returns the same weights or buffers each time; "
                "it must make new ones, or no seed starts anew"
            )
        self._last = model
        return model
