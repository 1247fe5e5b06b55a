"""`compare`: several networks under one protocol, with the same seeds."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

import torch
from torch import nn

from mnist_cli import complexity, datasets, engine, journal
from mnist_cli.analysis import analysed, with_baseline
from mnist_cli.baseline import check_comparable, load_baseline
from mnist_cli.comparison import SCHEMA_VERSION, CompareResult, ModelRuns, Run
from mnist_cli.config import CompareOptions, Precision, Protocol
from mnist_cli.device import environment, resolve_device, resolve_precision
from mnist_cli.errors import MnistCliError, Terminated
from mnist_cli.events import Notice, OnEvent, RunFailed, RunFinished, RunsLeft
from mnist_cli.registry import ModelSpec, code_sha256, factory
from mnist_cli.results import DatasetInfo, ModelSummary
from mnist_cli.runs.common import on_device, progress_of


def compare(options: CompareOptions, on_event: OnEvent) -> Iterator[CompareResult]:
    """Train every network with every seed, and yield what is known after each run.

    Seed by seed, so that a machine that slows down does so for all. A run depends on its network,
    protocol, seed and data, and not on what ran before it. Runs in the journal are not repeated. A
    network that fails has the reason in its row, and no further runs.

    Raises:
        UsageError: the device does not exist, or the journal or the baseline do not fit.
        MnistCliError: a network cannot be imported, or the data, journal or baseline fail.
    """
    device = resolve_device(options.device)
    baseline = load_baseline(options.baseline) if options.baseline else None
    entrants = [_Entrant(spec, protocol) for spec, protocol in options.models.items()]
    names = [entrant.name for entrant in entrants]
    dataset = datasets.load(options.data, on_event)
    if baseline:
        check_comparable(baseline, names, dataset.info, options.target)
    examples, test = on_device(dataset.train, device), on_device(dataset.test, device)
    seeds = range(options.seed, options.seed + options.seeds)
    conditions = _conditions(options, dataset.info, device)
    with journal.opened(options.journal, conditions, names, seeds, on_event) as book:

        def result() -> CompareResult:
            raw = CompareResult(
                schema_version=SCHEMA_VERSION,
                dataset=dataset.info,
                environment=environment(device),
                seeds=tuple(seeds),
                target=options.target,
                journal=str(book.path) if book.path else None,
                models=tuple(entrant.row(seeds, book.runs) for entrant in entrants),
            )
            if baseline is None:
                return analysed(raw)
            return with_baseline(analysed(raw), str(baseline.path), baseline.accuracies)

        for entrant in entrants:
            entrant.measure(options.precision, device, on_event)
        plan = [(entrant, seed) for seed in seeds for entrant in entrants]
        finished = sum((entrant.name, seed) in book.runs for entrant, seed in plan)
        if finished:
            on_event(Notice(f"{book.path} has {finished} of {len(plan)} runs; going on from there"))
        yield result()
        try:
            for position, (entrant, seed) in enumerate(plan):
                if entrant.failure or (entrant.name, seed) in book.runs:
                    continue
                shown_seed = seed if len(seeds) > 1 else None
                on_step = progress_of(entrant.name, entrant.protocol, on_event, shown_seed)
                run = entrant.train(seed, examples, test, options.target, on_step)
                if run:
                    book.add(entrant.name, run)
                left = [
                    other.name
                    for other, number in plan[position + 1 :]
                    if not other.failure and (other.name, number) not in book.runs
                ]
                remaining = RunsLeft(len(plan), len(left), *_time_left(left, entrants))
                on_event(
                    RunFinished(entrant.name, shown_seed, entrant.protocol.epochs, run, remaining)
                    if run
                    else RunFailed(entrant.name, str(entrant.failure), remaining)
                )
                yield result()
        except (KeyboardInterrupt, Terminated):
            if book.path:
                done = sum((entrant.name, seed) in book.runs for entrant, seed in plan)
                on_event(
                    Notice(
                        f"{book.path} has {done} of {len(plan)} runs; "
                        "the same command goes on from there"
                    )
                )
            raise


class _Entrant:
    """A network in a comparison: what it costs, how long it takes, and why it failed."""

    def __init__(self, spec: ModelSpec, protocol: Protocol) -> None:
        self.name = spec.name
        self.protocol = protocol
        self.failure: str | None = None
        self.run_seconds: list[float] = []  # all of a run: making, warm-up and evaluation too
        self._make = factory(spec)
        self._cost: ModelSummary | None = None
        self._precision: Precision | None = None
        self._last: nn.Module | None = None

    def measure(self, precision: Precision, device: torch.device, on_event: OnEvent) -> None:
        """Count what the network costs; it may fail already."""
        try:
            self._cost, _ = complexity.summarize(self.name, self._built(seed=0))
        except MnistCliError as error:
            self.failure = str(error)
            on_event(Notice(f"{error}; the others go on"))
            return
        per_image = self._cost.mult_adds / self._cost.batch_size
        self._precision = resolve_precision(precision, device, per_image)

    def train(
        self,
        seed: int,
        examples: engine.Examples,
        test: engine.Examples,
        target: float | None,
        on_step: engine.OnStep,
    ) -> Run | None:
        """One run: for all epochs, or until `target` is reached. None if it fails."""
        started = time.perf_counter()
        assert self._precision is not None  # only an entrant that was measured is trained
        seconds = 0.0
        try:
            model = engine.place(self._built(seed), examples.images.device)
            for fitted in engine.fit(
                model,
                engine.make_optimizer(model, self.protocol),
                examples,
                self.protocol,
                seed,
                self._precision,
                on_step=on_step,
            ):
                seconds += fitted.train_seconds
                if target is None and fitted.epoch < self.protocol.epochs:
                    continue
                evaluation = engine.evaluate(model, test)
                reached = None if target is None else evaluation.test_accuracy >= target
                run = Run(
                    seed=seed,
                    epochs=fitted.epoch,
                    test_accuracy=evaluation.test_accuracy,
                    test_loss=evaluation.test_loss,
                    train_seconds=seconds,
                    reached_target=reached,
                )
                if reached:
                    break
        except MnistCliError as error:
            self.failure = f"seed {seed}: {error}"
            return None
        self.run_seconds.append(time.perf_counter() - started)
        return run

    def row(self, seeds: Sequence[int], finished: dict[tuple[str, int], Run]) -> ModelRuns:
        """This network's part of the result."""
        return ModelRuns(
            model=self.name,
            parameters=self._cost.parameters if self._cost else None,
            mult_adds=self._cost.mult_adds if self._cost else None,
            protocol=self.protocol,
            precision=str(self._precision) if self._precision else None,
            runs=tuple(
                finished[self.name, seed] for seed in seeds if (self.name, seed) in finished
            ),
            failure=self.failure,
        )

    def _built(self, seed: int) -> nn.Module:
        model = engine.instantiate(self.name, self._make, seed)
        if model is self._last:
            raise MnistCliError(
                f"{self.name} returns one and the same network each time; "
                "it must make a new one, or no seed starts anew"
            )
        self._last = model
        return model


def _time_left(left: Sequence[str], entrants: Sequence[_Entrant]) -> tuple[float, bool]:
    """How many seconds runs of these networks take, and whether that is only a lower bound.

    It is where a network has not been run yet: no guess stands for a measurement.
    """
    known = {
        entrant.name: median(entrant.run_seconds) for entrant in entrants if entrant.run_seconds
    }
    return sum(known.get(name, 0.0) for name in left), not known.keys() >= set(left)


def _conditions(
    options: CompareOptions, dataset: DatasetInfo, device: torch.device
) -> dict[str, Any]:
    """All that decides the result of a run beside its seed; runs in one journal share it."""
    return {
        "models": {
            spec.name: {"code": code_sha256(spec)} | asdict(protocol)
            for spec, protocol in options.models.items()
        },
        "dataset": asdict(dataset),
        "environment": asdict(environment(device)),
        "precision": options.precision,
        "target": options.target,
    }
