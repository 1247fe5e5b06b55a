"""Which worker is asked what, and what becomes of its answers: with a made-up engine."""

import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from distributed import KilledWorker

from mnist_cli.comparison.mistakes import encode
from mnist_cli.data import datasets
from mnist_cli.data.dataset import Dataset, LabelledImages
from mnist_cli.errors import MnistCliError, Terminated
from mnist_cli.execution import engine as engine_module
from mnist_cli.execution import roster, worker, workers
from mnist_cli.execution.answers import VERSIONS, make_ask, read_answer
from mnist_cli.execution.engine import LocalNanny
from mnist_cli.execution.trainer import Trainer
from mnist_cli.networks.registry import resolve
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.datasets import DatasetInfo, DatasetName
from mnist_cli.schema.events import Event, Notice
from mnist_cli.schema.options import CompareOptions, DataOptions, Entry, ExecutionOptions
from mnist_cli.schema.protocol import Precision, Settings
from mnist_cli.schema.record import to_json
from mnist_cli.schema.results import EpochResult, ModelSummary
from mnist_cli.schema.runs import Measurement, RunTask, WorkerAnswer
from mnist_cli.training.recipes import protocol_of
from tests.conftest import made_images, write_dataset
from tests.made_up import MACHINE

COST = ModelSummary("mlp", 64, 100, 100, 6400, 0.1, 0.1, 0.1, 0.3, ())
ENTRY = Entry(resolve("mlp"), protocol_of(Settings(epochs=2), resolve("mlp")), Precision.FP32)
LABELS = np.arange(20) % 10
DATASET = Dataset(
    DatasetInfo("made", 40, 20, "0" * 64),
    LabelledImages(*made_images(40)),
    LabelledImages(*made_images(20)),
)


def run(seed: int, right: int = 15) -> Run:
    answers = np.where(np.arange(20) < right, LABELS, (LABELS + 1) % 10)
    accuracy = right / 20
    history = tuple(EpochResult(epoch, 0.5, 0.5, accuracy, 1.0) for epoch in (1, 2))
    return Run(seed, 2, accuracy, 0.5, 2.0, None, history, encode(LABELS, answers), threads=1)


KINDS = {str: "environment", Entry: "measure", RunTask: "train"}
LONGER = (*run(0).history, EpochResult(3, 0.5, 0.5, 0.75, 1.0))


class Engine:
    """In place of Dask's client: `workers` answer as their functions say, or never (None)."""

    status = "running"

    def __init__(self) -> None:
        self.workers: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, Callable[[RunTask], Any]] = {}
        self.asked: list[tuple[str, str]] = []
        self.seeds: list[int] = []
        self.looks = 0
        self.silent: set[str] = set()
        """Workers that do not report that they begin."""
        self.killed: list[str] = []
        self.needs_images: set[str] = set()
        self.measures: bool | MnistCliError = True
        self._topics: dict[str, Callable[[Any], None]] = {}

    def join(
        self, address: str, answer: Callable[[RunTask], Any], host: str = "a", **described: Any
    ) -> None:
        defaults = {"host": host, "status": "running", "nthreads": 1}
        self.workers[address] = defaults | described
        self.answers[address] = answer

    def subscribe_topic(self, topic: str, handler: Callable[[Any], None]) -> None:
        self._topics[topic] = handler

    def scheduler_info(self) -> dict[str, Any]:
        self.looks += 1
        assert self.looks < 1000, "a question is waited for that nobody answers"
        return {"workers": {address: dict(each) for address, each in self.workers.items()}}

    def submit(self, function: Any, *arguments: Any, workers: list[str], **named: Any) -> Any:
        [address] = workers
        made = Future(named.get("key", "images"))
        if function is worker.hold:
            self.asked.append((address, "hold"))
            return made
        versions, _, pickled, images = arguments
        question, _ = pickle.loads(pickled)
        self.asked.append((address, KINDS[type(question)]))
        if address not in self.workers:
            return made
        if self.workers[address].get("versions", versions) != versions:
            made.answer = self.workers[address]["versions"]
            return made
        if address not in self.silent:
            self.tell(address, made.key)
        if isinstance(question, str):
            made.answer = to_json(WorkerAnswer(environment=MACHINE))
        elif isinstance(question, Entry):
            if isinstance(self.measures, MnistCliError):
                made.answer = self.measures
            elif self.measures:
                made.answer = to_json(WorkerAnswer(measurement=Measurement(COST, Precision.FP32)))
        elif address in self.needs_images and images is None:
            made.answer = to_json(WorkerAnswer(needs_images=True))
        else:
            self.seeds.append(question.seed)
            made.answer = self.answers[address](question)
        return made

    def tell(self, address: str, key: str, *steps: int) -> None:
        report = {"key": key, "name": address, "steps": steps}
        for topic, handler in self._topics.items():
            if topic != workers.MEMORY_TOPIC:
                handler((0.0, report))

    def replace_workers(
        self, names: Iterator[str], last: Callable[[RunTask], Any] | None = None
    ) -> Callable[[RunTask], None]:
        """What a worker does that ends at each run, whereupon the next one joins."""

        def end(task: RunTask) -> None:
            self.workers.clear()
            name = next(names)
            self.join(name, last if last and name == "g" else end)

        return end

    def run_out_of_memory(self, address: str) -> None:
        self._topics[workers.MEMORY_TOPIC]((0.0, {"worker": address}))
        del self.workers[address]

    def run(self, *_: Any, workers: list[str], **how: Any) -> None:
        assert how["nanny"]
        self.killed += workers


class Future:
    def __init__(self, key: str) -> None:
        self.key = key
        self.answer: Any = None

    def add_done_callback(self, call: Callable[["Future"], None]) -> None:
        if self.answer is not None:
            call(self)

    def result(self) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def cancel(self) -> None:
        self.answer = None


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "UPDATE_SECONDS", 0.001)
    monkeypatch.setattr(engine_module, "EXIT_CODE_SECONDS", 0)


def executor(
    engine: Engine, events: list[Event], limit: float | None = None, *, at_once: int = 1
) -> workers.Workers:
    place = None if at_once > 1 else "tcp://s:1"
    execution = ExecutionOptions(cluster=place, threads=1, run_timeout=limit)
    options = CompareOptions((ENTRY,), execution=execution)
    made = workers.Workers(engine, options, 1, events.append, at_once=at_once)
    made.hand_over(DATASET)
    return made


def trained(made: workers.Workers, seeds: int = 1) -> dict[int, Run | str]:
    done = made.train_all(tasks(seeds), nothing)
    while len(done) < seeds:
        done += made.train_all((), nothing)
    return {task.seed: outcome for task, outcome in done}


def tasks(seeds: int) -> list[RunTask]:
    return [RunTask(ENTRY, seed, None) for seed in range(seeds)]


def nothing(*told: object) -> None:
    pass


def good(task: RunTask) -> str:
    return to_json(WorkerAnswer(run=run(task.seed)))


def texts(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


def test_each_question_goes_to_one_worker_that_is_free() -> None:
    engine = Engine()
    engine.join("w1", good)
    engine.join("w2", good, "b")
    made = executor(engine, [])
    assert made.measure_all((ENTRY,)) == (MACHINE, [Measurement(COST, Precision.FP32)])
    outcomes = trained(made, 4)
    assert [outcomes[seed] for seed in range(4)] == [run(seed) for seed in range(4)]
    assert made.slots == 2


@pytest.mark.parametrize(
    "rubbish",
    [
        "rubbish",
        "{}",
        42,
        [1],
        RuntimeError("a pickle that raises"),
        AttributeError("no such function in that version"),
        to_json(WorkerAnswer(environment=MACHINE)),
        to_json(WorkerAnswer(measurement=Measurement(COST, Precision.FP32))),
        to_json(WorkerAnswer(run=run(7))),
        to_json(WorkerAnswer(run=replace(run(0), epochs=3))),
        to_json(WorkerAnswer(run=replace(run(0), threads=2))),
        to_json(WorkerAnswer(run=replace(run(0), test_accuracy=0.99))),
        to_json(WorkerAnswer(run=replace(run(0), reached_target=True))),
        to_json(WorkerAnswer(run=replace(run(0), history=()))),
        to_json(WorkerAnswer(run=replace(run(0), mistakes=run(0, right=3).mistakes))),
        to_json(WorkerAnswer(run=run(0))).replace('"test_accuracy": 0.75', '"test_accuracy": 75'),
        to_json(WorkerAnswer(run=run(0))).replace('"train_seconds": 2.0', '"train_seconds": -2'),
    ],
)
def test_a_worker_that_answers_rubbish_is_left_aside(rubbish: Any) -> None:
    engine, events = Engine(), list[Event]()
    engine.join("rogue", lambda task: rubbish)
    engine.join("honest", lambda task: None, "b")
    made = executor(engine, events)
    made.train_all(tasks(1), nothing)
    while not texts(events):
        made.train_all((), nothing)
    [text] = texts(events)
    assert text.startswith("the worker rogue gave an invalid answer")
    assert text.endswith("; it is not used")
    # The only other one takes over.
    engine.join("honest", good, "b")
    made = executor(engine, events)
    assert trained(made, 3) == {seed: run(seed) for seed in range(3)}
    # Without another it is an error.
    del engine.workers["honest"]
    with pytest.raises(MnistCliError, match="the worker rogue gave an invalid answer"):
        trained(executor(engine, []))


def test_workers_that_do_not_fit_are_left_aside() -> None:
    engine, events = Engine(), list[Event]()
    engine.join("old", good, versions=VERSIONS | {"torch": "1.0"})
    engine.join("odd", good, versions="?")
    engine.join("wide", good, nthreads=2)
    engine.join("fit", good)
    made = executor(engine, events)
    trained(made, 3)
    assert made.slots == 1
    shown = "\n".join(texts(events))
    assert "the worker old has torch 1.0, not " in shown
    assert "the worker odd gave an invalid answer" in shown
    assert "the worker wide would train several runs in one process: start it with --nth" in shown
    assert sorted(address for address, _ in engine.asked) == ["fit"] * 3 + ["odd", "old"]
    assert sorted(engine.seeds) == [0, 1, 2]


def test_a_worker_with_other_versions_returns_them_and_runs_nothing() -> None:
    ask = make_ask()
    wanted = VERSIONS | {"mnist_cli": "0.0.1", "no_such_package": "1"}
    assert ask(wanted, b"no job") == VERSIONS | {"no_such_package": "not installed"}


def test_a_worker_that_comes_back_is_checked_again() -> None:
    engine, events = Engine(), list[Event]()
    engine.join("a", good)
    made = executor(engine, events)
    trained(made)
    del engine.workers["a"]
    made._update()
    engine.join("a", good, versions=VERSIONS | {"torch": "1.0"})
    engine.join("b", good, "b")
    trained(made, 2)
    assert "the worker a has torch 1.0, not " in texts(events)[-1]
    engine.workers.clear()
    made._update()
    engine.join("a", good)
    assert trained(made) == {0: run(0)}


def test_code_that_a_worker_cannot_import_ends_the_comparison() -> None:
    engine = Engine()
    engine.join("a", good)
    engine.measures = MnistCliError("nets.py has no 'wide'")
    with pytest.raises(MnistCliError, match=r"nets\.py has no 'wide'"):
        executor(engine, []).measure_all((ENTRY,))


def test_a_worker_that_is_lost_each_time_is_the_networks_fault() -> None:
    engine = Engine()
    engine.join("a", engine.replace_workers(iter("bcdefg")))
    [outcome] = trained(executor(engine, [])).values()
    assert outcome == "its worker process at d was ended in each of 4 tries"
    assert [address for address, what in engine.asked if what == "train"] == list("abcd")


def test_a_worker_that_is_lost_before_it_begins_is_not_the_networks_fault() -> None:
    engine = Engine()
    engine.silent = set("abcdef")
    engine.join("a", engine.replace_workers(iter("bcdefg"), last=good))
    assert trained(executor(engine, [])) == {0: run(0)}


@pytest.mark.parametrize(
    "lost",
    [
        KilledWorker("key", None, 1),  # type: ignore[arg-type]
        OSError("closed"),
    ],
)
def test_the_engines_own_errors_are_no_answers(lost: Exception) -> None:
    engine, events = Engine(), list[Event]()
    answers = iter([lost, good(RunTask(ENTRY, 0, None)), good(RunTask(ENTRY, 1, None))])
    engine.join("a", lambda task: next(answers))
    assert trained(executor(engine, events), 2) == {seed: run(seed) for seed in range(2)}
    assert engine.seeds == [0, 0, 1]  # it is asked anew before all others
    assert texts(events) == []


def test_a_question_that_cannot_begin_goes_to_another_worker() -> None:
    engine = Engine()

    def pauses(task: RunTask) -> None:
        engine.workers["a"]["status"] = "paused"
        engine.join("b", good, "b")

    engine.silent = {"a"}
    engine.join("a", pauses)
    assert trained(executor(engine, [])) == {0: run(0)}
    assert [address for address, what in engine.asked if what == "train"] == ["a", "b"]


def test_a_memory_limit_is_named() -> None:
    engine = Engine()

    def grows(task: RunTask) -> None:
        [address] = engine.workers
        engine.run_out_of_memory(address)
        engine.join(f"{address}+", grows)

    engine.join("a", grows)
    [outcome] = trained(executor(engine, [])).values()
    assert outcome == "its worker process exceeded its memory limit in each of 4 tries"


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (-9, "(SIGKILL) in each of 4 tries; the system"),
        (3, "(exit status 3) in each of 4"),
    ],
)
def test_what_ended_a_local_worker_is_named(
    code: int, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine()
    monkeypatch.setattr(LocalNanny, "exit_codes", dict.fromkeys("abcdefg", code))
    engine.join("a", engine.replace_workers(iter("bcdefg")))
    [outcome] = trained(executor(engine, [], at_once=2)).values()
    assert how in str(outcome)


def test_a_paused_worker_gets_no_run() -> None:
    engine, events = Engine(), list[Event]()
    engine.join("paused", good, status="paused")
    engine.join("running", good)
    made = executor(engine, events)
    trained(made, 3)
    assert {address for address, what in engine.asked if what == "train"} == {"running"}
    assert made.slots == 1


def test_a_run_that_takes_too_long_is_ended_with_its_worker() -> None:
    engine = Engine()
    engine.join("a", lambda task: None)
    made = executor(engine, [], limit=0.01)
    [outcome] = trained(made).values()
    assert outcome == "it took longer than --run-timeout"
    assert engine.killed == ["a"]
    made._update()  # it is not gone yet
    assert made.slots == 0
    engine.join("b", good, host="b")
    assert trained(made) == {0: run(0)}
    assert [address for address, what in engine.asked if what == "train"] == ["a", "b"]


@pytest.mark.parametrize("lost", [KeyError("tcp://127.0.0.1:1"), OSError("closed")])
def test_a_run_that_takes_too_long_may_have_lost_its_worker(
    lost: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine()
    engine.join("a", lambda task: None)

    def fail(*_: Any, **how: Any) -> None:
        raise lost

    monkeypatch.setattr(engine, "run", fail)
    [outcome] = trained(executor(engine, [], limit=0.01)).values()
    assert outcome == "it took longer than --run-timeout"


def test_measuring_has_a_limit_too() -> None:
    engine = Engine()
    engine.join("a", good)
    engine.measures = False
    made = executor(engine, [], limit=0.01)
    _, [measured] = made.measure_all((ENTRY,))
    assert measured.failure == "mlp cannot be measured: it took longer than --run-timeout"
    assert engine.killed == ["a"]


def test_images_go_to_those_who_lack_them_and_again_where_they_are_lost() -> None:
    engine = Engine()
    engine.needs_images = {"a", "b"}
    engine.join("a", good)
    made = executor(engine, [])
    trained(made)
    assert [what for _, what in engine.asked].count("hold") == 1
    del engine.workers["a"]
    engine.join("b", good)
    trained(made)
    assert [address for address, what in engine.asked if what == "hold"] == ["a", "b"]


def test_a_run_that_waits_for_lost_images_is_asked_for_anew() -> None:
    engine = Engine()
    engine.needs_images = {"a", "b"}
    engine.join("a", good)
    made = executor(engine, [])
    trained(made)

    def leaves(task: RunTask) -> None:
        engine.silent.clear()
        engine.join("b", good)
        del engine.workers["a"]

    engine.silent = {"b"}  # as it waits for the images of the other
    engine.join("a", lambda task: None)
    engine.join("b", leaves)
    assert trained(made, 2) == {seed: run(seed) for seed in range(2)}


def test_a_lost_scheduler_is_named_after_what_is_finished() -> None:
    engine = Engine()

    def last(task: RunTask) -> Any:
        if task.seed == 0:
            return good(task)
        engine.status = "closed"
        return CancelledError()

    engine.join("a", last)
    made = executor(engine, [])
    done = made.train_all(tasks(2), nothing)
    while not done:
        done = made.train_all((), nothing)
    assert [task.seed for task, _ in done] == [0]
    with pytest.raises(MnistCliError, match="lost the scheduler at tcp://s:1; finished runs"):
        made.train_all((), nothing)


def at_once(outcome: Run | str) -> int:
    assert isinstance(outcome, Run)
    return outcome.runs_at_once


def test_a_run_is_alone_only_if_nobody_else_was_there_at_any_time() -> None:
    engine = Engine()
    engine.join("a", good)
    engine.join("far", lambda task: None, "another host")
    assert at_once(trained(executor(engine, []))[0]) == 1

    def leaves(task: RunTask) -> str:
        engine.workers.pop("b", None)  # just before the answer arrives
        return good(task)

    def comes(task: RunTask) -> str:
        engine.join("b", lambda task: None)
        return good(task)

    engine.join("a", comes)
    assert at_once(trained(executor(engine, []))[0]) == 2
    engine.join("b", lambda task: None, nthreads=2)  # though it is not used here
    made = executor(engine, [])
    assert made.measure_all(()) == (MACHINE, [])
    engine.join("a", leaves)
    assert at_once(trained(made)[0]) == 2
    assert at_once(trained(made)[0]) == 1


def test_local_workers_are_never_alone_though_one_starts_anew() -> None:
    engine = Engine()
    engine.join("a", good)
    assert at_once(trained(executor(engine, [], at_once=2))[0]) == 2


def test_anything_may_be_said_under_a_topic() -> None:
    engine = Engine()
    engine.join("a", good)
    made = executor(engine, [])
    for handler in engine._topics.values():
        for event in (None, 3, (), (0.0, {}), (0.0, {"key": "k", "name": 1, "steps": ["x"]})):
            handler(event)
    assert trained(made) == {0: run(0)}


def test_it_is_told_once_that_no_worker_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, events = Engine(), list[Event]()
    made = executor(engine, events)
    for _ in range(3):
        made._update()
    engine.join("a", good)
    assert made.measure_all(()) == (MACHINE, [])
    del engine.workers["a"]
    made._update()  # its nanny may start it anew
    [text] = texts(events)
    assert text.startswith("no worker is connected to tcp://s:1; waiting for one (dask worker tcp")
    monkeypatch.setattr(roster, "NOTICE_SECONDS", 0)
    made._update()
    assert texts(events) == [text, text]
    engine.join("a", good, status="paused")
    events.clear()
    made = executor(engine, events)
    for _ in range(3):
        made._update()
    [text] = texts(events)
    assert text.startswith("none of 1 worker at tcp://s:1 is ready (paused); waiting for one")


@pytest.mark.parametrize(
    ("target", "change", "fits"),
    [
        (0.75, {"reached_target": True}, True),  # reached exactly
        (0.75, {"reached_target": False}, False),
        (0.76, {"reached_target": False}, True),
        (0.76, {"reached_target": True}, False),
        (0.75, {"epochs": 1, "reached_target": True, "history": run(0).history[:1]}, True),
        (0.75, {"epochs": 3, "reached_target": True, "history": LONGER}, False),
        (0.76, {"epochs": 1, "reached_target": False, "history": run(0).history[:1]}, False),
        (None, {"epochs": 1, "history": run(0).history[:1]}, False),
    ],
)
def test_a_target_ends_a_run_early(target: float | None, change: Any, *, fits: bool) -> None:
    answer = to_json(WorkerAnswer(run=replace(run(0), **change)))
    try:
        read_answer(RunTask(ENTRY, 0, target), answer, DATASET.info, 1)
    except ValueError:
        assert not fits
    else:
        assert fits


def test_a_run_takes_as_long_as_all_its_epochs() -> None:
    alone = Trainer("cpu", 1)
    alone.hand_over(DATASET)
    [(_, made)] = alone.train_all(tasks(1), nothing)
    assert isinstance(made, Run)
    assert len(made.history) == 2
    assert made.train_seconds == sum(epoch.train_seconds for epoch in made.history)


def test_a_target_that_is_reached_exactly_ends_a_run() -> None:
    alone = Trainer("cpu", 1)
    alone.hand_over(DATASET)
    [(_, whole)] = alone.train_all(tasks(1), nothing)
    assert isinstance(whole, Run)
    target = whole.history[0].test_accuracy
    [(_, early)] = alone.train_all([RunTask(ENTRY, 0, target)], nothing)
    assert isinstance(early, Run)
    assert (early.epochs, early.reached_target) == (1, True)


def test_a_worker_takes_images_of_its_disk_only_if_they_are_the_same() -> None:
    for folder in ("same", "other"):
        write_dataset(Path(folder, "KMNIST"))
    images = Path("other", "KMNIST", "raw", "t10k-images-idx3-ubyte")
    images.write_bytes(images.read_bytes()[:-1] + b"!")
    dataset = datasets.load(DataOptions(DatasetName.KMNIST, Path("same")), print)

    def found(folder: str, given: worker.ImageBytes | None = None) -> Dataset | None:
        return worker._find_dataset(worker.Job("t", "cpu", 1, folder, {}), dataset.info, given)

    for read in (found("same"), found("other", pickle.dumps(dataset))):
        assert read is not None
        assert read.info == dataset.info
    assert found("other") is None


@pytest.mark.parametrize(
    ("name", "shown"), [(0, "0"), ("tcp://10.0.0.7:41233", "10.0.0.7:41233"), ("gpu-3", "gpu-3")]
)
@pytest.mark.parametrize("state", ["executing", "cancelled", None])
def test_a_run_reports_or_ends_where_it_was_cancelled(
    state: str | None, name: int | str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    tasks = {"key": SimpleNamespace(state=state)} if state else {}
    there = SimpleNamespace(
        name=name,
        get_current_task=lambda: "key",
        state=SimpleNamespace(tasks=tasks),
        log_event=lambda topic, report: told.append((topic, report)),
    )
    monkeypatch.setattr(worker, "get_worker", lambda: there)
    with nullcontext() if state == "executing" else pytest.raises(Terminated):
        worker._send_report("topic", 1, 2, 3)
    report = ("topic", {"key": "key", "name": shown, "steps": (1, 2, 3)})
    assert told == ([report] if state == "executing" else [])


@pytest.mark.parametrize(
    ("code", "said"), [(0, "exit status 0"), (3, "exit status 3"), (-9, "SIGKILL")]
)
def test_how_a_process_ended_is_named(
    monkeypatch: pytest.MonkeyPatch, code: int, said: str
) -> None:
    monkeypatch.setitem(LocalNanny.exit_codes, "a", code)
    assert engine_module.describe_exit("a") == said
