"""The thresholds of a script, and their verdicts."""

from dataclasses import dataclass
from enum import StrEnum

from mnist_cli.schema.comparison import Estimate


class GateVerdict(StrEnum):
    """Whether the runs meet a threshold; a command fails only with NOT_MET."""

    MET = "met"
    NOT_MET = "not met"
    NOT_PROVEN = "not proven"
    """The interval has values on both sides of the threshold, or there is none yet."""


@dataclass(frozen=True)
class Gate:
    """One threshold of one network, and its verdict."""

    network: str
    """Empty if there is only one network."""
    option: str
    """`--min-accuracy`, `--max-seconds` or `--fail-on-regression`."""
    verdict: GateVerdict
    limit: float | None = None
    """The threshold: a fraction or seconds; none for a regression."""
    value: Estimate | None = None
    """The estimate that is compared with the threshold, if there is one."""
    reason: str = ""
    """What decided instead of `value`, such as `did not learn with seed 4 (11.35 %)`."""
    since: str = ""
    """The file of the baseline, for a regression."""
    evaluated_on: str = "test"
    """What accuracies are about: `test` or `validation` images."""
