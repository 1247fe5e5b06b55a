"""Downloads known files, each from the first mirror that can deliver it.

Every read has a timeout, every attempt has a deadline, and a file gets its name only after its hash
was checked. torchvision's own download can wait forever, skips mirrors after some errors, and
leaves half-extracted files behind.
"""

import hashlib
import re
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
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
NETWORK_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    HTTPException,
    ConnectionError,
    TimeoutError,
)


@dataclass(frozen=True)
class Limits:
    """Timeouts for the next byte and for a whole file, and the number of rounds over all mirrors.

    If no mirror sends a byte within `first_byte_seconds`, there is no download.
    """

    stall_seconds: float
    file_seconds: float
    rounds: int
    first_byte_seconds: float | None = None


PATIENT = Limits(stall_seconds=30, file_seconds=600, rounds=3)
QUICK = Limits(stall_seconds=10, file_seconds=120, rounds=1, first_byte_seconds=10)


def fetch(
    files: list[KnownFile], folder: Path, source: Source, limits: Limits, on_event: OnEvent
) -> None:
    """Download the compressed `files` into `folder`; raises what `download` raises."""
    bases = mirrors(source)
    seconds = limits.first_byte_seconds
    if seconds and not any_answers([f"{base}{files[0].name}.gz" for base in bases], seconds):
        raise MnistCliError(f"no mirror answers ({', '.join(bases)})")
    for file in files:
        archive = f"{file.name}.gz"
        download([base + archive for base in bases], folder / archive, file.md5, limits, on_event)


def any_answers(urls: list[str], seconds: float) -> bool:
    """Whether one of `urls`, all requested at once, sends a first byte within `seconds`."""

    def answers(url: str) -> bool:
        try:
            with requests.get(url, stream=True, timeout=seconds) as response:
                return response.ok and bool(response.raw.read(1, decode_content=False))
        except (*NETWORK_ERRORS, OSError):
            return False

    executor = ThreadPoolExecutor(len(urls))
    asked = [executor.submit(answers, url) for url in urls]
    try:
        return any(each.result() for each in as_completed(asked, seconds))
    except TimeoutError:
        return False
    finally:
        executor.shutdown(wait=False)  # a name lookup cannot be interrupted


def download(urls: list[str], path: Path, md5: str, limits: Limits, on_event: OnEvent) -> None:
    """Download the file with hash `md5` to `path`, from the first of `urls` that delivers it.

    Two processes may do this at once, because each writes its own file before it replaces `path`.

    Raises:
        MnistCliError: every attempt failed; the message lists each kind of failure once.
        OSError: `path` cannot be written.
    """
    failures: dict[str, None] = {}  # a set that keeps the order
    for pause in range(limits.rounds):
        time.sleep(pause)
        for url in urls:
            try:
                return _try_url(url, path, md5, limits, on_event)
            except NETWORK_ERRORS as error:
                failures[f"{url}: {_describe(error)}"] = None
    raise MnistCliError(f"cannot download {path.name} ({'; '.join(failures)})")


def _try_url(url: str, path: Path, md5: str, limits: Limits, on_event: OnEvent) -> None:
    deadline = time.monotonic() + limits.file_seconds
    received = hashlib.md5(usedforsecurity=False)
    done = 0
    with requests.get(url, stream=True, timeout=limits.stall_seconds) as response:
        response.raise_for_status()
        length = response.headers.get("Content-Length", "")
        total = int(length) if re.fullmatch("[0-9]{1,15}", length) else None
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            # read1 returns what has arrived. read would wait for a whole chunk, so that a server
            # that sends a byte a second could exceed the deadline. Decoding would unpack a .gz file
            # from servers that send it with the header Content-Encoding: gzip.
            while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):
                if time.monotonic() > deadline:
                    raise TimeoutError
                file.write(chunk)
                received.update(chunk)
                done += len(chunk)
                if done > MOST_BYTES:
                    raise requests.RequestException(f"more than {MOST_BYTES >> 20} MiB")
                on_event(DownloadProgress(path.name, done, total))
            if received.hexdigest() != md5:
                raise requests.RequestException(f"{done:,} wrong bytes, their MD5 is not {md5}")


def _describe(error: BaseException) -> str:
    """Describe a network failure by its innermost cause."""
    if isinstance(error, requests.HTTPError):
        return f"HTTP {error.response.status_code}"
    if isinstance(error, TimeoutError | requests.Timeout | urllib3.exceptions.TimeoutError):
        return "timed out"
    while error.__context__ is not None:
        error = error.__context__
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
