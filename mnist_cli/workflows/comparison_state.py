"""The state of a comparison: its networks, running and pending runs, and the result."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from math import inf
from statistics import median

from mnist_cli.comparison import baseline, best
from mnist_cli.comparison.analysis import analyse
from mnist_cli.comparison.journal import Journal
from mnist_cli.comparison.sequential import seeds_needed
from mnist_cli.errors import MnistCliError
from mnist_cli.networks.identity import changed_files, code_sha256
from mnist_cli.schema.comparison import (
    LOOKS,
    SCHEMA_VERSION,
    CompareResult,
    ModelRuns,
    Run,
)
from mnist_cli.schema.datasets import DatasetInfo
from mnist_cli.schema.events import RunsLeft
from mnist_cli.schema.options import LEAST_RUNS, CompareOptions, Entry
from mnist_cli.schema.results import Environment
from mnist_cli.schema.runs import Measurement, RunTask


class Entrant:
    """A network in a comparison: its row without runs, the time of its runs, and why it failed."""

    def __init__(self, entry: Entry, measured: Measurement) -> None:
        cost, precision = measured.cost, measured.precision
        self.name = entry.name
        self.notices = measured.notices
        self.failure = measured.failure
        self.run_seconds: list[float] = []  # of whole runs, with evaluation
        self.row = ModelRuns(
            model=entry.name,
            parameters=cost.parameters if cost else None,
            total_parameters=cost.total_parameters if cost else None,
            mult_adds=cost.mult_adds if cost else None,
            protocol=entry.protocol,
            precision=str(precision) if precision else None,
            precision_reason=measured.precision_reason,
            runs=(),
            network=entry.model.name,
            varied=dict(entry.varied),
            code=code_sha256(entry.model),
        )
        self.entry = replace(entry, precision=precision or entry.precision)
        """With the precision of all its runs."""
        self._failed_seed = inf

    def changed_files(self) -> list[str]:
        """The files of its code that changed since the start."""
        now: dict[str, str] = {}
        with suppress(OSError, MnistCliError):  # a file is gone
            now = code_sha256(self.entry.model)
        return changed_files(self.row.code, now)

    def fail(self, seed: int, reason: str) -> None:
        """Record why a run failed; among several, the one with the first seed counts."""
        if seed < self._failed_seed:
            self._failed_seed, self.failure = seed, f"seed {seed}: {reason}"

    @property
    def usual_seconds(self) -> float | None:
        """The median time of a run; None before the first run."""
        return median(self.run_seconds) if self.run_seconds else None

    def add_runs(self, seeds: Sequence[int], finished: Mapping[tuple[str, int], Run]) -> ModelRuns:
        """The row with the runs before a failure, whatever the order in which runs finish."""
        runs = [finished.get((self.name, seed)) for seed in seeds if seed < self._failed_seed]
        return replace(self.row, runs=tuple(filter(None, runs)), failure=self.failure)


@dataclass
class Comparison:
    """The entrants with their runs; the journal has the finished runs.

    Only the results decide which runs are pending, not the order in which runs finish.
    """

    options: CompareOptions
    entrants: Mapping[str, Entrant]
    dataset: DatasetInfo
    environment: Environment
    journal: Journal
    earlier: CompareResult | None
    """The baseline."""
    elapsed: Callable[[], float]
    """Returns the seconds since the command started."""

    def __post_init__(self) -> None:
        self.out_of_time = False
        self._running: dict[tuple[str, int], float] = {}  # with the start time
        self.result = self._analyse()

    @property
    def ended(self) -> bool:
        """Whether no run is running or pending."""
        return not self._running and (self.out_of_time or not self.pending())

    def begin_runs(self, slots: int) -> list[RunTask]:
        """Choose the runs to start now, so that `slots` are running, or fewer if time is over."""
        tasks = []
        for entrant, seed in self.pending():
            if self.out_of_time or len(self._running) >= slots:
                break
            if (entrant.name, seed) in self._running:
                continue
            self.out_of_time = self._too_late_for(entrant)
            if not self.out_of_time:
                self._running[entrant.name, seed] = self.elapsed()
                tasks.append(RunTask(entrant.entry, seed, self.options.target))
        return tasks

    def record(self, done: Sequence[tuple[RunTask, Run | str]]) -> None:
        """Add runs that ended to the journal and the result; a string says why a run failed."""
        for task, outcome in done:
            entrant = self.entrants[task.entry.name]
            seconds = self.elapsed() - self._running.pop((entrant.name, task.seed))
            if isinstance(outcome, Run):
                entrant.run_seconds.append(seconds)
            else:
                entrant.fail(task.seed, outcome)
        self.journal.add_all([(task.entry.name, run) for task, run in done if isinstance(run, Run)])
        self.result = self._analyse()

    def pending(self) -> list[tuple[Entrant, int]]:
        """The unfinished runs, seed by seed: all, or those until the next look."""
        needed = self._count_needed_seeds()
        runs = [
            (entrant, self.options.seed + position)
            for position in range(max(needed.values()))
            for entrant in self.entrants.values()
            if position < needed[entrant.name] and not entrant.failure
        ]
        return [run for run in runs if (run[0].name, run[1]) not in self.journal.runs]

    def left(self, slots: int) -> RunsLeft:
        """How many runs are left, and how long they take with `slots` at once."""
        times = [entrant.usual_seconds for entrant, _ in self.pending()]
        known = [seconds for seconds in times if seconds is not None]
        look = max(self._count_needed_seeds().values()) if self.options.settle and times else None
        seconds = sum(known) / max(1, slots)  # there may be no worker for a moment
        at_least = len(known) < len(times)
        return RunsLeft(self.finished() + len(times), len(times), seconds, at_least, look)

    def finished(self) -> int:
        """The number of finished runs."""
        keys = product(self.entrants, self._list_seeds())
        return len(self.journal.runs.keys() & keys)

    def _analyse(self) -> CompareResult:
        seeds = self._list_seeds()
        finished = self.journal.runs
        rows = [entrant.add_runs(seeds, finished) for entrant in self.entrants.values()]
        result = analyse(
            CompareResult(
                schema_version=SCHEMA_VERSION,
                dataset=self.dataset,
                environment=self.environment,
                seeds=tuple(seeds),
                target=self.options.target,
                journal=str(self.journal.path) if self.journal.path else None,
                seeds_changed=self.journal.seeds_changed,
                narrowed_from=self.journal.narrowed_from,
                models=tuple(rows),
                settling=self.options.settle,
                margin=self.options.margin,
                wall_seconds=self.elapsed(),
            )
        )
        if self.options.baseline and self.earlier:
            result = baseline.compare(result, self.options.baseline, self.earlier)
        return result

    def _too_late_for(self, entrant: Entrant) -> bool:
        """Whether a run of `entrant` is likely to end after the time limit."""
        limit = self.options.time_limit
        return limit is not None and self.elapsed() + (entrant.usual_seconds or 0) > limit

    def _count_needed_seeds(self) -> dict[str, int]:
        if self.result.settling is None:
            return dict.fromkeys(self.entrants, self.options.seeds)
        if self.result.settling.find_best:
            return best.seeds_needed(self.entrants, self.result)
        least = LEAST_RUNS if self.earlier else 0
        return seeds_needed(self.entrants, self.result.verdicts, self.result.settling, least)

    def _list_seeds(self) -> range:
        """All requested seeds; if seeds are added, as many as the network with most runs has."""
        first, count = self.options.seed, self.options.seeds
        if self.options.settle:
            done = [seed - first + 1 for _, seed in self.journal.runs]
            count = min(max([LOOKS[0], *done]), self.options.settle.max_seeds)
        return range(first, first + count)
