"""`compare`: several networks under one protocol, with the same seeds."""

import time
from collections.abc import Iterator

from mnist_cli.comparison import baseline, journal
from mnist_cli.comparison.conditions import conditions
from mnist_cli.comparison.sequential import expected_half_width
from mnist_cli.comparison.verdicts import number_of_comparisons
from mnist_cli.data import datasets
from mnist_cli.errors import MnistCliError, Terminated
from mnist_cli.execution.choice import executing
from mnist_cli.execution.executor import Executor
from mnist_cli.schema.comparison import LOOKS, CompareResult, Outcome, Run
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
    TrainingProgress,
)
from mnist_cli.schema.options import CompareOptions
from mnist_cli.schema.runs import RunTask
from mnist_cli.workflows.comparison_state import ComparisonState
from mnist_cli.workflows.entrant import Entrant


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
    earlier = baseline.load_baseline(options.baseline) if options.baseline else None
    with executing(options, on_event) as executor:
        environment = executor.environment()
        measurements = executor.measure(options.entries)
        entrants = list(map(Entrant, options.entries, measurements))
        dataset = datasets.load(options.data, on_event)
        if options.baseline and earlier:
            names = [entrant.name for entrant in entrants]
            baseline.check_comparable(options.baseline, earlier, names, dataset.info)
        _warn_of_fine_margin(options, dataset.info.num_test, on_event)
        most = LOOKS[-1] if options.settle else options.seeds
        seeds = range(options.seed, options.seed + most)
        rows = [entrant.row((), {}) for entrant in entrants]
        settling = f"until settled from {options.seed} on"
        how_many = settling if options.settle else "fixed"
        kind = conditions(rows, dataset.info, environment, options.target, how_many)
        with journal.opened(options.journal, kind, seeds, on_event) as kept:
            for entrant in entrants:
                if entrant.failure:
                    on_event(NetworkUnusable(entrant.name))
                for oddity in entrant.measured.oddities:
                    on_event(oddity)
            executor.hand_over(dataset)
            state = ComparisonState(
                options, dataset.info, environment, entrants, kept, earlier, started
            )
            yield from _train_all(state, executor, on_event)


def _train_all(
    state: ComparisonState, executor: Executor, on_event: OnEvent
) -> Iterator[CompareResult]:
    """Do the pending runs, as many at once as there are slots; the journal keeps each.

    Which runs these are depends on the results alone, not on the order in which they arrive.
    """
    kept, options = state.journal, state.options
    path = str(kept.path) if kept.path else None
    result = state.result()
    if path and kept.runs:
        left = len(state.pending(result))
        on_event(JournalFound(path, state.finished(), state.finished() + left))
    _report_looks(None, result, on_event)
    on_event(state.left(result, executor.slots))
    yield result
    by_name = {entrant.name: entrant for entrant in state.entrants}
    running: dict[tuple[str, int], float] = {}  # since when

    def on_progress(task: RunTask, worker: str, epoch: int, step: int, steps: int) -> None:
        name, epochs = task.entry.name, task.entry.protocol.epochs
        on_event(TrainingProgress(name, shown(task.seed), epoch, epochs, step, steps, worker))

    def shown(seed: int) -> int | None:
        return None if options.settle is None and options.seeds == 1 else seed

    out_of_time = False
    try:
        while True:
            pending = state.pending(result)
            for entrant, seed in pending:
                if out_of_time or len(running) >= executor.slots:
                    break
                if (entrant.name, seed) not in running:
                    out_of_time = _out_of_time(options, state.started, entrant)
                    if not out_of_time:
                        running[entrant.name, seed] = time.monotonic()
                        executor.submit(entrant.task(seed, options.target))
            if not running and (out_of_time or not pending):
                break  # else there is no worker just now, and one may come
            done = executor.next(on_progress)
            for task, outcome in done:
                entrant = by_name[task.entry.name]
                seconds = time.monotonic() - running.pop((entrant.name, task.seed))
                if isinstance(outcome, Run):
                    entrant.took(seconds)
                else:
                    entrant.failed(task.seed, outcome)
            if not done:
                continue
            kept.add_all([(task.entry.name, run) for task, run in done if isinstance(run, Run)])
            before, result = result, state.result()
            remaining = state.left(result, executor.slots)
            for task, outcome in done:
                name, epochs = task.entry.name, task.entry.protocol.epochs
                if isinstance(outcome, Run):
                    on_event(RunFinished(name, shown(task.seed), epochs, outcome, remaining))
                else:
                    on_event(RunFailed(name, remaining))
            _report_looks(before, result, on_event)
            yield result
        if out_of_time:
            open_pairs = [v for v in result.verdicts if v.outcome == Outcome.OPEN]
            on_event(TimeLimitReached(len(open_pairs), path))
        else:
            kept.finish()
    except (KeyboardInterrupt, Terminated, MnistCliError):
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
