"""Downloading known files, each from the first mirror that can deliver it.

Every read has a timeout and every attempt a deadline, and a file is in place only after its hash
was checked. torchvision's own download can wait forever, skips mirrors after some errors, and
leaves half-extracted files behind.
"""

import hashlib
import queue
import re
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import requests
import urllib3

from mnist_cli.data.sources import KnownFile, Source, mirrors
from mnist_cli.errors import MnistCliError
from mnist_cli.schema.events import DownloadProgress, OnEvent
from mnist_cli.system.files import MOST_BYTES, replacing

CHUNK_BYTES = 1 << 16
OnBytes = Callable[[int, int | None], None]


class WrongBytesError(Exception):
    """A mirror delivered a file that does not have the published hash."""


NETWORK_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    HTTPException,
    ConnectionError,
    TimeoutError,
    WrongBytesError,
)


@dataclass(frozen=True)
class Patience:
    """Timeouts for a new byte and for a whole file, and how often all mirrors are asked in turn.

    If none of them sends a byte within `first_byte_seconds`, the rounds do not begin.
    """

    stall_seconds: float
    file_seconds: float
    rounds: int
    first_byte_seconds: float | None = None


IF_ASKED_FOR = Patience(stall_seconds=30, file_seconds=600, rounds=3)
IF_QUICK = Patience(stall_seconds=10, file_seconds=120, rounds=1, first_byte_seconds=10)


def fetch(
    files: list[KnownFile], folder: Path, source: Source, patience: Patience, on_event: OnEvent
) -> None:
    """Download the compressed `files` into `folder`; raises what `download` raises."""
    bases = mirrors(source)
    limit = patience.first_byte_seconds
    if limit and not any_answers([f"{base}{files[0].name}.gz" for base in bases], limit):
        raise MnistCliError(f"no mirror answers ({', '.join(bases)})")
    for file in files:
        archive = f"{file.name}.gz"

        def report(done: int, total: int | None, archive: str = archive) -> None:
            on_event(DownloadProgress(archive, done, total))

        download([base + archive for base in bases], folder / archive, file.md5, patience, report)


def any_answers(urls: list[str], seconds: float) -> bool:
    """Whether one of `urls` sends a first byte within `seconds`; all are asked at once.

    Each is asked in a daemon thread, because a name lookup cannot be interrupted.
    """
    answers: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def ask(url: str) -> None:
        try:
            with requests.get(url, stream=True, timeout=seconds) as response:
                answers.put(response.ok and bool(response.raw.read(1, decode_content=False)))
        except (*NETWORK_ERRORS, OSError):
            answers.put(False)

    for url in urls:
        threading.Thread(target=ask, args=(url,), daemon=True).start()
    deadline = time.monotonic() + seconds
    try:
        return any(answers.get(timeout=max(0.0, deadline - time.monotonic())) for _ in urls)
    except queue.Empty:
        return False


def download(urls: list[str], path: Path, md5: str, patience: Patience, on_bytes: OnBytes) -> None:
    """Put the file with hash `md5` at `path`, from the first of `urls` that delivers it.

    `on_bytes` is called with the bytes so far and the total, None if that is unknown. Two processes
    may do this at once: each writes a file of its own, and the last one replaces the first.

    Raises:
        MnistCliError: every attempt failed; the message lists each kind of failure once.
        OSError: `path` cannot be written.
    """
    failures: dict[str, None] = {}  # a set that keeps the order
    for pause in range(patience.rounds):
        time.sleep(pause)
        for url in urls:
            try:
                return _attempt(url, path, md5, patience, on_bytes)
            except NETWORK_ERRORS as error:
                failures[f"{url}: {_reason(error)}"] = None
    raise MnistCliError(f"cannot download {path.name} ({'; '.join(failures)})")


def _attempt(url: str, path: Path, md5: str, patience: Patience, on_bytes: OnBytes) -> None:
    deadline = time.monotonic() + patience.file_seconds
    received = hashlib.md5(usedforsecurity=False)
    done = 0
    with ExitStack() as stack:
        response = stack.enter_context(
            requests.get(url, stream=True, timeout=patience.stall_seconds)
        )
        response.raise_for_status()
        path.parent.mkdir(parents=True, exist_ok=True)
        file = stack.enter_context(replacing(path))
        length = response.headers.get("Content-Length", "")
        total = int(length) if re.fullmatch("[0-9]{1,15}", length) else None
        # read1 returns what has arrived. read would wait for a whole chunk, and a server that sends
        # a byte a second would outlast the deadline. Nothing is decoded, because some servers
        # announce a .gz file as its content in gzip encoding.
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):
            if time.monotonic() > deadline:
                raise TimeoutError
            file.write(chunk)
            received.update(chunk)
            done += len(chunk)
            if done > MOST_BYTES:
                raise WrongBytesError(f"more than {MOST_BYTES >> 20} MiB")
            on_bytes(done, total)
        if received.hexdigest() != md5:
            raise WrongBytesError(f"{done:,} wrong bytes, their MD5 is not {md5}")


def _reason(error: BaseException) -> str:
    """A network failure in a few words: those of its innermost cause."""
    if isinstance(error, requests.HTTPError):
        return f"HTTP {error.response.status_code}"
    if isinstance(error, TimeoutError | requests.Timeout | urllib3.exceptions.TimeoutError):
        return "timed out"
    while error.__context__ is not None:
        error = error.__context__
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
