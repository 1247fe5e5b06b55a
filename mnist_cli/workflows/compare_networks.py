"""`compare` with networks: trains them with the same seeds, and analyses the runs."""

import time
from collections.abc import Callable, Iterator, Sequence

from mnist_cli.comparison import baseline, journal
from mnist_cli.comparison.best import number_of_comparisons
from mnist_cli.comparison.conditions import conditions
from mnist_cli.comparison.sequential import expected_half_width
from mnist_cli.data import datasets
from mnist_cli.errors import MnistCliError, Terminated
from mnist_cli.execution.executor import Executor, executing
from mnist_cli.formatting import plural
from mnist_cli.schema import events
from mnist_cli.schema.comparison import LOOKS, CompareResult, Outcome, Run
from mnist_cli.schema.datasets import FEW_TEST_IMAGES, NUM_CLASSES
from mnist_cli.schema.events import OnEvent
from mnist_cli.schema.options import CompareOptions
from mnist_cli.schema.runs import RunTask
from mnist_cli.workflows.comparison_state import Comparison, Entrant
from mnist_cli.workflows.shared import warn_of_busy_cpus


def compare_networks(
    options: CompareOptions, on_event: OnEvent, clock: Callable[[], float] = time.monotonic
) -> Iterator[CompareResult]:
    """Train every network with every seed; yield the result before the first and after each run.

    The runs go seed by seed, so that a machine that slows down affects all networks. Only network,
    protocol, seed and data decide a run. Runs in the journal are not repeated. A network that fails
    has the reason in its row, and no further runs. With `settle`, networks get more seeds until
    each pair is settled or the best is found, the time is over, or the maximum number of seeds is
    reached.
    """
    started = clock()
    earlier = baseline.load_baseline(options.baseline) if options.baseline else None
    own = datasets.load_own(options.data, on_event)  # which networks depend on its classes
    num_classes = len(own.info.classes) if own else NUM_CLASSES
    with executing(options, on_event, num_classes) as executor:
        environment, measured = executor.measure_all(options.entries)
        entrants = {each.name: each for each in map(Entrant, options.entries, measured)}
        dataset = own or datasets.load(options.data, on_event)
        if options.baseline and earlier:
            baseline.check_comparable(options.baseline, earlier, list(entrants), dataset.info)
        most = LOOKS[-1] if options.settle else options.seeds
        seeds = range(options.seed, options.seed + most)
        rows = [entrant.row for entrant in entrants.values()]
        settle = options.settle
        how_many = f"{settle.goal} from {options.seed} on" if settle else "fixed"
        kind = conditions(rows, dataset.info, environment, options.target, how_many)
        with journal.opened(options.journal, kind, seeds, on_event) as kept:
            executor.hand_over(dataset)
            comparison = Comparison(
                *(options, entrants, dataset.info, environment, kept, earlier),
                elapsed=lambda: clock() - started,
            )
            yield from _train_all(comparison, executor, on_event)


def _train_all(
    comparison: Comparison, executor: Executor, on_event: OnEvent
) -> Iterator[CompareResult]:
    """Train the pending runs, as many at once as there are slots, and save each in the journal."""
    for warning in _list_warnings(comparison):
        on_event(events.Notice(warning))
    _report_looks(None, comparison.result, on_event)
    on_event(comparison.left(executor.slots))
    if comparison.options.execution.in_process and comparison.pending():
        warn_of_busy_cpus(comparison.environment, on_event)
    yield comparison.result

    def on_progress(task: RunTask, worker: str, epoch: int, step: int, steps: int) -> None:
        name, epochs = task.entry.name, task.entry.protocol.epochs
        seed = _shown_seed(comparison.options, task)
        on_event(events.TrainingProgress(name, seed, epoch, epochs, step, steps, worker))

    try:
        while True:
            tasks = comparison.begin_runs(executor.slots)
            if comparison.ended:
                break  # else runs may be pending without a worker, and one may join
            done = executor.train_all(tasks, on_progress)
            if done:
                before = comparison.result
                comparison.record(done)
                yield comparison.result  # the caller has the result before the events
                _report_runs(done, comparison, executor.slots, on_event)
                _report_looks(before, comparison.result, on_event)
        if comparison.out_of_time:
            on_event(events.Notice(_describe_time_limit(comparison)))
        else:
            comparison.journal.finish()
        _warn_of_changed_code(comparison, on_event)
    except (KeyboardInterrupt, Terminated, MnistCliError):
        if comparison.journal.path:
            kept = f"{_describe_journal(comparison)}; the same command continues"
            on_event(events.Notice(kept))
        raise


def _list_warnings(comparison: Comparison) -> Iterator[str]:
    """What the user should know before the first run."""
    yield from _list_wide_intervals(comparison.result)
    for entrant in comparison.entrants.values():
        if entrant.failure:
            yield f"{entrant.failure}; it is not trained"
        yield from entrant.notices
    if comparison.journal.path and comparison.finished():
        left = "" if comparison.pending() else "; nothing is left to train"
        yield f"{_describe_journal(comparison)}{left}"


def _list_wide_intervals(result: CompareResult) -> Iterator[str]:
    """Whether the expected intervals are too wide for the margin, or for any but large differences.

    One seed gives no interval, and one network no difference.
    """
    num_test, settling = result.dataset.num_test, result.settling
    images = f"{num_test:,} {result.dataset.evaluated_on} images"
    seeds = settling.max_seeds if settling else len(result.seeds)
    comparisons: float = len(result.pairs) * result.number_of_looks
    if settling and settling.find_best:
        comparisons = number_of_comparisons(len(result.models), result.number_of_looks)
    if seeds < 2 or not comparisons:
        return
    half_width = expected_half_width(comparisons, seeds, num_test)
    if result.margin is not None and half_width > result.margin:
        yield (
            f"--margin {result.margin:g} is unlikely to be met with {images} and {seeds} seeds: "
            f"expect intervals of about ±{half_width:.2g}"
        )
    if num_test < FEW_TEST_IMAGES and result.pairs and result.target is None:
        yield (
            f"{images} are few: with {seeds} seeds, expect no verdict on differences below about "
            f"{half_width * 100:.0f} points"
        )


def _warn_of_changed_code(comparison: Comparison, on_event: OnEvent) -> None:
    for entrant in comparison.entrants.values():
        if files := entrant.changed_files():
            changed = f"{', '.join(files)} of {entrant.name} changed during the comparison"
            on_event(events.Notice(f"{changed}, which trained it as it was"))


def _report_runs(
    done: Sequence[tuple[RunTask, Run | str]], comparison: Comparison, slots: int, on_event: OnEvent
) -> None:
    remaining = comparison.left(slots)
    for task, outcome in done:
        name, epochs = task.entry.name, task.entry.protocol.epochs
        if isinstance(outcome, Run):
            seed = _shown_seed(comparison.options, task)
            evaluated_on = comparison.result.dataset.evaluated_on
            on_event(events.RunFinished(name, seed, epochs, outcome, remaining, evaluated_on))
        else:
            on_event(events.RunFailed(name, task.seed, outcome, remaining))


def _report_looks(before: CompareResult | None, result: CompareResult, on_event: OnEvent) -> None:
    """Report dropped networks, and pairs with a new verdict, or a new interval without one."""
    gone = {each.model for each in before.contenders if each.dropped_by} if before else set()
    dropped = [each for each in result.contenders if each.dropped_by and each.model not in gone]
    if dropped:
        on_event(events.NetworksDropped(tuple(dropped)))
    known = set(before.verdicts) if before else set()
    new = tuple(verdict for verdict in result.verdicts if verdict not in known)
    if result.settling and new:
        on_event(events.PairsLookedAt(new, result.margin, result.settling))


def _shown_seed(options: CompareOptions, task: RunTask) -> int | None:
    return None if options.settle is None and options.seeds == 1 else task.seed


def _describe_journal(comparison: Comparison) -> str:
    finished = comparison.finished()
    total = finished + len(comparison.pending())
    return f"{finished} of {plural(total, 'run')} are in {comparison.journal.path}"


def _describe_time_limit(comparison: Comparison) -> str:
    result = comparison.result
    open_pairs = len([v for v in result.verdicts if v.outcome == Outcome.OPEN])
    state = "some runs were left"
    if open_pairs:
        state = f"{plural(open_pairs, 'pair')} without a verdict yet"
    elif result.contenders:
        state = f"{plural(len(result.remaining), 'network')} may be the best"
    way_on = "; the same command continues" if comparison.journal.path else ""
    return f"--time-limit leaves no time for another run: {state}{way_on}"
