"""Runs in worker processes, which Dask looks after: here, or wherever a scheduler has some.

No more runs are submitted than there are workers, so that each begins at once, and one that ends
its process takes no other with it.
"""

import atexit
import logging
import multiprocessing
import os
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
from multiprocessing import resource_tracker
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, ClassVar

import dask
import torch
from dask.system import CPU_COUNT
from distributed import Client, KilledWorker, LocalCluster, Nanny
from distributed.deploy.spec import close_clusters
from distributed.utils import LoopRunner

from mnist_cli.data.datasets import Dataset, to_bytes
from mnist_cli.errors import MnistCliError
from mnist_cli.execution import worker
from mnist_cli.execution.executor import OnProgress
from mnist_cli.networks.bundle import pack
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.events import OnEvent, WorkersAwaited
from mnist_cli.schema.options import CompareOptions, Entry
from mnist_cli.schema.results import Environment
from mnist_cli.schema.runs import Measurement, RunTask

LOOK_SECONDS = 0.5  # between looks at workers and limits
CONNECT_SECONDS = 8.0
CLOSE_SECONDS = 2.0
EXIT_CODE_SECONDS = 1.0
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
PRELOAD = "import os\nos.dup2(2, 1)\n"  # what a network prints in a worker of ours is no result
CONFIG = {
    "distributed.worker.profile.enabled": False,  # it takes time from the training
    "distributed.comm.timeouts.connect": CONNECT_SECONDS,
}


@contextmanager
def local_workers(options: CompareOptions, on_event: OnEvent) -> Iterator["Workers"]:
    """Worker processes of this machine, reached on loopback only, and gone at the end."""
    execution = options.execution
    threads = execution.run_threads or CPU_COUNT
    jobs = execution.jobs or _room(options.device, threads)
    # Libraries read these when they are imported, which a worker does before it is asked anything.
    variables = dict.fromkeys(THREAD_VARIABLES, threads)
    config = CONFIG | {
        "distributed.nanny.pre-spawn-environ": variables,
        # 15 s after a worker was lost, its nanny would be closed if it is just starting another.
        "distributed.deploy.lost-worker-timeout": "365 days",
    }
    atexit.unregister(close_clusters)  # it waits for workers that were interrupted at their start
    logging.disable()  # threads of the engine speak until the process ends
    with _loop() as loop, dask.config.set(config):
        cluster = LocalCluster(
            loop=loop,
            n_workers=jobs,
            threads_per_worker=1,
            memory_limit=0,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
            worker_class=_Nanny,
            preload=[PRELOAD],
        )
        try:
            with Client(cluster) as client:
                yield Workers(client, None, options, threads, on_event)
        finally:
            for nanny in cluster.workers.values():
                nanny.close_gracefully()  # without starting another worker
            for process in multiprocessing.active_children():
                process.kill()  # rather than asked, as a network's code may not listen
            with suppress(TimeoutError):
                cluster.close(timeout=CLOSE_SECONDS)


@contextmanager
def cluster_workers(options: CompareOptions, on_event: OnEvent) -> Iterator["Workers"]:
    """The workers of a scheduler that stands somewhere.

    Raises:
        MnistCliError: it does not answer.
    """
    place = options.execution.cluster
    assert place is not None
    where = {"scheduler_file": place} if Path(place).is_file() else {"address": place}
    logging.disable()  # a lost scheduler is told in one line
    with dask.config.set(CONFIG):
        try:
            client = Client(**where, timeout=CONNECT_SECONDS)
        except (OSError, ValueError) as error:
            raise MnistCliError(
                f"no scheduler answers at {place}; start one with: dask scheduler"
            ) from error
        try:
            yield Workers(client, place, options, options.execution.run_threads or 1, on_event)
        finally:
            client.close(timeout=CLOSE_SECONDS)


@contextmanager
def _loop() -> Iterator[Any]:
    """A thread for the engine; Ctrl-C is for the main process: neither it nor workers see it."""
    runner = LoopRunner(asynchronous=False)
    if os.name == "posix":
        # A process of Python's that frees what killed workers leave, and need not say so. Where it
        # is first needed, it would unblock signals.
        ignored = (os.environ.get("PYTHONWARNINGS"), "ignore:resource_tracker")
        os.environ["PYTHONWARNINGS"] = ",".join(filter(None, ignored))
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            runner.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    else:
        runner.start()
    try:
        yield runner.loop
    finally:
        runner.stop()


class _Nanny(Nanny):
    """Starts a worker process, and remembers how each ended."""

    exit_codes: ClassVar[dict[str, int]] = {}

    def _on_worker_exit_sync(self, exitcode: int) -> None:
        self.exit_codes[self.worker_address] = exitcode
        super()._on_worker_exit_sync(exitcode)  # type: ignore[no-untyped-call]


@dataclass
class _Asked:
    """What workers were asked, and who has begun with it since when."""

    question: Entry | RunTask
    future: Any
    address: str = ""
    began: float = 0.0
    tried_again: bool = False


class Workers:
    """An executor with a slot for each worker; those at `place`, or of this machine alone."""

    def __init__(
        self,
        client: Any,
        place: str | None,
        options: CompareOptions,
        threads: int,
        on_event: OnEvent,
    ) -> None:
        self._client = client
        self._place = place
        self._run_limit = options.execution.run_limit
        self._on_event = on_event
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
        self._waiting: deque[Entry | RunTask] = deque()
        self._asked: dict[str, _Asked] = {}
        self._arrivals: SimpleQueue[Any] = SimpleQueue()  # answers, and what workers tell meanwhile
        self._workers: dict[str, Any] | None = None
        self._next_look = 0.0
        self._numbers = count()
        client.subscribe_topic(self._topic, lambda event: self._arrivals.put(event[1]))

    @property
    def slots(self) -> int:
        """How many workers there are."""
        return len(self._workers or {})

    def environment(self) -> Environment:
        """The machine of a worker; waits for the first one."""
        self._look()
        while not self._workers:
            time.sleep(LOOK_SECONDS)
            self._look()
        future = self._client.submit(worker.environment, self._job, pure=False)
        try:
            described: Environment = pickle.loads(future.result())
        except (CancelledError, OSError) as error:
            raise self._lost() from error
        return described

    def measure(self, entries: tuple[Entry, ...]) -> list[Measurement]:
        """What each entry costs; raises MnistCliError where its code cannot be imported."""
        self._waiting.extend(entries)
        measured: dict[str, Measurement] = {}
        while self._waiting or self._asked:
            for entry, outcome in self._next(lambda *told: None):
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
        self._waiting.append(task)

    def next(self, on_progress: OnProgress) -> list[tuple[RunTask, Run | str]]:
        """Wait for runs to finish or fail; none where the number of workers changed.

        Raises:
            MnistCliError: the scheduler is lost, or a worker does not fit.
        """
        return self._next(on_progress)

    def _next(self, on_progress: Callable[..., None]) -> list[tuple[Any, Any]]:
        slots = self.slots
        done: list[tuple[Any, Any]] = []
        while True:
            if time.monotonic() > self._next_look and not done:  # it may raise, and lose them
                self._look()
                done += self._end_late()
                if self.slots != slots:
                    return done
            while self._waiting and len(self._asked) < slots:
                self._ask(self._waiting.popleft())
            try:
                arrived = self._arrivals.get(timeout=0 if done else LOOK_SECONDS)
            except Empty:
                if done:  # and what arrived with it
                    return done
                continue
            asked = self._asked.get(arrived["key"])
            if asked is None:  # it was given up
                continue
            if "answer" in arrived:
                if isinstance(arrived["answer"], BaseException) and done:
                    self._arrivals.put(arrived)  # which may raise: what is finished comes first
                    return done
                del self._asked[arrived["key"]]
                done += self._outcome(asked, arrived["answer"])
            elif arrived["steps"]:
                on_progress(asked.question, arrived["name"], *arrived["steps"])
            else:
                asked.address, asked.began = arrived["address"], time.monotonic()

    def _ask(self, question: Entry | RunTask, tried_again: bool = False) -> None:
        function: Any = worker.measure
        arguments = [self._job, pickle.dumps(question)]
        if isinstance(question, RunTask):
            assert self._dataset is not None
            function = worker.train
            arguments += [pickle.dumps(self._dataset.info), self._images]
        key = f"{self._topic}-{next(self._numbers)}"
        future = self._client.submit(function, *arguments, key=key)
        self._asked[key] = _Asked(question, future, tried_again=tried_again)
        future.add_done_callback(self._fetch)

    def _fetch(self, future: Any) -> None:
        """Get an answer from its worker; called in a thread, so that none waits for another."""
        try:
            answer = future.result()
        except BaseException as error:
            answer = error
        self._arrivals.put({"key": future.key, "answer": answer})

    def _outcome(self, asked: _Asked, answer: Any) -> list[tuple[Any, Any]]:
        """What an answer means; nothing where the question has to be asked once more.

        Raises:
            MnistCliError: the scheduler is lost, or code cannot be imported.
        """
        if isinstance(answer, KilledWorker):
            # It may have waited for a worker that something else ended: only who had begun did it.
            if asked.address != answer.last_worker.address and not asked.tried_again:
                self._ask(asked.question, tried_again=True)
                return []
            return [(asked.question, _death(answer))]
        if isinstance(answer, CancelledError | OSError):
            raise self._lost() from answer
        if isinstance(answer, BaseException):
            raise answer
        if answer is None:
            assert self._dataset is not None
            if self._images is None:
                self._images = self._client.submit(worker.hold, to_bytes(self._dataset), pure=False)
            self._ask(asked.question)
            return []
        outcome = pickle.loads(answer)
        if isinstance(outcome, Run):
            outcome = replace(outcome, runs_at_once=self._neighbours(asked.address))
        return [(asked.question, outcome)]

    def _neighbours(self, address: str) -> int:
        """How many workers the machine of a worker has, itself included."""
        workers = self._workers or {}
        host = workers.get(address, {}).get("host")
        return max(1, sum(host in (None, other["host"]) for other in workers.values()))

    def _look(self) -> None:
        """See which workers there are.

        Raises:
            MnistCliError: the scheduler is lost, or a new worker does not fit.
        """
        self._next_look = time.monotonic() + LOOK_SECONDS
        if self._client.status != "running":
            raise self._lost()
        try:
            workers: dict[str, Any] = self._client.scheduler_info()["workers"]
            if self._place:
                if not workers and self._workers != {}:
                    self._on_event(WorkersAwaited(self._place))
                if new := workers.keys() - (self._workers or {}).keys():
                    self._check({address: workers[address] for address in new})
        except OSError as error:
            raise self._lost() from error
        self._workers = workers

    def _check(self, workers: dict[str, Any]) -> None:
        """Raise MnistCliError where a worker would train otherwise than the others."""
        versions = _versions()
        found = self._client.run(versions, workers=list(workers), on_error="ignore")
        for address, theirs in found.items():
            for package, version in versions().items():
                if theirs[package] != version:
                    raise MnistCliError(
                        f"the worker {address} has {package} {theirs[package]}, not {version}: "
                        "install the same there, or end that worker"
                    )
            if workers[address]["nthreads"] != 1:
                raise MnistCliError(
                    f"the worker {address} would train several runs in one process: start it with "
                    "--nthreads 1, and as many as you like with --nworkers"
                )

    def _end_late(self) -> list[tuple[Any, str]]:
        """End a run that takes too long, together with its worker process."""
        for key, asked in self._asked.items():
            late = time.monotonic() - asked.began > (self._run_limit or inf)
            if late and asked.address in (self._workers or {}):  # else it is about to begin anew
                del self._asked[key]
                asked.future.cancel()
                with suppress(KeyError):  # it has just ended by itself
                    self._client.run(
                        _killer(), workers=[asked.address], nanny=True, on_error="ignore"
                    )
                return [(asked.question, "it took longer than --run-limit")]
        return []

    def _lost(self) -> MnistCliError:
        return MnistCliError(
            f"lost the scheduler at {self._place}; what is finished is kept: the same command goes "
            "on, with a new --cluster or without"
        )


def _versions() -> Callable[[], dict[str, str]]:
    """For a worker. A function within another travels as bytecode: mnist-cli may not be there."""

    def versions() -> dict[str, str]:
        from importlib import import_module

        found = {}
        for package in ("mnist_cli", "torch"):
            try:
                found[package] = str(import_module(package).__version__)
            except ImportError:
                found[package] = "not installed"
        return found

    return versions


def _killer() -> Callable[..., None]:
    """For a nanny, which starts another worker then."""

    def kill(dask_worker: Any) -> None:
        import os
        import signal

        os.kill(dask_worker.pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    return kill


def _death(error: KilledWorker) -> str:
    """How the code of a network ended its worker, each time that it was tried."""
    address, patience = error.last_worker.address, time.monotonic() + EXIT_CODE_SECONDS
    while (code := _Nanny.exit_codes.get(address)) is None and time.monotonic() < patience:
        time.sleep(0.02)  # the scheduler may know before the nanny does
    if code is None:
        how = f" at {address}"
    else:
        how = f" ({signal.Signals(-code).name})" if code < 0 else f" (exit status {code})"
    return f"its worker process was ended{how} in each of {error.allowed_failures + 1} tries"


def _room(device: str, threads: int) -> int:
    """A job for each accelerator, or as many as there are cores for their threads."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator and device in {"auto", accelerator.type}:
        return torch.accelerator.device_count()
    return max(1, CPU_COUNT // threads)
