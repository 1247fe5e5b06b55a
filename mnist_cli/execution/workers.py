"""Trains runs in the worker processes of Dask, on this machine or in a cluster.

Each free worker gets one question: to measure a network, or to train it. If a worker is lost,
another one gets its question.
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

from mnist_cli.data.dataset import Dataset
from mnist_cli.errors import MnistCliError
from mnist_cli.execution import answers, worker
from mnist_cli.execution.answers import Question
from mnist_cli.execution.engine import describe_exit, kill_worker
from mnist_cli.execution.roster import Roster
from mnist_cli.networks.identity import pack
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.datasets import NUM_CLASSES
from mnist_cli.schema.events import OnEvent
from mnist_cli.schema.options import CompareOptions, Entry
from mnist_cli.schema.results import Environment
from mnist_cli.schema.runs import Measurement, OnProgress, RunTask

UPDATE_SECONDS = 0.5  # between checks of workers and time limits
TRIES = 4  # of a question that ends its worker process
MEMORY_TOPIC = "worker-restart-memory"  # Dask's topic for reports of nannies


@dataclass
class _Assignment:
    """A question, and the address of the worker that has it."""

    question: Question
    worker: str
    future: Any
    deaths: int
    """How many worker processes died while they had this question."""
    holder: str
    """The worker that sends the images."""
    at_once: int
    """The most runs that the machine could train at once since the assignment."""
    began: float | None = None


@dataclass(frozen=True)
class _Report:
    """A worker began the question `key`, or has done `steps`: epoch, step, steps of an epoch."""

    key: str
    name: str
    steps: tuple[int, ...]


@dataclass(frozen=True)
class _Answer:
    """The answer of a worker to the question `key`, or an exception."""

    key: str
    content: Any


class Workers:
    """An executor with a slot for each worker that fits; `at_once` of them are on this machine."""

    def __init__(
        self,
        client: Any,
        options: CompareOptions,
        threads: int,
        on_event: OnEvent,
        at_once: int,
        num_classes: int = NUM_CLASSES,
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
            num_classes,
        )
        self._job = pickle.dumps(job)
        self._dataset: Dataset | None = None
        self._images: Any = None
        self._holder = ""  # the worker that has the images
        self._questions: deque[tuple[Question, int]] = deque()  # with the workers that each ended
        self._assignments: dict[str, _Assignment] = {}  # by Dask's key
        self._messages: SimpleQueue[_Answer | _Report] = SimpleQueue()
        self._out_of_memory: set[str] = set()
        self._error: MnistCliError | None = None
        self._next_update = 0.0
        self._numbers = count()
        client.subscribe_topic(self._topic, self._receive_report)
        client.subscribe_topic(MEMORY_TOPIC, self._receive_memory_report)

    @property
    def slots(self) -> int:
        """The number of workers that are ready."""
        return len(self._roster.ready())

    def environment(self) -> Environment:
        """The machine of a worker; waits for the first one."""
        self._questions.append((answers.ENVIRONMENT, 0))
        while not (done := self.wait(_ignore)):
            pass
        [(_, outcome)] = done
        if isinstance(outcome, str):
            raise MnistCliError(outcome)
        assert isinstance(outcome, Environment)
        return outcome

    def measure(self, entries: tuple[Entry, ...]) -> list[Measurement]:
        """Measure the cost of each entry; raises MnistCliError if its code cannot be imported."""
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
        """Queue a run for the next free worker."""
        self._questions.append((task, 0))

    def wait(self, on_progress: OnProgress) -> list[tuple[Any, Any]]:
        """Wait for questions with their outcomes; return no question if the slots changed.

        Raises MnistCliError, after the last outcome, if the scheduler is lost or no worker fits.
        """
        slots = self.slots
        while True:
            if time.monotonic() > self._next_update:
                self._update()
            done = self._end_lost_and_late()
            self._assign()
            done += self._take_messages(on_progress, 0 if done else UPDATE_SECONDS)
            if done or self.slots != slots:
                return done
            if self._error:
                raise self._error

    def _take_messages(self, on_progress: OnProgress, seconds: float) -> list[tuple[Any, Any]]:
        """Wait at most `seconds` for a message; return questions with their outcomes."""
        done: list[tuple[Any, Any]] = []
        while not self._error:
            try:
                message = self._messages.get(timeout=seconds)
            except Empty:
                break
            seconds = 0
            assignment = self._assignments.get(message.key)
            if assignment is None:  # the assignment was cancelled
                continue
            if isinstance(message, _Answer):
                done += self._take_answer(message.key, assignment, message.content)
            elif message.steps and isinstance(assignment.question, RunTask):
                on_progress(assignment.question, message.name, *message.steps)
            else:
                assignment.began = time.monotonic()
                self._update()
        return done

    def _take_answer(self, key: str, assignment: _Assignment, answer: Any) -> list[tuple[Any, Any]]:
        """Return a question with its outcome, or nothing if the question is queued again."""
        self._update()  # another worker may have joined during the run
        del self._assignments[key]
        question = assignment.question
        if isinstance(answer, CancelledError):
            self._error = self._error or self._roster.make_lost_error()
            return []
        if isinstance(answer, KilledWorker | OSError):
            return self._retry(assignment)
        try:
            if question == answers.VERSIONS:
                described = self._roster.workers.get(assignment.worker, {})
                answers.check_versions(answer, described.get("nthreads", 1))
                self._roster.fit.add(assignment.worker)
                return []
            if isinstance(answer, MnistCliError):
                self._error = answer
                return []
            info = self._dataset.info if self._dataset else None
            outcome = answers.read_answer(question, answer, info, self._threads)
        except ValueError as error:
            if refused := self._roster.refuse(assignment.worker, str(error)):
                self._error = self._error or refused
            self._requeue(assignment)
            return []
        if outcome is None:
            self._send_images(assignment.worker)
            self._requeue(assignment)
            return []
        if isinstance(outcome, Run):
            outcome = replace(outcome, runs_at_once=assignment.at_once)
        return [(question, outcome)]

    def _assign(self) -> None:
        """Ask each free worker one of the next questions."""
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
                function, arguments = answers.make_version_query(), []
        key = f"{self._topic}-{next(self._numbers)}"
        future = self._client.submit(function, *arguments, key=key, workers=[address])
        at_once = self._roster.count_on_machine(address)
        self._assignments[key] = _Assignment(
            question, address, future, deaths, self._holder, at_once
        )
        future.add_done_callback(self._receive_answer)

    def _send_images(self, address: str) -> None:
        """Send the images to one worker, which sends them to the others."""
        if not self._holder:
            assert self._dataset is not None
            images = pickle.dumps(self._dataset)
            self._images = self._client.submit(worker.hold, images, pure=False, workers=[address])
            self._holder = address

    def _requeue(self, assignment: _Assignment) -> None:
        if assignment.question != answers.VERSIONS:
            self._questions.appendleft((assignment.question, assignment.deaths))

    def _retry(self, assignment: _Assignment) -> list[tuple[Any, Any]]:
        """Queue a question whose worker was lost again, or return a failure after several tries."""
        if assignment.began is not None:  # else the question cannot have ended its worker
            assignment.deaths += 1
        if assignment.deaths == TRIES:
            return [(assignment.question, self._describe_death(assignment.worker))]
        self._requeue(assignment)
        return []

    def _end_lost_and_late(self) -> list[tuple[Any, str]]:
        """Cancel the assignments of lost workers, and kill runs that take too long."""
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
                self._roster.exclude(assignment.worker)
                kill_worker(self._client, assignment.worker)
                done.append((assignment.question, "it took longer than --run-timeout"))
            else:
                done += self._retry(assignment)
        return done

    def _is_lost(self, assignment: _Assignment) -> bool:
        """Whether a worker left, or cannot begin because it is paused or gets no images."""
        described = self._roster.workers.get(assignment.worker)
        if described is None:
            return True
        if assignment.began is not None:
            return False
        lacks_images = assignment.holder and assignment.holder not in self._roster.workers
        return bool(lacks_images) or described["status"] != "running"

    def _update(self) -> None:
        """Update the workers, and how many runs each machine may train at once."""
        self._next_update = time.monotonic() + UPDATE_SECONDS
        try:
            self._roster.update()
        except MnistCliError as error:
            self._error = self._error or error
            return
        for assignment in self._assignments.values():
            at_once = self._roster.count_on_machine(assignment.worker)
            assignment.at_once = max(assignment.at_once, at_once)
        waiting = {a.worker for a in self._assignments.values() if a.question == answers.VERSIONS}
        for address in self._roster.unknown() - waiting:
            self._ask(address, answers.VERSIONS)

    def _describe_death(self, address: str) -> str:
        each_time = f"in each of {TRIES} tries"
        if address in self._out_of_memory:
            return f"its worker process exceeded its memory limit {each_time}"
        if self._place:
            return f"its worker process at {address} was ended {each_time}"
        how = describe_exit(address)
        hint = "; the system does this when it runs out of memory" if how == "SIGKILL" else ""
        return f"its worker process was ended {f'({how}) ' if how else ''}{each_time}{hint}"

    # Dask calls these methods in its own threads.

    def _receive_report(self, event: tuple[float, Any]) -> None:
        with suppress(Exception):  # other programs may send anything under this topic
            report = event[1]
            steps = tuple(map(int, report["steps"]))
            self._messages.put(_Report(str(report["key"]), str(report["name"]), steps))

    def _receive_memory_report(self, event: tuple[float, Any]) -> None:
        with suppress(Exception):
            self._out_of_memory.add(event[1]["worker"])

    def _receive_answer(self, future: Any) -> None:
        try:
            content = future.result()
        except BaseException as error:
            content = error
        self._messages.put(_Answer(future.key, content))


def _ignore(*progress: Any) -> None:
    pass
