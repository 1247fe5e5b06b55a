"""`compare`: several networks under one protocol, with the same seeds."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from mnist_cli import journal
from mnist_cli.analysis import analysed, with_baseline
from mnist_cli.baseline import BaselineRuns, check_comparable, load_baseline
from mnist_cli.comparison import SCHEMA_VERSION, CompareResult
from mnist_cli.config import CompareOptions
from mnist_cli.data import datasets
from mnist_cli.device import environment, resolve_device
from mnist_cli.errors import Terminated
from mnist_cli.events import Notice, OnEvent, RunFailed, RunFinished, RunsLeft
from mnist_cli.formatting import plural
from mnist_cli.journal import Journal
from mnist_cli.registry import code_sha256
from mnist_cli.results import DatasetInfo, Environment
from mnist_cli.runs.common import on_device, progress_of
from mnist_cli.runs.entrant import Entrant


def compare(options: CompareOptions, on_event: OnEvent) -> Iterator[CompareResult]:
    """Train every network with every seed, and yield what is known before and after each run.

    Seed by seed, so that a machine that slows down does so for all. A run depends on its network,
    protocol, seed and data, and not on what ran before it. Runs in the journal are not repeated. A
    network that fails has the reason in its row, and no further runs.

    Raises:
        UsageError: the device does not exist, or the journal or the baseline do not fit.
        MnistCliError: a network cannot be imported, or the data, journal or baseline fail.
    """
    device = resolve_device(options.device)
    baseline = load_baseline(options.baseline) if options.baseline else None
    entrants = [Entrant(spec, protocol) for spec, protocol in options.models.items()]
    names = [entrant.name for entrant in entrants]
    dataset = datasets.load(options.data, on_event)
    if baseline:
        check_comparable(baseline, names, dataset.info, options.target)
    examples, test = on_device(dataset.train, device), on_device(dataset.test, device)
    seeds = range(options.seed, options.seed + options.seeds)
    conditions = _conditions(options, dataset.info, device)
    with journal.opened(options.journal, conditions, seeds, on_event) as book:
        for entrant in entrants:
            entrant.measure(options.precision, device, on_event)
        state = _State(
            dataset.info, environment(device), seeds, options.target, entrants, book, baseline
        )
        if book.runs:
            going_on = "going on from there" if state.pending() else "nothing is left to train"
            on_event(Notice(f"{state.done()}; {going_on}"))
        on_event(state.left())
        yield state.result()
        try:
            while pending := state.pending():
                entrant, seed = pending[0]
                shown_seed = seed if len(seeds) > 1 else None
                on_step = progress_of(entrant.name, entrant.protocol, on_event, shown_seed)
                run = entrant.train(seed, examples, test, options.target, on_step)
                if run:
                    book.add(entrant.name, run)
                    epochs = entrant.protocol.epochs
                    on_event(RunFinished(entrant.name, shown_seed, epochs, run, state.left()))
                else:
                    on_event(RunFailed(entrant.name, str(entrant.failure), state.left()))
                yield state.result()
            book.finish()
        except (KeyboardInterrupt, Terminated):
            if book.path:
                on_event(Notice(f"{state.done()}; the same command goes on from there"))
            raise


@dataclass(frozen=True)
class _State:
    """How far a comparison is."""

    dataset: DatasetInfo
    environment: Environment
    seeds: range
    target: float | None
    entrants: list[Entrant]
    book: Journal
    baseline: BaselineRuns | None

    def pending(self) -> list[tuple[Entrant, int]]:
        """The runs to come, in their order."""
        return [
            (entrant, seed)
            for seed in self.seeds
            for entrant in self.entrants
            if not entrant.failure and (entrant.name, seed) not in self.book.runs
        ]

    def left(self) -> RunsLeft:
        """How many runs, and how long they take: at least, where some were never timed."""
        times = [entrant.usual_seconds for entrant, _ in self.pending()]
        known = [time for time in times if time is not None]
        total = self.finished() + len(times)
        return RunsLeft(total, len(times), sum(known), at_least=len(known) < len(times))

    def finished(self) -> int:
        """How many runs are done."""
        keys = {(entrant.name, seed) for entrant in self.entrants for seed in self.seeds}
        return len(keys & self.book.runs.keys())

    def done(self) -> str:
        """What is in the journal, in words."""
        total = self.finished() + len(self.pending())
        return f"{self.book.path} has {self.finished()} of {plural(total, 'run')}"

    def result(self) -> CompareResult:
        """What the runs say so far."""
        result = analysed(
            CompareResult(
                schema_version=SCHEMA_VERSION,
                dataset=self.dataset,
                environment=self.environment,
                seeds=tuple(self.seeds),
                target=self.target,
                journal=str(self.book.path) if self.book.path else None,
                models=tuple(entrant.row(self.seeds, self.book.runs) for entrant in self.entrants),
            )
        )
        if self.baseline is None:
            return result
        protocols = {
            model.model: asdict(model.protocol) | {"precision": model.precision}
            for model in result.models
        }
        note = self.baseline.note(protocols)
        return with_baseline(result, str(self.baseline.path), self.baseline.accuracies, note)


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
