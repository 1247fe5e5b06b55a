"""Tracks which workers are connected, and which of them may train."""

import time
from math import inf
from typing import Any

from mnist_cli.errors import MnistCliError
from mnist_cli.formatting import plural
from mnist_cli.schema.events import Notice, OnEvent

NOTICE_SECONDS = 10.0  # without a worker that was ready, until the user gets a notice
SEVERAL_THREADS = (
    "would train several runs in one process: start it with --nthreads 1, and use --nworkers for "
    "several workers"
)


class Roster:
    """The workers of a Dask client, by address; `at_once` of them are on this machine."""

    def __init__(self, client: Any, place: str | None, on_event: OnEvent, at_once: int) -> None:
        self._client = client
        self._place = place
        self._on_event = on_event
        self._at_once = at_once
        self.workers: dict[str, Any] = {}
        """The scheduler's description of each worker."""
        self._refused: set[str] = set()
        self._waiting_since = -inf

    def update(self) -> None:
        """Ask the scheduler for its workers; raises MnistCliError if it is lost or none fits."""
        try:
            if self._client.status != "running":
                raise self.make_lost_error()
            self.workers = dict(self._client.scheduler_info()["workers"])
        except OSError as error:
            raise self.make_lost_error() from error
        self._refused &= self.workers.keys()
        for address in self.workers.keys() - self._refused:
            if self.workers[address]["nthreads"] != 1:
                self.refuse(address, SEVERAL_THREADS)
        if self.ready():
            self._waiting_since = time.monotonic()
        elif self._place and time.monotonic() - self._waiting_since >= NOTICE_SECONDS:
            self._waiting_since = inf  # no second notice
            self._warn_of_waiting(self._place)

    def make_lost_error(self) -> MnistCliError:
        """Make the error for a scheduler that no longer answers."""
        return MnistCliError(
            f"lost the scheduler at {self._place}; finished runs are kept: the same command "
            "continues, with a new --cluster or without"
        )

    def ready(self) -> list[str]:
        """The workers that are not paused, as Dask pauses a worker at its memory limit."""
        return [
            address
            for address, described in self.workers.items()
            if address not in self._refused and described["status"] == "running"
        ]

    def count_on_machine(self, address: str) -> int:
        """How many workers the machine of a worker has, this worker included."""
        hosts = [described["host"] for described in self.workers.values()]
        return max(self._at_once, hosts.count(self.workers.get(address, {}).get("host")))

    def exclude(self, address: str) -> None:
        """Ask a worker no further question."""
        self._refused.add(address)

    def refuse(self, address: str, reason: str) -> None:
        """Exclude a worker with a notice; raises MnistCliError if there is no other worker."""
        self.exclude(address)
        if self.workers.keys() <= self._refused:
            raise MnistCliError(f"the worker {address} {reason}")
        self._on_event(Notice(f"the worker {address} {reason}; it is not used"))

    def _warn_of_waiting(self, place: str) -> None:
        states = ", ".join(sorted({described["status"] for described in self.workers.values()}))
        state = f"no worker is connected to {place}"
        if self.workers:
            state = f"none of {plural(len(self.workers), 'worker')} at {place} is ready ({states})"
        option = "" if ":" in place else "--scheduler-file "
        command = f"dask worker {option}{place} --nthreads 1"
        self._on_event(Notice(f"{state}; waiting for one ({command})"))
