"""How far a comparison is: which runs are under way and to come, and what the others say."""

import time
from collections.abc import Callable, Sequence

from mnist_cli.comparison import baseline
from mnist_cli.comparison.analysis import analyse
from mnist_cli.comparison.journal import Journal
from mnist_cli.comparison.sequential import seeds_needed
from mnist_cli.schema.comparison import LOOKS, SCHEMA_VERSION, CompareResult, Run, Settling
from mnist_cli.schema.datasets import DatasetInfo
from mnist_cli.schema.events import RunsLeft
from mnist_cli.schema.options import LEAST_RUNS, CompareOptions
from mnist_cli.schema.results import Environment
from mnist_cli.schema.runs import RunTask
from mnist_cli.workflows.entrant import Entrant


class Comparison:
    """The entrants with their runs; the journal holds those that are finished.

    Which runs are to come depends on the results alone, not on the order in which they arrive.
    """

    def __init__(
        self,
        options: CompareOptions,
        dataset: DatasetInfo,
        environment: Environment,
        entrants: Sequence[Entrant],
        journal: Journal,
        earlier: CompareResult | None,
        started: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`started` is what `clock`, which counts seconds, said when the command began."""
        self.options = options
        self.entrants = {entrant.name: entrant for entrant in entrants}
        self.journal = journal
        self.out_of_time = False
        self._dataset = dataset
        self._environment = environment
        self._baseline = earlier
        self._started = started
        self._clock = clock
        self._running: dict[tuple[str, int], float] = {}  # since when
        self.result = self._analyse()

    @property
    def ended(self) -> bool:
        """Whether no run is under way, and none is to come."""
        return not self._running and (self.out_of_time or not self.pending())

    def begin_runs(self, slots: int) -> list[RunTask]:
        """The runs to begin now, so that `slots` are under way, or fewer where time is up."""
        tasks = []
        for entrant, seed in self.pending():
            if self.out_of_time or len(self._running) >= slots:
                break
            if (entrant.name, seed) in self._running:
                continue
            self.out_of_time = self._too_late_for(entrant)
            if not self.out_of_time:
                self._running[entrant.name, seed] = self._clock()
                tasks.append(entrant.task(seed, self.options.target))
        return tasks

    def record(self, done: Sequence[tuple[RunTask, Run | str]]) -> None:
        """Take runs that ended, with why those that failed did; `result` knows them then.

        Raises:
            MnistCliError: the journal cannot be written.
        """
        for task, outcome in done:
            entrant = self.entrants[task.entry.name]
            seconds = self._clock() - self._running.pop((entrant.name, task.seed))
            if isinstance(outcome, Run):
                entrant.took(seconds)
            else:
                entrant.failed(task.seed, outcome)
        self.journal.add_all([(task.entry.name, run) for task, run in done if isinstance(run, Run)])
        self.result = self._analyse()

    def pending(self) -> list[tuple[Entrant, int]]:
        """The runs that are not finished, in their order: all, or those until the next look."""
        needed = self._needed()
        return [
            (entrant, self.options.seed + position)
            for position in range(max(needed.values()))
            for entrant in self.entrants.values()
            if position < needed[entrant.name]
            and not entrant.failure
            and (entrant.name, self.options.seed + position) not in self.journal.runs
        ]

    def left(self, slots: int) -> RunsLeft:
        """How many runs, and how long they take: at least, where some were never timed.

        `slots` of them are trained at once.
        """
        times = [entrant.usual_seconds for entrant, _ in self.pending()]
        known = [seconds for seconds in times if seconds is not None]
        look = max(self._needed().values()) if self.options.settle and times else None
        seconds = sum(known) / max(1, slots)  # there may be no worker for a moment
        at_least = len(known) < len(times)
        return RunsLeft(self.finished() + len(times), len(times), seconds, at_least, look)

    def finished(self) -> int:
        """How many runs are done."""
        keys = {(name, seed) for name in self.entrants for seed in self._seeds()}
        return len(keys & self.journal.runs.keys())

    def _analyse(self) -> CompareResult:
        settle = self.options.settle
        seeds = self._seeds()
        entrants = self.entrants.values()
        result = analyse(
            CompareResult(
                schema_version=SCHEMA_VERSION,
                dataset=self._dataset,
                environment=self._environment,
                seeds=tuple(seeds),
                target=self.options.target,
                journal=str(self.journal.path) if self.journal.path else None,
                seeds_changed=self.journal.seeds_changed,
                narrowed_from=self.journal.narrowed_from,
                models=tuple(entrant.row(seeds, self.journal.runs) for entrant in entrants),
                settling=Settling(settle.max_seeds) if settle else None,
                margin=self.options.margin,
                wall_seconds=self._clock() - self._started,
            )
        )
        if self.options.baseline and self._baseline:
            result = baseline.compare(result, self.options.baseline, self._baseline)
        return result

    def _too_late_for(self, entrant: Entrant) -> bool:
        """Whether a run of `entrant` would probably end after the time limit."""
        limit = self.options.settle.time_limit if self.options.settle else None
        if limit is None:
            return False
        return self._clock() - self._started + (entrant.usual_seconds or 0) > limit

    def _needed(self) -> dict[str, int]:
        """How many seeds each network needs for now."""
        if self.result.settling is None:
            return dict.fromkeys(self.entrants, self.options.seeds)
        least = LEAST_RUNS if self._baseline else 0
        return seeds_needed(self.entrants, self.result.verdicts, self.result.settling, least)

    def _seeds(self) -> range:
        """All seeds asked for; where seeds are added, as many as a network has, up to the most."""
        first, count = self.options.seed, self.options.seeds
        if self.options.settle:
            done = [seed - first + 1 for _, seed in self.journal.runs]
            count = min(max([LOOKS[0], *done]), self.options.settle.max_seeds)
        return range(first, first + count)
