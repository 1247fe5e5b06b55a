"""Which workers are connected, and which of them may train."""

import time
from math import inf
from typing import Any

from mnist_cli.errors import MnistCliError
from mnist_cli.formatting import plural
from mnist_cli.schema.events import Notice, OnEvent

PATIENCE_SECONDS = 10.0  # until a person is told that workers are there, and none is ready


class Roster:
    """The workers of a client, by address; `at_once` are on this machine."""

    def __init__(self, client: Any, place: str | None, on_event: OnEvent, at_once: int) -> None:
        self._client = client
        self._place = place
        self._on_event = on_event
        self._at_once = at_once
        self.workers: dict[str, Any] = {}
        """As the scheduler describes them."""
        self.fit: set[str] = set()
        """Those that have the right versions."""
        self._refused: set[str] = set()
        self._waits_since = time.monotonic()
        self._waits_for_first = True

    def look(self) -> None:
        """See which workers there are; raises MnistCliError where the scheduler is lost."""
        try:
            if self._client.status != "running":
                raise self.lost()
            self.workers = dict(self._client.scheduler_info()["workers"])
        except OSError as error:
            raise self.lost() from error
        self.fit &= self.workers.keys()
        self._refused &= self.workers.keys()
        if self._place is None or self.ready():
            self._waits_since, self._waits_for_first = time.monotonic(), False
        else:
            self._tell_that_none_is_ready(self._place)

    def lost(self) -> MnistCliError:
        """The error of a scheduler that does not answer any more."""
        return MnistCliError(
            f"lost the scheduler at {self._place}; finished runs are kept: the same command "
            "continues, with a new --cluster or without"
        )

    def ready(self) -> list[str]:
        """The workers that fit; one at its memory limit is paused, and gets no new runs."""
        return [
            address
            for address, described in self.workers.items()
            if address in self.fit and described["status"] == "running"
        ]

    def unknown(self) -> set[str]:
        """The workers whose versions are not known yet."""
        return self.workers.keys() - self.fit - self._refused

    def runs_beside(self, address: str) -> int:
        """How many workers the machine of one has, itself included, at least for a while."""
        hosts = [described["host"] for described in self.workers.values()]
        return max(self._at_once, hosts.count(self.workers.get(address, {}).get("host")))

    def retire(self, address: str) -> None:
        """Ask a worker nothing more until it is gone."""
        self.fit.discard(address)
        self._refused.add(address)

    def refuse(self, address: str, reason: str) -> MnistCliError | None:
        """Ask a worker nothing more; return an error if there is no other worker."""
        self.retire(address)
        if self.workers.keys() <= self._refused:
            return MnistCliError(f"the worker {address} {reason}")
        self._on_event(Notice(f"the worker {address} {reason}; it is not used"))
        return None

    def _tell_that_none_is_ready(self, place: str) -> None:
        """Tell it once, at the start or after a while."""
        patience = PATIENCE_SECONDS if self.workers or not self._waits_for_first else 0
        if time.monotonic() - self._waits_since < patience:
            return
        self._waits_since = inf  # it is told once
        states = ", ".join(sorted({described["status"] for described in self.workers.values()}))
        state = f"no worker is connected to {place}"
        if self.workers:
            state = f"none of {plural(len(self.workers), 'worker')} at {place} is ready ({states})"
        option = "" if ":" in place else "--scheduler-file "
        way_out = f"waiting for one (dask worker {option}{place} --nthreads 1)"
        self._on_event(Notice(f"{state}; {way_out}"))
