"""Finished runs on disk, so that an interrupted comparison goes on where it was.

A text file of JSON lines: first the conditions that all its runs have in common, then a line for
each run. A line is appended and synced when its run is finished; one without its line end, which a
power cut may leave, is cut off when the journal is opened again.
"""

import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import platformdirs
from filelock import FileLock, Timeout

from mnist_cli.errors import MnistCliError, UsageError
from mnist_cli.formatting import plural
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.events import Notice, OnEvent
from mnist_cli.schema.record import Record, Sealed, check_seal, from_json, sealed, to_json
from mnist_cli.system.files import explaining, replacing

FOLDER_VARIABLE = "MNIST_CLI_STATE_DIR"
KEPT_SECONDS = 30 * 24 * 3600
FORMAT: Literal["mnist-cli-journal-2"] = "mnist-cli-journal-2"
THREADS = "environment threads"  # among the conditions of a header

Conditions = dict[str, Any]


@dataclass(frozen=True)
class Header(Record):
    """The first line: what decides the result of a run beside its seed, the same for all runs."""

    format: Literal["mnist-cli-journal-2"]
    seeds: tuple[int, ...]
    conditions: Conditions


@dataclass(frozen=True)
class RunEntry(Sealed):
    """The line of a finished run."""

    model: str
    run: Run


@dataclass(frozen=True)
class EndEntry(Record):
    """The last line of a comparison that came to its end, whether or not every network did."""

    finished: Literal[True]


class Journal:
    """The runs of one comparison, by network and seed; without a `path` they are not kept."""

    def __init__(self, path: Path | None, header: Header) -> None:
        self.path = path
        self._header = header
        self.runs: dict[tuple[str, int], Run] = {}
        self.finished = False
        self.seeds_changed = False  # since it was begun

    def add(self, model: str, run: Run) -> None:
        """Take a finished run, as `add_all` does."""
        self.add_all([(model, run)])

    def add_all(self, finished: Sequence[tuple[str, Run]]) -> None:
        """Take runs that finished together; they are on the disk when this returns.

        Raises:
            MnistCliError: they cannot be written.
        """
        self.runs |= {(model, run.seed): run for model, run in finished}
        self._append(*(sealed(RunEntry(model, run)) for model, run in finished))

    def finish(self) -> None:
        """Say that the comparison came to its end, and put its runs in order.

        They are appended as they arrive. Seed by seed, and network by network as in the header,
        any number of workers leaves the same lines.

        Raises:
            MnistCliError: it cannot be written.
        """
        place = {name: index for index, name in enumerate(self._header.conditions["models"])}
        ordered = sorted(self.runs, key=lambda key: (key[1], place.get(key[0], len(place))))
        if ordered == list(self.runs):
            if not self.finished:
                self._append(EndEntry(finished=True))
        elif self.path:
            runs = (sealed(RunEntry(model, self.runs[model, seed])) for model, seed in ordered)
            lines = map(to_json, (self._header, *runs, EndEntry(finished=True)))
            with _keeping(self.path), replacing(self.path) as file:
                file.write("".join(f"{line}\n" for line in lines).encode())

    def _append(self, *entries: RunEntry | EndEntry) -> None:
        if self.path is None:
            return
        with _keeping(self.path), open(self.path, "ab") as file:
            file.write("".join(f"{to_json(entry)}\n" for entry in entries).encode())
            file.flush()
            os.fsync(file.fileno())


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
                f"another process has {path} open; wait for it or choose another journal"
            )
        try:
            yield _read_or_begin(path, conditions, seeds)
        finally:
            _release(lock)
        return
    try:
        journal, lock = _unfinished_or_new(conditions, seeds)
    except MnistCliError as error:
        on_event(Notice(f"{error}; until then an interrupted comparison starts again"))
        yield Journal(None, Header(FORMAT, tuple(seeds), conditions))
        return
    try:
        yield journal
    finally:
        _release(lock)


def _unfinished_or_new(conditions: Conditions, seeds: Sequence[int]) -> tuple[Journal, FileLock]:
    folder = Path(os.environ.get(FOLDER_VARIABLE) or platformdirs.user_state_path("mnist-cli"))
    with _keeping(folder, f"name another folder in {FOLDER_VARIABLE}"):
        folder.mkdir(parents=True, exist_ok=True)
    kind = hashlib.sha256(json.dumps([conditions, list(seeds)], sort_keys=True).encode())
    prefix = f"compare-{kind.hexdigest()[:12]}"
    for path in sorted(folder.glob(f"{prefix}-*.jsonl"), reverse=True):
        lock = _locked(path)
        if lock is None:
            continue
        with suppress(MnistCliError):  # a damaged one stays, for a person to look at
            journal = _read_or_begin(path, conditions, seeds)
            if not journal.finished:
                return journal, lock
        _release(lock)
    _remove_old(folder)
    now = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    path = folder / f"{prefix}-{now}-{secrets.token_hex(2)}.jsonl"
    lock = _locked(path)
    assert lock is not None  # nobody else knows this name
    return _read_or_begin(path, conditions, seeds), lock


def _remove_old(folder: Path) -> None:
    """Delete journals of this folder whose comparisons came to their end a month ago."""
    for path in folder.glob(f"compare-{'[0-9a-f]' * 12}-*-????.jsonl"):  # not a user's own name
        with suppress(OSError):
            old = path.stat().st_mtime < time.time() - KEPT_SECONDS
            if old and path.read_bytes().endswith(b'{"finished": true}\n'):
                path.unlink()


def _locked(path: Path) -> FileLock | None:
    """A lock that is held, or None where another process holds it."""
    lock = FileLock(f"{path.resolve()}.lock", timeout=0)
    with _keeping(path):
        try:
            lock.acquire()
        except Timeout:
            return None
    return lock


def _release(lock: FileLock) -> None:
    with suppress(OSError):  # Windows keeps an open file; an empty one stays then
        Path(lock.lock_file).unlink()
    lock.release()


def _read_or_begin(path: Path, conditions: Conditions, seeds: Sequence[int]) -> Journal:
    """Read the journal at `path`, which is locked; write its first line where there is none."""
    with _keeping(path):
        content = path.read_bytes() if path.exists() else b""
        if not content:
            header = Header(FORMAT, tuple(seeds), conditions)
            with replacing(path) as file:
                file.write(f"{to_json(header)}\n".encode())
            return Journal(path, header)
    first, _, rest = content.partition(b"\n")
    header = _check_header(path, first, conditions)
    *lines, unfinished = rest.split(b"\n")
    if unfinished:
        with _keeping(path):
            os.truncate(path, len(content) - len(unfinished))
    journal = Journal(path, header)
    journal.seeds_changed = set(seeds) != set(header.seeds)
    for number, line in enumerate(lines, 2):
        try:
            entry: RunEntry | EndEntry = from_json(RunEntry | EndEntry, line)  # type: ignore[arg-type]
            if isinstance(entry, RunEntry):
                check_seal(line)
        except ValueError as error:
            raise MnistCliError(
                f"line {number} of {path} is damaged; remove that line, and its run is repeated"
            ) from error
        if isinstance(entry, RunEntry):
            journal.runs[entry.model, entry.run.seed] = entry.run
        else:
            journal.finished = True
    return journal


def _check_header(path: Path, line: bytes, conditions: Conditions) -> Header:
    """Read the first line.

    Raises:
        UsageError: its conditions are others.
        MnistCliError: it is no header.
    """
    try:
        header = from_json(Header, line)
        models: dict[str, Any] = dict(header.conditions["models"])
        was = dict(_flat(header.conditions))
    except (ValueError, KeyError, TypeError) as error:
        raise MnistCliError(f"{path} is no journal of mnist-cli; choose another journal") from error
    now = dict(_flat(json.loads(json.dumps(conditions))))  # as a file holds it: no tuples or enums
    wanted = conditions["models"]
    changed = [
        key
        for key in was | now
        if was.get(key) != now.get(key)
        # A network that could not be measured has no number format yet.
        and not (key.endswith(" precision") and None in (was.get(key), now.get(key)))
    ]
    differences = [f"with {name}" for name in models if name not in wanted]
    differences += [f"without {name}" for name in wanted if name not in models]
    differences = differences or [_difference(key, was.get(key), now.get(key)) for key in changed]
    if changed == [THREADS] and THREADS in was:
        raise UsageError(
            f"the runs in {path} have {plural(was[THREADS], 'thread')} each: go on with --threads "
            f"{was[THREADS]}, or choose another journal"
        )
    if differences:
        more = f" and {len(differences) - 2} more" if len(differences) > 2 else ""
        raise UsageError(
            f"{path} holds runs of another comparison ({'; '.join(differences[:2])}{more}); "
            "choose another journal"
        )
    return header


def _difference(key: str, was: Any, now: Any) -> str:
    """`mlp lr 0.01, now 0.1`; of the key `nets.py:wide code blocks.py`, only that it changed."""
    network, is_code, file = key.partition(" code ")
    if is_code:
        return f"{file} of {network.removeprefix('models ')} has changed since"
    return f"{key} {was}, now {now}"


def _flat(tree: Conditions, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`{"mlp": {"lr": 0.1}}` as the pair `("mlp lr", 0.1)`."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key} ")
        else:
            yield f"{prefix}{key}", value


def _keeping(path: Path, way_out: str = "choose another journal") -> AbstractContextManager[None]:
    return explaining(f"keep a journal in {path}", way_out)
