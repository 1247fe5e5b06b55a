"""`compare`: several networks under one protocol, with the same seeds."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import torch

from mnist_cli.comparison import baseline, journal
from mnist_cli.comparison.sequential import expected_half_width
from mnist_cli.comparison.verdicts import number_of_comparisons
from mnist_cli.data import datasets
from mnist_cli.errors import Terminated
from mnist_cli.networks.identity import code_sha256
from mnist_cli.schema.comparison import LOOKS, CompareResult, Outcome
from mnist_cli.schema.datasets import DatasetInfo
from mnist_cli.schema.events import (
    ComparisonInterrupted,
    JournalFound,
    MarginTooFine,
    NetworkUnusable,
    OnEvent,
    PairsLookedAt,
    RunFailed,
    RunFinished,
    TimeLimitReached,
)
from mnist_cli.schema.options import CompareOptions
from mnist_cli.training.device import environment, resolve_device
from mnist_cli.training.examples import Examples, to_device
from mnist_cli.workflows.comparison_state import ComparisonState
from mnist_cli.workflows.entrant import Entrant
from mnist_cli.workflows.shared import reporting


def compare_networks(options: CompareOptions, on_event: OnEvent) -> Iterator[CompareResult]:
    """Train every network with every seed, and yield what is known before and after each run.

    The runs go seed by seed, so that a machine that slows down does so for all networks. A run
    depends on its network, protocol, seed and data, and not on what ran before it. Runs in the
    journal are not repeated. A network that fails has the reason in its row, and no further runs.
    Where entries are to be settled, seeds go on for those that are not, until there is none left,
    no time, or the most seeds were used.

    Raises:
        UsageError: the device does not exist, or the journal or the baseline do not fit.
        MnistCliError: a network cannot be imported, or the data, journal or baseline fail.
    """
    started = time.monotonic()
    device = resolve_device(options.device)
    earlier = baseline.load_baseline(options.baseline) if options.baseline else None
    entrants = [Entrant(entry) for entry in options.entries]
    dataset = datasets.load(options.data, on_event)
    if options.baseline and earlier:
        names = [entrant.name for entrant in entrants]
        baseline.check_comparable(options.baseline, earlier, names, dataset.info)
    _warn_of_fine_margin(options, dataset.info.num_test, on_event)
    examples, test = to_device(dataset.train, device), to_device(dataset.test, device)
    most = LOOKS[-1] if options.settle else options.seeds
    seeds = range(options.seed, options.seed + most)
    conditions = _conditions(options, dataset.info, device)
    with journal.opened(options.journal, conditions, seeds, on_event) as kept:
        for entrant in entrants:
            entrant.measure(device)
            if entrant.failure:
                on_event(NetworkUnusable(entrant.name))
            for oddity in entrant.oddities:
                on_event(oddity)
        state = ComparisonState(options, dataset.info, environment(device), entrants, kept, earlier)
        yield from _train_all(state, examples, test, started, on_event)


def _train_all(
    state: ComparisonState, examples: Examples, test: Examples, started: float, on_event: OnEvent
) -> Iterator[CompareResult]:
    """Do the pending runs one after the other, each kept in the journal when it is finished."""
    kept, options = state.journal, state.options
    path = str(kept.path) if kept.path else None
    result = state.result()
    if path and kept.runs:
        left = len(state.pending(result))
        on_event(JournalFound(path, state.finished(), state.finished() + left))
    _report_looks(None, result, on_event)
    on_event(state.left(result))
    yield result
    try:
        while pending := state.pending(result):
            entrant, seed = pending[0]
            if _out_of_time(options, started, entrant):
                open_pairs = [v for v in result.verdicts if v.outcome == Outcome.OPEN]
                on_event(TimeLimitReached(len(open_pairs), path))
                return
            shown_seed = None if options.settle is None and options.seeds == 1 else seed
            on_step = reporting(entrant.name, shown_seed, entrant.protocol.epochs, on_event)
            run = entrant.run_seed(seed, examples, test, options.target, on_step)
            if run:
                kept.add(entrant.name, run)
            before, result = result, state.result()
            remaining = state.left(result)
            if run:
                epochs = entrant.protocol.epochs
                on_event(RunFinished(entrant.name, shown_seed, epochs, run, remaining))
            else:
                on_event(RunFailed(entrant.name, remaining))
            _report_looks(before, result, on_event)
            yield result
        kept.finish()
    except (KeyboardInterrupt, Terminated):
        if path:
            total = state.finished() + len(state.pending(result))
            on_event(ComparisonInterrupted(path, state.finished(), total))
        raise


def _report_looks(before: CompareResult | None, result: CompareResult, on_event: OnEvent) -> None:
    """Tell which pairs have a new verdict, or a new interval without one."""
    known = set(before.verdicts) if before else set()
    new = tuple(verdict for verdict in result.verdicts if verdict not in known)
    if result.settling and new:
        on_event(PairsLookedAt(new, result.margin, result.settling))


def _out_of_time(options: CompareOptions, started: float, entrant: Entrant) -> bool:
    """Whether a run of `entrant` would probably end after the time limit."""
    limit = options.settle.time_limit if options.settle else None
    if limit is None:
        return False
    return time.monotonic() - started + (entrant.usual_seconds or 0) > limit


def _warn_of_fine_margin(options: CompareOptions, num_test: int, on_event: OnEvent) -> None:
    seeds = options.settle.max_seeds if options.settle else options.seeds
    if options.margin is None or seeds < 2:
        return
    looks = len(LOOKS) if options.settle else 1
    comparisons = number_of_comparisons(len(options.entries), looks)
    half_width = expected_half_width(comparisons, seeds, num_test)
    if half_width > options.margin:
        on_event(MarginTooFine(options.margin, half_width, seeds, num_test))


def _conditions(
    options: CompareOptions, dataset: DatasetInfo, device: torch.device
) -> dict[str, Any]:
    """All that decides the result of a run beside its seed; runs in one journal share it.

    How the number of seeds is decided is one of them: verdicts at the full 5 % of a fixed number,
    and then others while seeds are added to it, would be false in more than 5 %.
    """
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
        "number of seeds": f"until settled from {options.seed} on" if options.settle else "fixed",
    }
