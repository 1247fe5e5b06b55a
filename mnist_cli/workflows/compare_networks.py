"""`compare`: several networks under one protocol, with the same seeds."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from mnist_cli.comparison import baseline, journal
from mnist_cli.comparison.analysis import analysed, with_baseline
from mnist_cli.comparison.journal import Journal
from mnist_cli.data import datasets
from mnist_cli.errors import Terminated
from mnist_cli.networks.identity import code_sha256
from mnist_cli.schema.comparison import SCHEMA_VERSION, CompareResult
from mnist_cli.schema.datasets import DatasetInfo
from mnist_cli.schema.events import (
    ComparisonInterrupted,
    JournalFound,
    NetworkUnusable,
    OnEvent,
    RunFailed,
    RunFinished,
    RunsLeft,
)
from mnist_cli.schema.options import CompareOptions
from mnist_cli.schema.record import sealed
from mnist_cli.schema.results import Environment
from mnist_cli.training.device import environment, resolve_device
from mnist_cli.training.examples import Examples, to_device
from mnist_cli.workflows.entrant import Entrant
from mnist_cli.workflows.shared import reporting


def compare_networks(options: CompareOptions, on_event: OnEvent) -> Iterator[CompareResult]:
    """Train every network with every seed, and yield what is known before and after each run.

    The runs go seed by seed, so that a machine that slows down does so for all networks. A run
    depends on its network, protocol, seed and data, and not on what ran before it. Runs in the
    journal are not repeated. A network that fails has the reason in its row, and no further runs.

    Raises:
        UsageError: the device does not exist, or the journal or the baseline do not fit.
        MnistCliError: a network cannot be imported, or the data, journal or baseline fail.
    """
    device = resolve_device(options.device)
    earlier = baseline.load_baseline(options.baseline) if options.baseline else None
    entrants = [Entrant(entry) for entry in options.entries]
    dataset = datasets.load(options.data, on_event)
    if options.baseline and earlier:
        names = [entrant.name for entrant in entrants]
        baseline.check_comparable(options.baseline, earlier, names, dataset.info)
    examples, test = to_device(dataset.train, device), to_device(dataset.test, device)
    seeds = range(options.seed, options.seed + options.seeds)
    conditions = _conditions(options, dataset.info, device)
    with journal.opened(options.journal, conditions, seeds, on_event) as kept:
        for entrant in entrants:
            entrant.measure(device)
            if entrant.failure:
                on_event(NetworkUnusable(entrant.name))
            for oddity in entrant.oddities:
                on_event(oddity)
        state = _State(options, dataset.info, environment(device), seeds, entrants, kept, earlier)
        yield from _train_all(state, examples, test, on_event)


@dataclass(frozen=True)
class _State:
    """How far a comparison is."""

    options: CompareOptions
    dataset: DatasetInfo
    environment: Environment
    seeds: range
    entrants: list[Entrant]
    journal: Journal
    baseline: CompareResult | None

    def pending(self) -> list[tuple[Entrant, int]]:
        """The runs to come, in their order."""
        return [
            (entrant, seed)
            for seed in self.seeds
            for entrant in self.entrants
            if not entrant.failure and (entrant.name, seed) not in self.journal.runs
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
        return len(keys & self.journal.runs.keys())

    def result(self) -> CompareResult:
        """What the runs say so far."""
        result = analysed(
            CompareResult(
                schema_version=SCHEMA_VERSION,
                dataset=self.dataset,
                environment=self.environment,
                seeds=tuple(self.seeds),
                target=self.options.target,
                journal=str(self.journal.path) if self.journal.path else None,
                seeds_added=self.journal.seeds_added,
                models=tuple(
                    entrant.row(self.seeds, self.journal.runs) for entrant in self.entrants
                ),
            )
        )
        if self.baseline:
            note = baseline.differences(self.baseline, result.models)
            known = baseline.accuracies(self.baseline)
            result = with_baseline(result, str(self.options.baseline), known, note)
        return sealed(result)


def _train_all(
    state: _State, examples: Examples, test: Examples, on_event: OnEvent
) -> Iterator[CompareResult]:
    """Do the pending runs one after the other, each kept in the journal when it is finished."""
    kept, target = state.journal, state.options.target
    if kept.path and kept.runs:
        left = len(state.pending())
        on_event(JournalFound(str(kept.path), state.finished(), state.finished() + left))
    on_event(state.left())
    yield state.result()
    try:
        while pending := state.pending():
            entrant, seed = pending[0]
            shown_seed = seed if len(state.seeds) > 1 else None
            on_step = reporting(entrant.name, shown_seed, entrant.protocol.epochs, on_event)
            run = entrant.run_seed(seed, examples, test, target, on_step)
            if run:
                kept.add(entrant.name, run)
                epochs = entrant.protocol.epochs
                on_event(RunFinished(entrant.name, shown_seed, epochs, run, state.left()))
            else:
                on_event(RunFailed(entrant.name, state.left()))
            yield state.result()
        kept.finish()
    except (KeyboardInterrupt, Terminated):
        if kept.path:
            total = state.finished() + len(state.pending())
            on_event(ComparisonInterrupted(str(kept.path), state.finished(), total))
        raise


def _conditions(
    options: CompareOptions, dataset: DatasetInfo, device: torch.device
) -> dict[str, Any]:
    """All that decides the result of a run beside its seed; runs in one journal share it."""
    return {
        "models": {
            entry.name: {"code": code_sha256(entry.model)}
            | asdict(entry.protocol)
            | {"precision": entry.precision}
            for entry in options.entries
        },
        "dataset": asdict(dataset),
        "environment": asdict(environment(device)),
        "target": options.target,
    }
