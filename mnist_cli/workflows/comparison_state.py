"""How far a comparison is: which runs are to come, and what those that are done say."""

import time
from dataclasses import dataclass

from mnist_cli.comparison import baseline
from mnist_cli.comparison.analysis import analysed
from mnist_cli.comparison.journal import Journal
from mnist_cli.comparison.sequential import seeds_needed
from mnist_cli.schema.comparison import LOOKS, SCHEMA_VERSION, CompareResult, Settling
from mnist_cli.schema.datasets import DatasetInfo
from mnist_cli.schema.events import RunsLeft
from mnist_cli.schema.options import LEAST_RUNS, CompareOptions
from mnist_cli.schema.results import Environment
from mnist_cli.workflows.entrant import Entrant


@dataclass(frozen=True)
class ComparisonState:
    """The entrants and their finished runs, which the journal holds, since `started`."""

    options: CompareOptions
    dataset: DatasetInfo
    environment: Environment
    entrants: list[Entrant]
    journal: Journal
    baseline: CompareResult | None
    started: float

    def result(self) -> CompareResult:
        """What the runs say so far."""
        settle = self.options.settle
        seeds = self._seeds()
        result = analysed(
            CompareResult(
                schema_version=SCHEMA_VERSION,
                dataset=self.dataset,
                environment=self.environment,
                seeds=tuple(seeds),
                target=self.options.target,
                journal=str(self.journal.path) if self.journal.path else None,
                seeds_changed=self.journal.seeds_changed,
                narrowed_from=self.journal.narrowed_from,
                models=tuple(entrant.row(seeds, self.journal.runs) for entrant in self.entrants),
                settling=Settling(settle.max_seeds) if settle else None,
                margin=self.options.margin,
                wall_seconds=time.monotonic() - self.started,
            )
        )
        if self.options.baseline and self.baseline:
            result = baseline.compared(result, self.options.baseline, self.baseline)
        return result

    def pending(self, result: CompareResult) -> list[tuple[Entrant, int]]:
        """The runs to come after `result`, in their order: all, or those until the next look."""
        needed = self._needed(result)
        return [
            (entrant, self.options.seed + position)
            for position in range(max(needed.values()))
            for entrant in self.entrants
            if position < needed[entrant.name]
            and not entrant.failure
            and (entrant.name, self.options.seed + position) not in self.journal.runs
        ]

    def left(self, result: CompareResult, slots: int) -> RunsLeft:
        """How many runs, and how long they take: at least, where some were never timed.

        `slots` of them are trained at once.
        """
        times = [entrant.usual_seconds for entrant, _ in self.pending(result)]
        known = [time for time in times if time is not None]
        look = max(self._needed(result).values()) if self.options.settle and times else None
        total = self.finished() + len(times)
        seconds = sum(known) / max(1, slots)  # there may be no worker for a moment
        return RunsLeft(total, len(times), seconds, at_least=len(known) < len(times), look=look)

    def finished(self) -> int:
        """How many runs are done."""
        keys = {(entrant.name, seed) for entrant in self.entrants for seed in self._seeds()}
        return len(keys & self.journal.runs.keys())

    def _needed(self, result: CompareResult) -> dict[str, int]:
        """How many seeds each network needs for now."""
        names = [entrant.name for entrant in self.entrants]
        if result.settling is None:
            return dict.fromkeys(names, self.options.seeds)
        least = LEAST_RUNS if self.baseline else 0
        return seeds_needed(names, result.verdicts, result.settling, least)

    def _seeds(self) -> range:
        """All seeds asked for; where seeds are added, as many as a network has, up to the most."""
        first, count = self.options.seed, self.options.seeds
        if self.options.settle:
            done = [seed - first + 1 for _, seed in self.journal.runs]
            count = min(max([LOOKS[0], *done]), self.options.settle.max_seeds)
        return range(first, first + count)
