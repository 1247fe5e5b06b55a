"""Finished runs on disk, so that an interrupted comparison goes on where it was.

A text file of JSON lines: first the conditions that all its runs have in common, then a line a
run, appended and synced when it is finished. What a power cut leaves of a last line is dropped.
"""

import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock, Timeout

from mnist_cli.atomic import replacing
from mnist_cli.comparison import Run
from mnist_cli.errors import MnistCliError, UsageError
from mnist_cli.events import Notice, OnEvent

FORMAT = "mnist-cli-journal-1"
FOLDER_VARIABLE = "MNIST_CLI_STATE_DIR"

Conditions = dict[str, Any]


class Journal:
    """The runs of one comparison, by network and seed; without a `path` they are not kept."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.runs: dict[tuple[str, int], Run] = {}
        self.finished = False

    def add(self, model: str, run: Run) -> None:
        """Take a finished run; it is on the disk when this returns.

        Raises:
            MnistCliError: it cannot be written.
        """
        self.runs[model, run.seed] = run
        self._append({"model": model, "run": asdict(run)})

    def finish(self) -> None:
        """Say that the comparison came to its end, whether or not every network did.

        Raises:
            MnistCliError: it cannot be written.
        """
        if not self.finished:
            self._append({"finished": True})

    def _append(self, entry: dict[str, Any]) -> None:
        if self.path is None:
            return
        line = json.dumps(entry, allow_nan=False)
        try:
            with open(self.path, "ab") as file:
                file.write(f"{line}\n".encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _unwritable(self.path, error) from error


@contextmanager
def opened(
    path: Path | None, conditions: Conditions, seeds: Sequence[int], on_event: OnEvent
) -> Iterator[Journal]:
    """The journal at `path`, made if it is not there, for this process alone.

    It may hold other seeds than `seeds`, as each run depends on its own seed only. Without a
    `path` it is the one of an unfinished comparison of the same kind in the user's state folder,
    or a new one there; where that folder cannot be written, nothing is kept.

    Raises:
        UsageError: the runs at `path` were made under other conditions.
        MnistCliError: `path` is no journal, another process has it, or it cannot be written.
    """
    if path is not None:
        lock = _locked(path)
        if lock is None:
            raise MnistCliError(
                f"another process has {path} open; wait for it or choose another --journal"
            )
        try:
            yield _read(path, conditions, seeds)
        finally:
            _release(lock)
        return
    try:
        book, lock = _unfinished_or_new(conditions, seeds)
    except MnistCliError as error:
        on_event(Notice(f"{error}; until then an interrupted comparison starts again"))
        yield Journal(None)
        return
    try:
        yield book
    finally:
        _release(lock)


def _unfinished_or_new(conditions: Conditions, seeds: Sequence[int]) -> tuple[Journal, FileLock]:
    folder = Path(os.environ.get(FOLDER_VARIABLE) or platformdirs.user_state_path("mnist-cli"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error, f"name another folder in {FOLDER_VARIABLE}") from error
    kind = hashlib.sha256(json.dumps([conditions, list(seeds)], sort_keys=True).encode())
    prefix = f"compare-{kind.hexdigest()[:12]}"
    for path in sorted(folder.glob(f"{prefix}-*.jsonl"), reverse=True):
        lock = _locked(path)
        if lock is None:
            continue
        with suppress(MnistCliError):  # a damaged one stays for whoever looks for it
            book = _read(path, conditions, seeds)
            if not book.finished:
                return book, lock
        _release(lock)
    now = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    path = folder / f"{prefix}-{now}-{secrets.token_hex(2)}.jsonl"
    lock = _locked(path)
    assert lock is not None  # nobody else knows this name
    return _read(path, conditions, seeds), lock


def _locked(path: Path) -> FileLock | None:
    """A lock that is held, or None where another process holds it."""
    lock = FileLock(f"{path.resolve()}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return None
    except OSError as error:
        raise _unwritable(path, error) from error
    return lock


def _release(lock: FileLock) -> None:
    with suppress(OSError):  # Windows keeps an open file; an empty one stays then
        Path(lock.lock_file).unlink()
    lock.release()


def _read(path: Path, conditions: Conditions, seeds: Sequence[int]) -> Journal:
    """A locked journal holds; a new one is begun, and an unfinished last line cut off."""
    try:
        content = path.read_bytes() if path.exists() else b""
        if not content:
            start = {"format": FORMAT, "seeds": list(seeds), "conditions": conditions}
            with replacing(path) as file:
                file.write(json.dumps(start).encode() + b"\n")
            return Journal(path)
        header, _, rest = content.partition(b"\n")
        _check_header(path, header, conditions)
        *lines, unfinished = rest.split(b"\n")
        if unfinished:
            os.truncate(path, len(content) - len(unfinished))
    except OSError as error:
        raise _unwritable(path, error) from error
    book = Journal(path)
    for number, line in enumerate(lines, 2):
        try:
            entry = json.loads(line)
            if entry == {"finished": True}:
                book.finished = True
            else:
                run = Run(**entry["run"])
                book.runs[entry["model"], run.seed] = run
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise MnistCliError(
                f"line {number} of {path} is damaged; remove that line, and its run is repeated"
            ) from error
    return book


def _check_header(path: Path, line: bytes, conditions: Conditions) -> None:
    try:
        header = json.loads(line)
        if header["format"] != FORMAT:
            raise ValueError
        was = dict(_flat(header["conditions"]))
        models = dict(header["conditions"]["models"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise MnistCliError(
            f"{path} is no journal of mnist-cli; choose another --journal"
        ) from None
    now = dict(_flat(json.loads(json.dumps(conditions))))
    wanted = conditions["models"]
    differences = [f"with {name}" for name in models if name not in wanted]
    differences += [f"without {name}" for name in wanted if name not in models]
    differences = differences or [
        f"{key} {was.get(key)}, now {now.get(key)}"
        for key in was | now
        if was.get(key) != now.get(key)
    ]
    if differences:
        more = f" and {len(differences) - 2} more" if len(differences) > 2 else ""
        raise UsageError(
            f"{path} holds runs of another comparison ({'; '.join(differences[:2])}{more}); "
            "choose another --journal"
        )


def _flat(tree: Conditions, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key} ")
        else:
            yield f"{prefix}{key}", value


def _unwritable(
    path: Path, error: OSError, remedy: str = "choose another --journal"
) -> MnistCliError:
    return MnistCliError(f"cannot keep a journal in {path}: {error.strerror or error}; {remedy}")
