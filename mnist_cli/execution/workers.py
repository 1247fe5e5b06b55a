"""Runs in worker processes, which Dask looks after: here, or wherever a scheduler has some.

Each question goes to one worker that is free: what it costs to measure a network, or to train it.
Where a worker is lost, its question goes to another.
"""

import pickle
import secrets
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from math import inf
from queue import Empty, SimpleQueue
from typing import Any

import torch
from dask.system import CPU_COUNT
from distributed import KilledWorker

from mnist_cli.data.datasets import Dataset, to_bytes
from mnist_cli.errors import MnistCliError
from mnist_cli.execution import worker
from mnist_cli.execution.answers import (
    ENVIRONMENT,
    VERSIONS,
    Question,
    check_versions,
    read_answer,
    versions,
)
from mnist_cli.execution.engine import LocalNanny, cluster_client, local_client
from mnist_cli.formatting import plural
from mnist_cli.networks.bundle import pack
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.events import Notice, OnEvent, Waiting
from mnist_cli.schema.options import CompareOptions, Entry
from mnist_cli.schema.results import Environment
from mnist_cli.schema.runs import Measurement, OnProgress, RunTask

LOOK_SECONDS = 0.5  # between looks at workers and limits
PATIENCE_SECONDS = 10.0  # until a person is told that workers are there, and none is ready
EXIT_CODE_SECONDS = 1.0
TRIES = 4  # of a question, each of which ended a worker process
MEMORY_TOPIC = "worker-restart-memory"  # what nannies report, by the name that Dask gives it


@contextmanager
def local_workers(options: CompareOptions, on_event: OnEvent) -> Iterator["Workers"]:
    """Worker processes of this machine; raises MnistCliError where they do not start."""
    execution = options.execution
    threads = execution.run_threads or CPU_COUNT
    jobs = execution.jobs or _jobs_that_fit(options.device, threads)
    on_event(Waiting(f"starting {plural(jobs, 'worker')}"))
    with local_client(jobs, threads) as client:
        yield Workers(client, options, threads, on_event, at_once=jobs)


@contextmanager
def cluster_workers(options: CompareOptions, on_event: OnEvent) -> Iterator["Workers"]:
    """The workers of a scheduler that stands somewhere.

    Raises:
        UsageError: there is no such file.
        MnistCliError: it does not answer.
    """
    place = options.execution.cluster
    assert place is not None
    on_event(Waiting(f"connecting to {place}"))
    with cluster_client(place) as client:
        yield Workers(client, options, options.execution.run_threads or 1, on_event)


@dataclass
class _Assignment:
    """A question that a worker was asked."""

    question: Question
    worker: str
    """Its address."""
    future: Any
    deaths: int
    """How many workers ended at the same question before."""
    holder: str
    """The worker that it gets the images from."""
    at_once: int
    """The most runs that the machine was ready to train at any time since."""
    began: float | None = None


@dataclass(frozen=True)
class _Report:
    """What a worker tells: that it begins with the question `key`, or how many `steps` it did."""

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
        self,
        client: Any,
        options: CompareOptions,
        threads: int,
        on_event: OnEvent,
        *,
        at_once: int = 1,
    ) -> None:
        self._client = client
        self._place = options.execution.cluster
        self._run_limit = options.execution.run_limit or inf
        self._on_event = on_event
        self._at_once = at_once
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
        self._there: dict[str, Any] = {}  # workers by address, as the scheduler describes them
        self._fit: set[str] = set()
        self._refused: set[str] = set()
        self._out_of_memory: set[str] = set()
        self._error: MnistCliError | None = None
        self._waits_since = time.monotonic()
        self._waits_for_first = True
        self._told_of_waiting = False
        self._next_look = 0.0
        self._numbers = count()
        client.subscribe_topic(self._topic, self._hear)
        client.subscribe_topic(MEMORY_TOPIC, self._hear_of_memory)

    @property
    def slots(self) -> int:
        """How many workers there are that fit."""
        return len(self._ready())

    def environment(self) -> Environment:
        """The machine of a worker; waits for the first one."""
        self._questions.append((ENVIRONMENT, 0))
        while not (answered := self._collect(_ignore)):
            pass
        [(_, outcome)] = answered
        if isinstance(outcome, str):
            raise MnistCliError(outcome)
        described: Environment = outcome
        return described

    def measure(self, entries: tuple[Entry, ...]) -> list[Measurement]:
        """What each entry costs; raises MnistCliError where its code cannot be imported."""
        self._questions.extend((entry, 0) for entry in entries)
        measured: dict[str, Measurement] = {}
        while len(measured) < len(entries):
            for entry, outcome in self._collect(_ignore):
                failed = isinstance(outcome, str)
                measured[entry.name] = (
                    Measurement(failure=f"{entry.name} cannot be measured: {outcome}")
                    if failed
                    else outcome
                )
        return [measured[entry.name] for entry in entries]

    def hand_over(self, dataset: Dataset) -> None:
        """Keep the images for workers that do not have them."""
        self._dataset = dataset

    def submit(self, task: RunTask) -> None:
        """Have a worker train it."""
        self._questions.append((task, 0))

    def wait(self, on_progress: OnProgress) -> list[tuple[RunTask, Run | str]]:
        """Wait for runs to finish or fail; an empty list if the number of workers changed.

        Raises:
            MnistCliError: the scheduler is lost, or no worker fits.
        """
        return self._collect(on_progress)

    def _collect(self, on_progress: OnProgress) -> list[tuple[Any, Any]]:
        """Questions with their outcomes, as soon as there are some or other slots.

        An error waits until what is finished was handed out.
        """
        slots = self.slots
        while True:
            if time.monotonic() > self._next_look:
                self._look()
            done = self._end_late() + self._end_lost()
            self._assign()
            done += self._take_messages(on_progress, 0 if done else LOOK_SECONDS)
            if done or self.slots != slots:
                return done
            if self._error:
                raise self._error

    def _take_messages(self, on_progress: OnProgress, seconds: float) -> list[tuple[Any, Any]]:
        """What workers answered; waits at most so many seconds for the first message."""
        done: list[tuple[Any, Any]] = []
        while not self._error:
            try:
                message = self._messages.get(timeout=seconds)
            except Empty:
                break
            seconds = 0
            assignment = self._assignments.get(message.key)
            if assignment is None:  # it was given up
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
        """What an answer means; nothing where the question has to be asked once more."""
        self._look()  # another worker may have come while the run went on
        del self._assignments[key]
        question = assignment.question
        if isinstance(answer, CancelledError):
            self._error = self._error or self._lost()
            return []
        if isinstance(answer, KilledWorker | OSError):
            return self._ask_again(assignment)
        try:
            if question == VERSIONS:
                check_versions(answer, self._there.get(assignment.worker, {}).get("nthreads", 1))
                self._fit.add(assignment.worker)
                return []
            if isinstance(answer, MnistCliError):
                self._error = answer
                return []
            num_test = self._dataset.info.num_test if self._dataset else 0
            outcome = read_answer(question, answer, num_test, self._threads)
        except ValueError as error:
            self._refuse(assignment.worker, f"the worker {assignment.worker} {error}")
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
        for address in self._ready():
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
                function, arguments = versions(), []
        key = f"{self._topic}-{next(self._numbers)}"
        future = self._client.submit(function, *arguments, key=key, workers=[address])
        at_once = self._at_once_beside(address)
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
        """Have a question asked anew, before all others."""
        if assignment.question != VERSIONS:
            self._questions.appendleft((assignment.question, assignment.deaths))

    def _ask_again(self, assignment: _Assignment) -> list[tuple[Any, Any]]:
        """Repeat a question whose worker was lost; why it failed, where that happens each time.

        A question that nobody had begun with did not end its worker.
        """
        if assignment.began is not None:
            assignment.deaths += 1
        if assignment.deaths == TRIES:
            return [(assignment.question, self._describe_death(assignment.worker))]
        self._give_back(assignment)
        return []

    def _end_lost(self) -> list[tuple[Any, str]]:
        """Take questions back from workers that left, or cannot begin any more."""
        if self._holder not in self._there:
            self._images, self._holder = None, ""
        done: list[tuple[Any, str]] = []
        for key, assignment in list(self._assignments.items()):
            there = self._there.get(assignment.worker)
            paused = there is not None and there["status"] != "running"
            lacks_images = assignment.holder and assignment.holder not in self._there
            if there is None or (assignment.began is None and (paused or lacks_images)):
                del self._assignments[key]
                assignment.future.cancel()
                done += self._ask_again(assignment)
        return done

    def _end_late(self) -> list[tuple[Any, str]]:
        """End questions that take too long, together with their worker processes."""
        done: list[tuple[Any, str]] = []
        for key, assignment in list(self._assignments.items()):
            began = assignment.began
            if began is not None and time.monotonic() - began > self._run_limit:
                del self._assignments[key]
                assignment.future.cancel()
                address = assignment.worker
                self._fit.discard(address)
                self._refused.add(address)  # until it is gone
                self._client.run(
                    _killer(), workers=[address], nanny=True, wait=False, on_error="ignore"
                )
                done.append((assignment.question, "it took longer than --run-limit"))
        return done

    def _look(self) -> None:
        """See which workers there are, and how many runs each machine may train at once."""
        self._next_look = time.monotonic() + LOOK_SECONDS
        try:
            if self._client.status != "running":
                raise OSError
            self._there = dict(self._client.scheduler_info()["workers"])
        except OSError:
            self._error = self._error or self._lost()
            return
        self._fit &= self._there.keys()
        self._refused &= self._there.keys()
        for assignment in self._assignments.values():
            at_once = self._at_once_beside(assignment.worker)
            assignment.at_once = max(assignment.at_once, at_once)
        asked = {a.worker for a in self._assignments.values() if a.question == VERSIONS}
        for address in self._there.keys() - self._fit - self._refused - asked:
            self._ask(address, VERSIONS)
        self._tell_if_none_is_ready()

    def _at_once_beside(self, address: str) -> int:
        """How many workers the machine of one has, itself included, at least for a while."""
        hosts = [described["host"] for described in self._there.values()]
        here = self._there.get(address, {}).get("host")
        return max(self._at_once, hosts.count(here))

    def _ready(self) -> list[str]:
        """The workers that fit; one at its memory limit is paused, and gets no new runs."""
        return [
            address
            for address, described in self._there.items()
            if address in self._fit and described["status"] == "running"
        ]

    def _tell_if_none_is_ready(self) -> None:
        now = time.monotonic()
        if self._place is None or self._ready():
            self._waits_since, self._waits_for_first, self._told_of_waiting = now, False, False
            return
        patience = PATIENCE_SECONDS if self._there or not self._waits_for_first else 0
        if self._told_of_waiting or now - self._waits_since < patience:
            return
        self._told_of_waiting = True
        states = ", ".join(sorted({described["status"] for described in self._there.values()}))
        state = f"no worker is connected to {self._place}"
        if self._there:
            state = f"none of {plural(len(self._there), 'worker')} at {self._place} is ready"
            state += f" ({states})"
        option = "" if ":" in self._place else "--scheduler-file "
        way_out = f"waiting for one (dask worker {option}{self._place} --nthreads 1)"
        self._on_event(Notice(f"{state}; {way_out}"))

    def _refuse(self, address: str, reason: str) -> None:
        """Ask a worker nothing more; it is an error if there is no other."""
        self._fit.discard(address)
        self._refused.add(address)
        if self._there.keys() <= self._refused:
            self._error = self._error or MnistCliError(reason)
        else:
            self._on_event(Notice(f"{reason}; it is not used"))

    def _describe_death(self, address: str) -> str:
        """How the code of a network ended its worker, each time that it was tried."""
        each_time = f"in each of {TRIES} tries"
        if address in self._out_of_memory:
            return f"its worker process was ended {each_time}, as it exceeded its memory limit"
        if self._place:
            return f"its worker process at {address} was ended {each_time}"
        patience = time.monotonic() + EXIT_CODE_SECONDS
        while (code := LocalNanny.exit_codes.get(address)) is None:
            if time.monotonic() > patience:
                return f"its worker process was ended {each_time}"
            time.sleep(0.02)  # the scheduler may know before the nanny does
        if code >= 0:
            return f"its worker process was ended (exit status {code}) {each_time}"
        name = signal.Signals(-code).name
        hint = "; a system that runs out of memory does so" if name == "SIGKILL" else ""
        return f"its worker process was ended ({name}) {each_time}{hint}"

    def _lost(self) -> MnistCliError:
        return MnistCliError(
            f"lost the scheduler at {self._place}; what is finished is kept: the same command goes "
            "on, with a new --cluster or without"
        )

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


def _killer() -> Callable[..., None]:
    """For a nanny, which starts another worker then."""

    def kill(dask_worker: Any) -> None:
        import os
        import signal

        os.kill(dask_worker.pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    return kill


def _jobs_that_fit(device: str, threads: int) -> int:
    """A job for each accelerator, or as many as there are cores for their threads."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator and device in {"auto", accelerator.type}:
        return torch.accelerator.device_count()
    return max(1, CPU_COUNT // threads)
