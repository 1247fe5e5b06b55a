"""Trains runs in the worker processes of Dask, on this machine or in a cluster.

Each free worker gets one question: to measure a network, or to train it. If a worker is lost,
another one gets its question.
"""

import pickle
import secrets
import time
from collections import deque
from collections.abc import Sequence
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
from mnist_cli.schema.datasets import NUM_CLASSES, DatasetInfo
from mnist_cli.schema.events import OnEvent
from mnist_cli.schema.options import CompareOptions, Entry
from mnist_cli.schema.results import Environment
from mnist_cli.schema.runs import Measurement, OnProgress, RunTask

UPDATE_SECONDS = 0.5  # between checks of workers and time limits
TRIES = 4  # of a question that ends its worker process
MEMORY_TOPIC = "worker-restart-memory"  # Dask's topic for reports of nannies


@dataclass
class _Assignment:
    """A question that is queued, or that a worker has."""

    question: Question
    deaths: int = 0
    """How many worker processes died while they had this question."""
    worker: str = ""
    """The address of the worker."""
    future: Any = None
    at_once: int = 1
    """The most runs that the machine could train at once since the worker got the question."""
    began: float | None = None


class Workers:
    """An executor like `Trainer`, with a slot for each worker, of which any may join or leave.

    `at_once` of them are on this machine.
    """

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
            {entry.model.name: (entry.model, pack(entry.model)) for entry in options.entries},
            num_classes,
        )
        self._job = pickle.dumps(job)
        self._ask_worker = answers.make_ask()
        self._dataset: Dataset | None = None
        self._info: DatasetInfo | None = None
        self._images: Any = None
        self._holder = ""  # the worker that has the images, and sends them to the others
        self._queue: deque[_Assignment] = deque()
        self._assignments: dict[str, _Assignment] = {}  # by Dask's key
        # Each message is the key of an assignment, and a function that takes the assignment.
        self._messages: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self._on_progress: OnProgress = lambda *progress: None
        self._done: list[tuple[Any, Any]] = []  # questions with their outcomes
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

    def measure_all(self, entries: Sequence[Entry]) -> tuple[Environment, list[Measurement]]:
        """Describe the machine of the first worker, and measure the cost of each entry.

        Raises MnistCliError if the code of an entry cannot be imported.
        """
        environment, *measured = self._ask_all((answers.ENVIRONMENT, *entries))
        if isinstance(environment, str):
            raise MnistCliError(environment)
        for index, (entry, outcome) in enumerate(zip(entries, measured, strict=True)):
            if isinstance(outcome, str):
                failure = f"{entry.name} cannot be measured: {outcome}"
                measured[index] = Measurement(failure=failure)
        return environment, measured

    def hand_over(self, dataset: Dataset) -> None:
        """Keep the images for workers that do not have them."""
        self._dataset, self._info = dataset, dataset.info

    def train_all(
        self, tasks: Sequence[RunTask], on_progress: OnProgress
    ) -> list[tuple[RunTask, Run | str]]:
        """Queue `tasks` for the next free workers; return the first runs that finish or fail.

        They may be of an earlier call. Returns no run if the number of slots changed. Raises
        MnistCliError, after the last outcome, if the scheduler is lost or no worker fits.
        """
        self._on_progress = on_progress
        return self._ask_next(tasks)

    def _ask_next(self, questions: Sequence[Question]) -> list[tuple[Any, Any]]:
        """Queue `questions`; return the first that have outcomes, or none if the slots changed."""
        self._queue.extend(map(_Assignment, questions))
        slots = self.slots
        while not self._done and self.slots == slots:
            if self._error:
                raise self._error
            if time.monotonic() > self._next_update:
                self._update()
            self._end_lost_and_late()
            self._assign()
            self._take_messages()
        done, self._done = self._done, []
        return done

    def _ask_all(self, questions: Sequence[Question]) -> list[Any]:
        """Ask `questions`; return their outcomes in the same order."""
        done = self._ask_next(questions)
        while len(done) < len(questions):
            done += self._ask_next(())
        outcomes = {id(question): outcome for question, outcome in done}
        return [outcomes[id(question)] for question in questions]

    def _assign(self) -> None:
        """Ask each free worker one of the next questions."""
        busy = {assignment.worker for assignment in self._assignments.values()}
        for address in self._roster.ready():
            if self._queue and address not in busy:
                self._ask(address, self._queue.popleft())

    def _ask(self, address: str, assignment: _Assignment) -> None:
        question = pickle.dumps((assignment.question, self._info))
        arguments = answers.VERSIONS, self._job, question, self._images
        key = f"{self._topic}-{next(self._numbers)}"
        future = self._client.submit(self._ask_worker, *arguments, key=key, workers=[address])
        assignment.worker, assignment.future, assignment.began = address, future, None
        assignment.at_once = self._roster.count_on_machine(address)
        self._assignments[key] = assignment
        future.add_done_callback(self._receive_answer)

    def _take_messages(self) -> None:
        """Handle the messages that have arrived; if there is no outcome yet, wait for a message."""
        seconds = 0 if self._done else UPDATE_SECONDS
        try:
            while not self._error:
                key, take = self._messages.get(timeout=seconds)
                seconds = 0
                if assignment := self._assignments.get(key):  # else it was cancelled
                    take(assignment)
        except Empty:
            pass
        except MnistCliError as error:
            self._error = self._error or error

    def _take_report(self, assignment: _Assignment, name: str, steps: tuple[int, ...]) -> None:
        """A worker began a question, or has done `steps`: epoch, step, steps of an epoch."""
        if steps and isinstance(assignment.question, RunTask):
            self._on_progress(assignment.question, name, *steps)
        else:
            assignment.began = time.monotonic()
            self._update()

    def _take_answer(self, assignment: _Assignment, answer: Any) -> None:
        """Read an answer, which may be an exception; raises MnistCliError if no run can follow."""
        self._update()  # another worker may have joined during the run
        del self._assignments[assignment.future.key]
        match answer:
            case CancelledError():
                raise self._roster.make_lost_error()
            case KilledWorker() | OSError():
                self._retry(assignment)
            case MnistCliError():
                raise answer
            case _:
                self._take_outcome(assignment, answer)

    def _take_outcome(self, assignment: _Assignment, answer: Any) -> None:
        question = assignment.question
        try:
            outcome = answers.read_answer(question, answer, self._info, self._threads)
        except ValueError as error:
            self._queue.appendleft(assignment)
            self._roster.refuse(assignment.worker, str(error))
            return
        if outcome is None:
            self._send_images(assignment.worker)
            self._queue.appendleft(assignment)
            return
        if isinstance(outcome, Run):
            outcome = replace(outcome, runs_at_once=assignment.at_once)
        self._done.append((question, outcome))

    def _send_images(self, address: str) -> None:
        """Send the images to one worker, unless another one has them."""
        if not self._holder:
            assert self._dataset is not None
            images = pickle.dumps(self._dataset)
            self._images = self._client.submit(worker.hold, images, pure=False, workers=[address])
            self._holder = address

    def _retry(self, assignment: _Assignment) -> None:
        """Queue a question whose worker was lost again; after several tries, it has failed."""
        if assignment.began is not None:  # else the question cannot have ended its worker
            assignment.deaths += 1
        if assignment.deaths < TRIES:
            self._queue.appendleft(assignment)
        else:
            self._done.append((assignment.question, self._describe_death(assignment.worker)))

    def _end_lost_and_late(self) -> None:
        """Cancel the assignments of lost workers, and kill runs that take too long."""
        workers, now = self._roster.workers, time.monotonic()
        lacks_images = bool(self._holder) and self._holder not in workers
        if lacks_images:
            self._images, self._holder = None, ""
        for key, assignment in list(self._assignments.items()):
            described, began = workers.get(assignment.worker), assignment.began
            is_lost = described is None
            if described and began is None:  # it cannot begin without images, or if it is paused
                is_lost = lacks_images or described["status"] != "running"
            is_late = began is not None and now - began > self._run_timeout
            if not (is_lost or is_late):
                continue
            del self._assignments[key]
            assignment.future.cancel()
            if is_late:
                self._roster.exclude(assignment.worker)
                kill_worker(self._client, assignment.worker)
                self._done.append((assignment.question, "it took longer than --run-timeout"))
            else:
                self._retry(assignment)

    def _update(self) -> None:
        """Update the workers, and how many runs each machine may train at once."""
        self._next_update = time.monotonic() + UPDATE_SECONDS
        try:
            self._roster.update()
        except MnistCliError as error:
            self._error = self._error or error
        for assignment in self._assignments.values():
            at_once = self._roster.count_on_machine(assignment.worker)
            assignment.at_once = max(assignment.at_once, at_once)

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
            key, name = str(report["key"]), str(report["name"])
            steps = tuple(map(int, report["steps"]))
            self._messages.put((key, lambda told: self._take_report(told, name, steps)))

    def _receive_memory_report(self, event: tuple[float, Any]) -> None:
        with suppress(Exception):
            self._out_of_memory.add(event[1]["worker"])

    def _receive_answer(self, future: Any) -> None:
        try:
            content = future.result()
        except BaseException as error:
            content = error
        self._messages.put((future.key, lambda asked: self._take_answer(asked, content)))
