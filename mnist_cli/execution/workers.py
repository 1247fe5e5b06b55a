"""Runs in worker processes, which Dask looks after, on this machine or behind a scheduler.

Each question goes to one free worker: what it costs to measure a network, or to train it.
Where a worker is lost, its question goes to another.
"""

import pickle
import secrets
import time
from collections import deque
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from math import inf
from queue import Empty, SimpleQueue
from typing import Any

from distributed import KilledWorker

from mnist_cli.data.datasets import Dataset, to_bytes
from mnist_cli.errors import MnistCliError
from mnist_cli.execution import answers, worker
from mnist_cli.execution.answers import Question
from mnist_cli.execution.engine import describe_exit, kill_worker
from mnist_cli.execution.roster import Roster
from mnist_cli.networks.bundle import pack
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.events import OnEvent
from mnist_cli.schema.options import CompareOptions, Entry
from mnist_cli.schema.results import Environment
from mnist_cli.schema.runs import Measurement, OnProgress, RunTask

LOOK_SECONDS = 0.5  # between looks at workers and limits
TRIES = 4  # of a question, each of which ended a worker process
MEMORY_TOPIC = "worker-restart-memory"  # Dask's name for what nannies report


@dataclass
class _Assignment:
    """A question that the worker at an address was asked."""

    question: Question
    worker: str
    future: Any
    deaths: int
    """How many workers ended at the same question before."""
    holder: str
    """The worker that sends it the images."""
    at_once: int
    """The most runs that the machine could train at once at any time since."""
    began: float | None = None


@dataclass(frozen=True)
class _Report:
    """A worker begins with the question `key`, or has done `steps`: epoch, step, of how many."""

    key: str
    name: str
    steps: tuple[int, ...]


@dataclass(frozen=True)
class _Answer:
    """What a worker answered to the question `key`, or an exception."""

    key: str
    content: Any


class Workers:
    """An executor with a slot for each worker that fits; `at_once` are on this machine."""

    def __init__(
        self, client: Any, options: CompareOptions, threads: int, on_event: OnEvent, at_once: int
    ) -> None:
        self._client = client
        self._place = options.execution.cluster
        self._run_timeout = options.execution.run_timeout or inf
        self._roster = Roster(client, self._place, on_event, at_once)
        self._threads = threads
        self._topic = f"mnist-cli-{secrets.token_hex(8)}"
        data_dir = options.data.data_dir
        job = worker.Job(
            self._topic,
            options.device,
            threads,
            str(data_dir.absolute()) if data_dir else None,
            {entry.name: (entry.model, pack(entry.model)) for entry in options.entries},
        )
        self._job = pickle.dumps(job)
        self._dataset: Dataset | None = None
        self._images: Any = None
        self._holder = ""  # the worker that keeps them
        self._questions: deque[tuple[Question, int]] = deque()  # with how many workers they ended
        self._assignments: dict[str, _Assignment] = {}  # by Dask's key
        self._messages: SimpleQueue[_Answer | _Report] = SimpleQueue()
        self._out_of_memory: set[str] = set()
        self._error: MnistCliError | None = None
        self._next_look = 0.0
        self._numbers = count()
        client.subscribe_topic(self._topic, self._hear)
        client.subscribe_topic(MEMORY_TOPIC, self._hear_of_memory)

    @property
    def slots(self) -> int:
        """How many workers there are that fit."""
        return len(self._roster.ready())

    def environment(self) -> Environment:
        """The machine of a worker; waits for the first one."""
        self._questions.append((answers.ENVIRONMENT, 0))
        while not (answered := self.wait(_ignore)):
            pass
        [(_, outcome)] = answered
        if isinstance(outcome, str):
            raise MnistCliError(outcome)
        assert isinstance(outcome, Environment)
        return outcome

    def measure(self, entries: tuple[Entry, ...]) -> list[Measurement]:
        """What each entry costs; raises MnistCliError where its code cannot be imported."""
        self._questions.extend((entry, 0) for entry in entries)
        measured: dict[str, Measurement] = {}
        while len(measured) < len(entries):
            for entry, outcome in self.wait(_ignore):
                failure = f"{entry.name} cannot be measured: {outcome}"
                failed = isinstance(outcome, str)
                measured[entry.name] = Measurement(failure=failure) if failed else outcome
        return [measured[entry.name] for entry in entries]

    def hand_over(self, dataset: Dataset) -> None:
        """Keep the images for workers that do not have them."""
        self._dataset = dataset

    def submit(self, task: RunTask) -> None:
        """Have a worker train it."""
        self._questions.append((task, 0))

    def wait(self, on_progress: OnProgress) -> list[tuple[Any, Any]]:
        """Wait for questions with their outcomes; an empty list if the number of slots changed.

        Raises:
            MnistCliError: the scheduler is lost, or no worker fits. What is finished comes first.
        """
        slots = self.slots
        while True:
            if time.monotonic() > self._next_look:
                self._look()
            done = self._end_lost_and_late()
            self._assign()
            done += self._take_messages(on_progress, 0 if done else LOOK_SECONDS)
            if done or self.slots != slots:
                return done
            if self._error:
                raise self._error

    def _take_messages(self, on_progress: OnProgress, seconds: float) -> list[tuple[Any, Any]]:
        """Questions with their outcomes; waits at most `seconds` for the first message."""
        done: list[tuple[Any, Any]] = []
        while not self._error:
            try:
                message = self._messages.get(timeout=seconds)
            except Empty:
                break
            seconds = 0
            assignment = self._assignments.get(message.key)
            if assignment is None:  # the question was taken back
                continue
            if isinstance(message, _Answer):
                done += self._take_answer(message.key, assignment, message.content)
            elif message.steps and isinstance(assignment.question, RunTask):
                on_progress(assignment.question, message.name, *message.steps)
            else:
                assignment.began = time.monotonic()
                self._look()
        return done

    def _take_answer(self, key: str, assignment: _Assignment, answer: Any) -> list[tuple[Any, Any]]:
        """A question with its outcome; nothing if it has to be asked again."""
        self._look()  # another worker may have come while the run went on
        del self._assignments[key]
        question = assignment.question
        if isinstance(answer, CancelledError):
            self._error = self._error or self._roster.lost()
            return []
        if isinstance(answer, KilledWorker | OSError):
            return self._ask_again(assignment)
        try:
            if question == answers.VERSIONS:
                there = self._roster.workers.get(assignment.worker, {})
                answers.check_versions(answer, there.get("nthreads", 1))
                self._roster.fit.add(assignment.worker)
                return []
            if isinstance(answer, MnistCliError):
                self._error = answer
                return []
            num_test = self._dataset.info.num_test if self._dataset else 0
            outcome = answers.read_answer(question, answer, num_test, self._threads)
        except ValueError as error:
            if refused := self._roster.refuse(assignment.worker, str(error)):
                self._error = self._error or refused
            self._give_back(assignment)
            return []
        if outcome is None:
            self._send_images(assignment.worker)
            self._give_back(assignment)
            return []
        if isinstance(outcome, Run):
            outcome = replace(outcome, runs_at_once=assignment.at_once)
        return [(question, outcome)]

    def _assign(self) -> None:
        """Ask the next questions, one of each worker that is free."""
        busy = {assignment.worker for assignment in self._assignments.values()}
        for address in self._roster.ready():
            if self._questions and address not in busy:
                self._ask(address, *self._questions.popleft())

    def _ask(self, address: str, question: Question, deaths: int = 0) -> None:
        function: Any
        match question:
            case RunTask():
                assert self._dataset is not None
                info = pickle.dumps(self._dataset.info)
                function = worker.train
                arguments = [self._job, pickle.dumps(question), info, self._images]
            case Entry():
                function, arguments = worker.measure, [self._job, pickle.dumps(question)]
            case "environment":
                function, arguments = worker.environment, [self._job]
            case "versions":
                function, arguments = answers.versions(), []
        key = f"{self._topic}-{next(self._numbers)}"
        future = self._client.submit(function, *arguments, key=key, workers=[address])
        at_once = self._roster.runs_beside(address)
        self._assignments[key] = _Assignment(
            question, address, future, deaths, self._holder, at_once
        )
        future.add_done_callback(self._fetch)

    def _send_images(self, address: str) -> None:
        """Have one of the workers keep the images, from which the others get them."""
        if not self._holder:
            assert self._dataset is not None
            images = to_bytes(self._dataset)
            self._images = self._client.submit(worker.hold, images, pure=False, workers=[address])
            self._holder = address

    def _give_back(self, assignment: _Assignment) -> None:
        """Put a question back, before all others."""
        if assignment.question != answers.VERSIONS:
            self._questions.appendleft((assignment.question, assignment.deaths))

    def _ask_again(self, assignment: _Assignment) -> list[tuple[Any, Any]]:
        """Repeat a question whose worker was lost, or give up after several tries.

        Only a question that had begun may have ended its worker.
        """
        if assignment.began is not None:
            assignment.deaths += 1
        if assignment.deaths == TRIES:
            return [(assignment.question, self._describe_death(assignment.worker))]
        self._give_back(assignment)
        return []

    def _end_lost_and_late(self) -> list[tuple[Any, str]]:
        """Take questions back from lost workers, and end those that take too long."""
        if self._holder not in self._roster.workers:
            self._images, self._holder = None, ""
        done: list[tuple[Any, str]] = []
        for key, assignment in list(self._assignments.items()):
            began = assignment.began
            is_late = began is not None and time.monotonic() - began > self._run_timeout
            if not (is_late or self._is_lost(assignment)):
                continue
            del self._assignments[key]
            assignment.future.cancel()
            if is_late:
                self._roster.retire(assignment.worker)
                kill_worker(self._client, assignment.worker)
                done.append((assignment.question, "it took longer than --run-timeout"))
            else:
                done += self._ask_again(assignment)
        return done

    def _is_lost(self, assignment: _Assignment) -> bool:
        """Whether a worker left, or cannot begin any more: it is paused or gets no images."""
        there = self._roster.workers.get(assignment.worker)
        if there is None:
            return True
        if assignment.began is not None:
            return False
        lacks_images = assignment.holder and assignment.holder not in self._roster.workers
        return bool(lacks_images) or there["status"] != "running"

    def _look(self) -> None:
        """See which workers there are, and how many runs each machine may train at once."""
        self._next_look = time.monotonic() + LOOK_SECONDS
        try:
            self._roster.look()
        except MnistCliError as error:
            self._error = self._error or error
            return
        for assignment in self._assignments.values():
            at_once = self._roster.runs_beside(assignment.worker)
            assignment.at_once = max(assignment.at_once, at_once)
        asked = {a.worker for a in self._assignments.values() if a.question == answers.VERSIONS}
        for address in self._roster.unknown() - asked:
            self._ask(address, answers.VERSIONS)

    def _describe_death(self, address: str) -> str:
        """How the code of a network ended its worker in each try."""
        each_time = f"in each of {TRIES} tries"
        if address in self._out_of_memory:
            return f"its worker process exceeded its memory limit {each_time}"
        if self._place:
            return f"its worker process at {address} was ended {each_time}"
        how = describe_exit(address)
        hint = "; the system does this when it runs out of memory" if how == "SIGKILL" else ""
        return f"its worker process was ended {f'({how}) ' if how else ''}{each_time}{hint}"

    # Dask calls these in threads of its own.

    def _hear(self, event: tuple[float, Any]) -> None:
        with suppress(Exception):  # anything may be said under a topic
            report = event[1]
            steps = tuple(map(int, report["steps"]))
            self._messages.put(_Report(str(report["key"]), str(report["name"]), steps))

    def _hear_of_memory(self, event: tuple[float, Any]) -> None:
        with suppress(Exception):
            self._out_of_memory.add(event[1]["worker"])

    def _fetch(self, future: Any) -> None:
        try:
            content = future.result()
        except BaseException as error:
            content = error
        self._messages.put(_Answer(future.key, content))


def _ignore(*report: Any) -> None:
    """Progress that nobody is told."""
