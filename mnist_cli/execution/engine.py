"""Starts and stops Dask worker processes, or connects to a Dask scheduler."""

import asyncio
import atexit
import json
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Any, ClassVar

import dask
import torch
from distributed import Client, LocalCluster, Nanny
from distributed.comm.core import connect
from distributed.deploy.spec import close_clusters
from distributed.security import Security
from distributed.utils import LoopRunner

from mnist_cli.errors import MnistCliError, UsageError
from mnist_cli.system.cpus import count_allowed

CONNECT_SECONDS = 6.0
CLOSE_SECONDS = 2.0
EXIT_CODE_SECONDS = 1.0
SCHEDULER_FILE_BYTES = 1 << 20  # a thousand times the usual size
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# A worker prints on standard error, because standard output is for results. Linux kills a worker
# whose parent was killed, even if the code of a network blocks all threads. All workers import
# torch at once, before their first question.
PRELOAD = """
import ctypes, os, signal, sys
os.dup2(2, 1)
if sys.platform == "linux":
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
import mnist_cli.execution.worker
"""
CONFIG = {
    "distributed.worker.profile.enabled": False,  # it would slow the training
    "distributed.comm.timeouts.connect": CONNECT_SECONDS,
}


class LocalNanny(Nanny):
    """Starts a worker process, and keeps the exit code of each."""

    exit_codes: ClassVar[dict[str, int]] = {}

    def _on_worker_exit_sync(self, exitcode: int) -> None:
        self.exit_codes[self.worker_address] = exitcode
        super()._on_worker_exit_sync(exitcode)  # type: ignore[no-untyped-call]


def describe_exit(address: str) -> str | None:
    """How a local worker process ended: `exit status 3`, `SIGKILL`, or None if it is unknown."""
    deadline = time.monotonic() + EXIT_CODE_SECONDS
    while (code := LocalNanny.exit_codes.get(address)) is None:
        if time.monotonic() > deadline:
            return None
        time.sleep(0.02)  # the scheduler may notice the end before the nanny does
    return f"exit status {code}" if code >= 0 else signal.Signals(-code).name


def kill_worker(client: Any, address: str) -> None:
    """Kill a worker process; its nanny starts another."""

    def kill(dask_worker: Any) -> None:  # Dask sends it as bytecode to the nanny
        import os
        import signal

        os.kill(dask_worker.pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    with suppress(KeyError, OSError):  # the worker, or the scheduler, has just been lost
        client.run(kill, workers=[address], nanny=True, wait=False, on_error="ignore")


def count_jobs_that_fit(device: str, threads: int) -> int:
    """One job for each accelerator, or on the CPU as many as there are cores for their threads."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator and device in {"auto", accelerator.type}:
        return torch.accelerator.device_count()
    return max(1, count_allowed() // threads)


@contextmanager
def local_client(jobs: int, threads: int) -> Iterator[Any]:
    """Start workers that listen on loopback only, and stop them at the end of the context.

    Raises MnistCliError if they do not start.
    """
    # A worker imports libraries, which read these variables, before its first question.
    variables = dict.fromkeys(THREAD_VARIABLES, threads)
    config = CONFIG | {
        "distributed.nanny.pre-spawn-environ": variables,
        # By default, Dask closes a nanny that restarts its worker 15 s after the worker was lost.
        "distributed.deploy.lost-worker-timeout": "365 days",
    }
    atexit.unregister(close_clusters)  # it waits for workers whose start was interrupted
    logging.disable()  # Dask's threads log until the process ends
    with _run_loop() as loop, dask.config.set(config):
        try:
            cluster = LocalCluster(
                loop=loop,
                n_workers=jobs,
                threads_per_worker=1,
                memory_limit=0,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                silence_logs=50,
                worker_class=LocalNanny,
                preload=[PRELOAD],
            )
        except Exception as error:
            _kill_workers()
            raise MnistCliError(
                f"worker processes did not start ({_describe(error)}); try again, or with fewer "
                "--jobs"
            ) from error
        try:
            with Client(cluster) as client:
                yield client
        finally:
            for nanny in cluster.workers.values():
                nanny.close_gracefully()  # without starting another worker
            _kill_workers()
            with suppress(TimeoutError):
                cluster.close(timeout=CLOSE_SECONDS)


@contextmanager
def cluster_client(place: str) -> Iterator[Any]:
    """Connect to the scheduler at `place`: an address, or the file that the scheduler wrote.

    Raises UsageError if there is no such file or address, MnistCliError without an answer.
    """
    address = _find_address(place)
    logging.disable()  # the roster reports a lost scheduler in one line
    with dask.config.set(CONFIG):
        try:
            # If another program listens at the address, the client itself would wait long.
            asyncio.run(asyncio.wait_for(_try_connection(address), CONNECT_SECONDS))
            client = Client(address, timeout=CONNECT_SECONDS)
        except Exception as error:  # an invalid address raises errors of many types
            raise MnistCliError(
                f"no scheduler answers at {place}; start one with: dask scheduler"
            ) from error
        try:
            yield client
        finally:
            client.close(timeout=CLOSE_SECONDS)


def _kill_workers() -> None:
    for process in multiprocessing.active_children():
        process.kill()  # the code of a network may ignore SIGTERM


def _describe(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _find_address(place: str) -> str:
    if os.path.isfile(place):  # noqa: PTH113 - of any text, however long
        try:
            with open(place, encoding="utf-8") as file:
                return str(json.loads(file.read(SCHEDULER_FILE_BYTES))["address"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{place} is not a scheduler file; name the one written by: "
                "dask scheduler --scheduler-file s.json"
            ) from error
    if ":" not in place:
        raise UsageError(
            f"there is no file {place}; name one that dask scheduler --scheduler-file wrote, or an "
            "address such as tcp://10.0.0.7:8786"
        )
    return place


async def _try_connection(address: str) -> None:
    arguments = Security().get_connection_args("client")
    comm = await connect(address, timeout=CONNECT_SECONDS, **arguments)
    comm.abort()


@contextmanager
def _run_loop() -> Iterator[Any]:
    """Run Dask in a thread that, like the workers, blocks SIGINT; the main thread handles it."""
    runner = LoopRunner(asynchronous=False)
    if os.name == "posix":
        # Python's resource tracker, here without its warnings, frees what killed workers leave. It
        # starts before signals are blocked, because its start unblocks them.
        filters = (os.environ.get("PYTHONWARNINGS"), "ignore:resource_tracker")
        os.environ["PYTHONWARNINGS"] = ",".join(filter(None, filters))
        resource_tracker.ensure_running()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            runner.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    else:
        runner.start()
    try:
        yield runner.loop
    finally:
        runner.stop()
