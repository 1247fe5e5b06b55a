"""The loop of a comparison with a made-up clock and made-up runs: nothing is trained."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mnist_cli.data.dataset import Dataset
from mnist_cli.errors import MnistCliError
from mnist_cli.networks.registry import resolve
from mnist_cli.schema import events
from mnist_cli.schema.comparison import CompareResult, Run, Settling
from mnist_cli.schema.datasets import DatasetName
from mnist_cli.schema.events import Event, Notice, RunFailed, RunFinished, RunsLeft
from mnist_cli.schema.options import CompareOptions, DataOptions, Entry
from mnist_cli.schema.protocol import Precision, Settings
from mnist_cli.schema.results import Environment, ModelSummary
from mnist_cli.schema.runs import Measurement, OnProgress, RunTask
from mnist_cli.training.recipes import protocol_of
from mnist_cli.workflows import compare_networks as workflow
from tests.made_up import MACHINE

COST = ModelSummary("net", 64, 100, 100, 6400, 0.1, 0.1, 0.1, 0.3, ())
Outcome = float | str | BaseException
Accuracies = Callable[[str, int], Outcome]


@dataclass
class Made:
    """An executor that makes runs up, and the clock that they move.

    `accuracy` tells what becomes of a network with a seed: an accuracy, a failure, or an exception
    in place of it. `order` chooses which of the runs under way ends next, and `slots_after` how
    many slots there are once so many runs have ended.
    """

    accuracy: Accuracies
    seconds: dict[str, float] = field(default_factory=dict)
    order: Callable[[int], int] = lambda count: 0
    slots_after: Callable[[int], int] = lambda ended: 1
    failures: dict[str, str] = field(default_factory=dict)
    now: float = 100.0
    ended: int = 0
    submitted: list[tuple[str, int]] = field(default_factory=list)
    most_at_once: int = 0
    _tasks: list[RunTask] = field(default_factory=list)

    @property
    def slots(self) -> int:
        return self.slots_after(self.ended)

    def measure_all(self, entries: Sequence[Entry]) -> tuple[Environment, list[Measurement]]:
        self.now += 1
        return MACHINE, [
            Measurement(failure=self.failures[entry.name])
            if entry.name in self.failures
            else Measurement(COST, Precision.FP32, notices=(f"{entry.name} is odd",))
            for entry in entries
        ]

    def hand_over(self, dataset: Dataset) -> None:
        assert dataset.info.name == "mnist5k"

    def train_all(
        self, tasks: Sequence[RunTask], on_progress: OnProgress
    ) -> list[tuple[RunTask, Run | str]]:
        self.submitted += [(task.entry.name, task.seed) for task in tasks]
        self._tasks += tasks
        self.most_at_once = max(self.most_at_once, len(self._tasks))
        if not self._tasks:
            self.ended += 1  # a worker comes
            return []
        task = self._tasks.pop(self.order(len(self._tasks)))
        on_progress(task, "", 1, 1, 2)
        name = task.entry.name
        self.now += self.seconds.get(name, 10.0)
        self.ended += 1
        outcome = self.accuracy(name, task.seed)
        if isinstance(outcome, BaseException):
            raise outcome
        if isinstance(outcome, str):
            return [(task, outcome)]
        return [(task, Run(task.seed, 1, outcome, 0.1, 2.0))]


Compare = Callable[..., tuple[list[CompareResult], list[Event]]]


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch) -> Compare:
    def run(
        made: Made, *names: str, until: type[BaseException] | None = None, **given: object
    ) -> tuple[list[CompareResult], list[Event]]:
        @contextmanager
        def executing(*_: object) -> Iterator[Made]:
            yield made

        monkeypatch.setattr(workflow, "executing", executing)
        specs = [resolve(name) for name in names]
        entries = tuple(Entry(spec, protocol_of(Settings(epochs=1), spec)) for spec in specs)
        data = DataOptions(DatasetName.MNIST5K)
        options = CompareOptions(entries, data, **given)  # type: ignore[arg-type]
        results: list[CompareResult] = []
        told: list[Event] = []
        with pytest.raises(until) if until else nullcontext():
            results.extend(workflow.compare_networks(options, told.append, lambda: made.now))
        return results, told

    return run


def steady(name: str, seed: int) -> float:
    """Accuracies that differ by a point, with a spread of an image or two."""
    return {"mlp": 0.90, "tinycnn": 0.91, "cnn": 0.96}[name] + 0.001 * (seed % 3)


def swinging(name: str, seed: int) -> float:
    """Accuracies that it takes ten seeds to tell apart."""
    return 0.9 if name == "mlp" else 0.91 + 0.006 * (-1) ** seed


def texts(told: list[Event]) -> list[str]:
    return [event.text for event in told if isinstance(event, Notice)]


def left(told: list[Event]) -> list[RunsLeft]:
    shown = [event for event in told if isinstance(event, RunsLeft | RunFinished | RunFailed)]
    return [event if isinstance(event, RunsLeft) else event.remaining for event in shown]


def test_code_that_is_edited_during_a_comparison_is_told(compare: Compare) -> None:
    code = Path("nets.py")

    def edited(name: str, seed: int) -> Outcome:
        if seed == 1:
            code.unlink() if deletes else code.write_text("def net(): return 2")
        return 0.9

    for deletes in (False, True):
        code.write_text("def net(): return 1")
        _, told = compare(Made(edited), "nets.py:net", seeds=1)
        assert not any("nets.py" in text for text in texts(told)[1:])
        _, told = compare(Made(edited), "nets.py:net", seeds=2, journal=Path(f"{deletes}.jsonl"))
        assert texts(told)[-1] == (
            "nets.py of nets.py:net changed during the comparison, which trained it as it was"
        )


def test_runs_go_seed_by_seed_and_fill_the_slots(compare: Compare) -> None:
    made = Made(steady, slots_after=lambda ended: 2)
    results, told = compare(made, "mlp", "cnn", seeds=3)
    order = [(name, seed) for seed in range(3) for name in ("mlp", "cnn")]
    assert (made.submitted, made.most_at_once) == (order, 2)
    assert [len(r.models[0].runs) + len(r.models[1].runs) for r in results] == list(range(7))
    assert texts(told)[:2] == ["mlp is odd", "cnn is odd"]
    assert results[-1].wall_seconds == 1 + 6 * 10


@pytest.mark.parametrize("slots", [1, 2, 3, 7])
def test_no_more_runs_are_under_way_than_there_are_slots(compare: Compare, slots: int) -> None:
    made = Made(steady, slots_after=lambda ended: slots)
    compare(made, "mlp", "cnn", seeds=5)
    assert made.most_at_once == slots


def test_slots_come_and_go(compare: Compare) -> None:
    made = Made(steady, slots_after=lambda ended: (2, 0, 1, 4)[ended % 4])
    results, told = compare(made, "mlp", "cnn", seeds=4)
    assert [len(row.runs) for row in results[-1].models] == [4, 4]
    assert left(told)[-1].left == 0


def test_the_order_of_arrival_changes_nothing(compare: Compare) -> None:
    def shown(order: Callable[[int], int], slots: int) -> tuple[object, ...]:
        made = Made(steady, order=order, slots_after=lambda ended: slots)
        result = compare(made, "mlp", "tinycnn", seeds=5, journal=Path(f"{slots}.jsonl"))[0][-1]
        return tuple(row.runs for row in result.models), result.verdicts

    assert shown(lambda count: 0, 1) == shown(lambda count: count - 1, 4)
    first, second = (Path(f"{slots}.jsonl").read_text() for slots in (1, 4))
    assert first == second


def test_time_left_is_shared_by_the_slots(compare: Compare) -> None:
    made = Made(steady, {"mlp": 4.0, "cnn": 20.0}, slots_after=lambda ended: 2)
    _, told = compare(made, "mlp", "cnn", seeds=2)
    shown = [(each.left, each.seconds, each.at_least) for each in left(told)]
    # Of the second run, 24 s are known: it began with the first, which took 4 of them.
    assert shown == [
        (4, 0, True),
        (3, 4 / 2, True),
        (2, (4 + 24) / 2, False),
        (1, 24 / 2, False),
        (0, 0, False),
    ]


def test_usual_is_the_median_of_what_was_seen(compare: Compare) -> None:
    seconds = {"mlp": 1.0}

    def slower(name: str, seed: int) -> float:
        seconds["mlp"] = (1.0, 100.0, 3.0, 3.0)[min(seed + 1, 3)]
        return steady(name, seed)

    _, told = compare(Made(slower, seconds), "mlp", seeds=5)
    assert [each.seconds for each in left(told)] == [0, 4.0, 3 * 50.5, 2 * 3.0, 3.0, 0]


@pytest.mark.parametrize(("limit", "runs"), [(30.99, 2), (31.0, 3), (41.0, 4), (0.5, 0)])
def test_a_run_that_would_end_too_late_is_not_begun(
    compare: Compare, limit: float, runs: int
) -> None:
    """Measuring takes a second, and each run ten: what a network took before is expected again."""
    settle = Settling(40)
    results, told = compare(Made(swinging), "mlp", "cnn", settle=settle, time_limit=limit)
    assert sum(len(row.runs) for row in results[-1].models) == runs
    assert texts(told)[-1].startswith("--time-limit leaves no time for another run: some runs were")
    lines = Path(str(results[-1].journal)).read_text().splitlines()
    assert len(lines) == 1 + runs
    assert not any('"finished": true' in line for line in lines)


def test_open_pairs_are_counted_when_time_is_up(compare: Compare) -> None:
    _, told = compare(Made(swinging), "mlp", "cnn", settle=Settling(40), time_limit=95)
    assert "1 pair without a verdict yet; the same command continues" in texts(told)[-1]


def test_runs_under_way_are_waited_for_when_time_is_up(compare: Compare) -> None:
    made = Made(swinging, slots_after=lambda ended: 3)
    results, _ = compare(made, "mlp", "cnn", settle=Settling(40), time_limit=30)
    assert sum(len(row.runs) for row in results[-1].models) == len(made.submitted) == 4


@pytest.mark.parametrize("most", [4, 5, 6, 9, 10])
def test_seeds_are_added_up_to_the_most_and_no_further(compare: Compare, most: int) -> None:
    made = Made(swinging)
    results, told = compare(made, "mlp", "cnn", settle=Settling(most))
    used = max(seed for _, seed in made.submitted) + 1
    assert used <= most
    assert results[-1].seeds == tuple(range(used))
    assert {each.look for each in left(told)} <= {None, 4, 5, 7, 10}
    assert left(told)[-1].look is None
    looks = [event.verdicts for event in told if isinstance(event, events.PairsLookedAt)]
    looked = [verdict.difference.n for [verdict] in looks]
    assert looked == [n for n in (4, 5, 7, 10) if n <= used]


def test_a_journal_with_more_seeds_than_may_be_used(compare: Compare) -> None:
    kept = Path("runs.jsonl")
    compare(Made(swinging), "mlp", "cnn", settle=Settling(10), journal=kept)
    made = Made(swinging)
    results, _ = compare(made, "mlp", "cnn", settle=Settling(6), journal=kept)
    assert made.submitted == []
    assert results[-1].seeds == tuple(range(6))
    assert [len(row.runs) for row in results[-1].models] == [6, 6]


def test_seeds_are_added_for_open_pairs_only(compare: Compare) -> None:
    def mixed(name: str, seed: int) -> float:
        return 0.5 if name == "strongcnn" else swinging(name, seed)

    made = Made(mixed)
    compare(made, "mlp", "strongcnn", "cnn", settle=Settling(10))
    counts = Counter(name for name, _ in made.submitted)
    assert counts["strongcnn"] < counts["mlp"] == counts["cnn"]


def test_the_best_is_looked_for_whatever_the_order_of_arrival(compare: Compare) -> None:
    def close(name: str, seed: int) -> float:
        return 0.5 if name == "mlp" else swinging("cnn", (seed * len(name)) % 7)

    def search(order: Callable[[int], int], slots: int) -> tuple[object, list[tuple[str, int]]]:
        made = Made(close, order=order, slots_after=lambda ended: slots)
        settle = Settling(14, find_best=True)
        names, kept = ("mlp", "cnn", "tinycnn"), Path(f"{slots}.jsonl")
        results, told = compare(made, *names, settle=settle, journal=kept)
        [dropped] = [event.dropped for event in told if isinstance(event, events.NetworksDropped)]
        assert [each.model for each in dropped] == ["mlp"]
        return results[-1].contenders, sorted(made.submitted)

    contenders, submitted = search(lambda count: 0, 1)
    assert search(lambda count: count - 1, 5) == (contenders, submitted)
    assert [seed for name, seed in submitted if name == "mlp"] == [0, 1, 2, 3]
    assert ("cnn", 6) in submitted


def test_what_may_be_the_best_is_counted_when_time_is_up(compare: Compare) -> None:
    settle = Settling(40, find_best=True)
    _, told = compare(Made(swinging), "mlp", "cnn", settle=settle, time_limit=95)
    assert "2 networks may be the best; the same command continues" in texts(told)[-1]


@pytest.mark.parametrize("last_first", [False, True])
def test_the_failure_with_the_first_seed_counts(compare: Compare, *, last_first: bool) -> None:
    def unlucky(name: str, seed: int) -> Outcome:
        return f"reason {seed}" if name == "mlp" and seed else steady(name, seed)

    order: Callable[[int], int] = (lambda count: count - 1) if last_first else (lambda count: 0)
    made = Made(unlucky, order=order, slots_after=lambda ended: 8)
    results, told = compare(made, "mlp", "cnn", seeds=4)
    row, other = results[-1].models
    assert row.failure == "seed 1: reason 1"
    assert [run.seed for run in row.runs] == [0]
    assert len(other.runs) == 4
    failed = [(e.seed, e.reason) for e in told if isinstance(e, RunFailed)]
    assert sorted(failed) == [(seed, f"reason {seed}") for seed in (1, 2, 3)]


def test_seeds_after_the_one_that_failed_do_not_count(compare: Compare) -> None:
    def unlucky(name: str, seed: int) -> Outcome:
        return "bad" if seed == 1 else steady(name, seed)

    made = Made(unlucky, order=lambda count: count - 1, slots_after=lambda ended: 4)
    [row] = compare(made, "mlp", seeds=4)[0][-1].models
    assert row.failure == "seed 1: bad"
    assert [run.seed for run in row.runs] == [0]


def test_a_network_that_failed_gets_no_other_seed(compare: Compare) -> None:
    made = Made(lambda name, seed: "bad" if name == "mlp" else steady(name, seed))
    compare(made, "mlp", "cnn", seeds=3)
    assert [seed for name, seed in made.submitted if name == "mlp"] == [0]


def test_a_network_that_cannot_be_measured_is_told_at_once(compare: Compare) -> None:
    made = Made(steady, failures={"mlp": "mlp cannot be measured: oops"})
    results, told = compare(made, "mlp", "cnn", seeds=2)
    assert texts(told)[0] == "mlp cannot be measured: oops; it is not trained"
    assert results[-1].models[0].failure == "mlp cannot be measured: oops"
    assert {name for name, _ in made.submitted} == {"cnn"}


def test_an_interruption_and_on(compare: Compare) -> None:
    kept = Path("runs.jsonl")

    def interrupted(name: str, seed: int) -> Outcome:
        return KeyboardInterrupt() if seed == 2 else steady(name, seed)

    results, told = compare(
        Made(interrupted), "mlp", "cnn", seeds=4, journal=kept, until=KeyboardInterrupt
    )
    assert [len(row.runs) for row in results[-1].models] == [2, 2]
    assert texts(told)[-1] == "4 of 8 runs are in runs.jsonl; the same command continues"
    made = Made(steady)
    results, told = compare(made, "mlp", "cnn", seeds=4, journal=kept)
    assert "4 of 8 runs are in runs.jsonl" in texts(told)
    assert made.submitted == [(name, seed) for seed in (2, 3) for name in ("mlp", "cnn")]
    assert json.loads(kept.read_text().splitlines()[-1])["finished"] is True
    made = Made(steady)
    _, told = compare(made, "mlp", "cnn", seeds=4, journal=kept)
    assert "8 of 8 runs are in runs.jsonl; nothing is left to train" in texts(told)
    assert made.submitted == []


def test_a_lost_scheduler_says_where_the_runs_are(compare: Compare) -> None:
    made = Made(lambda name, seed: MnistCliError("lost") if seed else 0.9)
    _, told = compare(made, "mlp", seeds=3, journal=Path("j.jsonl"), until=MnistCliError)
    assert texts(told)[-1] == "1 of 3 runs are in j.jsonl; the same command continues"


def test_one_seed_has_no_number(compare: Compare) -> None:
    def seeds(**given: object) -> set[int | None]:
        _, told = compare(Made(steady), "mlp", "cnn", **given)
        return {e.seed for e in told if isinstance(e, RunFinished | events.TrainingProgress)}

    assert seeds(seeds=1) == {None}
    assert seeds(seeds=2, seed=7) == {7, 8}
    assert seeds(settle=Settling(4)) == {0, 1, 2, 3}


def test_a_margin_that_is_too_fine_is_told_before_any_run(compare: Compare) -> None:
    _, told = compare(Made(steady), "mlp", "cnn", seeds=5, margin=0.0001)
    assert texts(told)[0].startswith("--margin 0.0001 is unlikely to be met with 1,000 test images")
    _, told = compare(Made(steady), "mlp", "cnn", seeds=5, margin=0.5)
    assert not [text for text in texts(told) if "--margin" in text]
    # Each of ten looks has a wider interval than one look at the end.
    _, told = compare(Made(steady), "mlp", "cnn", seeds=10, margin=0.0035)
    assert not [text for text in texts(told) if "--margin" in text]
    _, told = compare(Made(steady), "mlp", "cnn", settle=Settling(10), margin=0.0035)
    assert "expect intervals of about ±0.0052" in texts(told)[0]
    # One network has no difference.
    _, told = compare(Made(steady), "mlp", seeds=5, margin=0.0001)
    assert not [text for text in texts(told) if "--margin" in text]
