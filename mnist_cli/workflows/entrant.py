"""A network in a comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median

from mnist_cli.networks.identity import code_sha256
from mnist_cli.schema.comparison import ModelRuns, Run
from mnist_cli.schema.options import Entry
from mnist_cli.schema.runs import Measurement, RunTask


class Entrant:
    """A network in a comparison: what it costs, how long it takes, and why it failed."""

    def __init__(self, entry: Entry, measured: Measurement) -> None:
        self.name = entry.name
        self.protocol = entry.protocol
        self.measured = measured
        self.failure = measured.failure
        self.code = code_sha256(entry.model)
        self._entry = entry
        self._failed_seed: int | None = None
        self._run_seconds: list[float] = []  # all of a run: making, warm-up and evaluation too

    def task(self, seed: int, target: float | None) -> RunTask:
        """A run of this network, in the number format that was decided for all of its runs."""
        assert self.measured.precision is not None  # one that cannot be measured is not trained
        return RunTask(replace(self._entry, precision=self.measured.precision), seed, target)

    def took(self, seconds: float) -> None:
        """Note how long a run took with all that is around it."""
        self._run_seconds.append(seconds)

    def failed(self, seed: int, reason: str) -> None:
        """Note why a run failed; of several, the one with the first seed counts."""
        if self._failed_seed is None or seed < self._failed_seed:
            self._failed_seed, self.failure = seed, f"seed {seed}: {reason}"

    @property
    def usual_seconds(self) -> float | None:
        """How long a run takes; None before the first."""
        return median(self._run_seconds) if self._run_seconds else None

    def row(self, seeds: Sequence[int], finished: Mapping[tuple[str, int], Run]) -> ModelRuns:
        """This network's part of the result: the same for any order in which runs finish."""
        cost = self.measured.cost
        before = [seed for seed in seeds if self._failed_seed is None or seed < self._failed_seed]
        return ModelRuns(
            model=self.name,
            parameters=cost.parameters if cost else None,
            total_parameters=cost.total_parameters if cost else None,
            mult_adds=cost.mult_adds if cost else None,
            protocol=self.protocol,
            precision=str(self.measured.precision) if self.measured.precision else None,
            runs=tuple(
                finished[self.name, seed] for seed in before if (self.name, seed) in finished
            ),
            failure=self.failure,
            network=self._entry.model.name,
            varied=dict(self._entry.varied),
            code=self.code,
        )
