"""The journal keeps finished runs on disk, so that an interrupted comparison can continue.

It is a file of JSON lines: the conditions of all runs, then a line for each finished run, for each
later request of seeds, and for the end of a comparison. Each line is appended and synced at once.
If a power cut leaves an incomplete line, opening the journal removes it.
"""

import hashlib
import json
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from mnist_cli.comparison.conditions import NETWORKS, THREADS, Conditions, differences
from mnist_cli.errors import MnistCliError, UsageError
from mnist_cli.formatting import plural
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.events import Notice, OnEvent
from mnist_cli.schema.record import Record, Sealed, check_seal, from_json, seal, to_json
from mnist_cli.system import files, folders
from mnist_cli.system.files import absolute, explaining, is_own, replacing

KEPT_SECONDS = 30 * 24 * 3600
FORMAT: Literal["mnist-cli-journal-3"] = "mnist-cli-journal-3"
CHOOSE = "choose another journal"

Seeds = tuple[int, ...]


@dataclass(frozen=True)
class Header(Record):
    """The first line: the conditions of all runs, and the seeds of the first request."""

    format: Literal["mnist-cli-journal-3"]
    seeds: Seeds
    conditions: dict[str, Any]


@dataclass(frozen=True)
class RunEntry(Sealed):
    """The line of a finished run."""

    model: str
    run: Run


@dataclass(frozen=True)
class SeedsEntry(Record):
    """The line of requested seeds; a second one follows when their comparison has finished."""

    seeds: Seeds
    finished: bool


class Journal:
    """The finished runs of one comparison, by network and seed; None as `path` saves nothing.

    Its methods raise MnistCliError if the file cannot be written.
    """

    def __init__(self, path: Path | None, header: Header, previous: Iterable[Seeds] = ()) -> None:
        self.path = path
        self.header = header
        self.runs: dict[tuple[str, int], Run] = {}
        others = [seeds for seeds in previous if seeds != header.seeds]
        self.requests = dict.fromkeys((*others, header.seeds), False)
        """All requested sets of seeds, the current one last, with whether each is finished."""
        self.narrowed_from: int | None = None
        """The number of networks of a previous comparison that had these and others."""
        self.identity: tuple[int, ...] = ()
        """Device, inode and size of the file after the last write."""

    @property
    def seeds_changed(self) -> bool:
        """Whether verdicts on some of these seeds were known when the user requested these.

        This is so if a previous request had another set of two or more seeds with some of these.
        """
        *previous, now = map(set, self.requests)
        return any(len(seeds) > 1 and seeds != now and seeds & now for seeds in previous)

    def request(self, seeds: Seeds) -> None:
        """Record which seeds the current comparison has."""
        if seeds != list(self.requests)[-1]:
            self.requests[seeds] = self.requests.pop(seeds, False)  # moves it to the end
            self._append(SeedsEntry(seeds, self.requests[seeds]))

    def add_all(self, finished: Sequence[tuple[str, Run]]) -> None:
        """Save runs that finished together; they are on the disk when this returns."""
        self.runs |= {(model, run.seed): run for model, run in finished}
        self._append(*(seal(RunEntry(model, run)) for model, run in finished))

    def finish(self) -> None:
        """Record the end of the comparison.

        This sorts the runs by seed and network, so that the number of workers changes no line.
        """
        seeds, was_finished = list(self.requests.items())[-1]
        self.requests[seeds] = True
        order = {name: index for index, name in enumerate(self.header.conditions[NETWORKS])}
        keys = sorted(self.runs, key=lambda key: (key[1], order.get(key[0], len(order))))
        if keys != list(self.runs):
            self.runs = {key: self.runs[key] for key in keys}
            self.write()
        elif not was_finished:
            self._append(SeedsEntry(seeds, finished=True))

    def write(self) -> None:
        """Write the whole file."""
        if self.path is None:
            return
        header = _to_line(self.header)
        entries: list[RunEntry | SeedsEntry] = [
            seal(RunEntry(model, run)) for (model, _), run in self.runs.items()
        ]
        if len(self.requests) > 1 or self.requests[self.header.seeds]:
            entries += [SeedsEntry(seeds, finished) for seeds, finished in self.requests.items()]
        with _explaining(self.path):
            with suppress(FileNotFoundError), files.open_regular(self.path) as file:
                if not header.startswith(file.read(len(header))):
                    raise MnistCliError(
                        f"{self.path} was replaced by another file while its runs were trained; "
                        "move that away and run again"
                    )
            with replacing(self.path) as file:
                file.write(b"".join([header, *map(_to_line, entries)]))
            self.identity = _identify(self.path)

    def _append(self, *entries: RunEntry | SeedsEntry) -> None:
        if self.path is None:
            return
        with _explaining(self.path):
            if _identify(self.path) != self.identity:  # it was removed, emptied or edited
                self.write()
                return
            with open(absolute(self.path), "ab") as file:
                file.write(b"".join(map(_to_line, entries)))
                file.flush()
                os.fsync(file.fileno())
            self.identity = _identify(self.path)


@contextmanager
def opened(
    path: Path | None, conditions: Conditions, seeds: Sequence[int], on_event: OnEvent
) -> Iterator[Journal]:
    """Open the journal at `path`, or create it, and lock it for this process.

    Its conditions must equal `conditions`; its seeds and the order of its networks may differ.
    Without a `path`, this opens the newest journal in the user's state folder that has the same
    conditions and whose comparison of these seeds is not finished, or creates one there. If that
    folder cannot be written, runs are not saved.

    Raises:
        UsageError: the runs at `path` have other conditions.
        MnistCliError: `path` is no journal, another process uses it, or it cannot be written.
    """
    as_in_a_file = json.loads(json.dumps(conditions))  # no tuples or enums
    header = Header(FORMAT, tuple(seeds), as_in_a_file)
    with ExitStack() as lock:
        try:
            journal = _open(path, header, lock) if path else _open_own(header, lock)
        except MnistCliError as error:
            if path:
                raise
            on_event(Notice(f"{error}; without a journal, an interrupted comparison starts again"))
            journal = Journal(None, header)
        journal.narrowed_from = _find_larger(header)
        yield journal


def _open_own(header: Header, lock: ExitStack) -> Journal:
    """Open an unfinished journal in the state folder, or create one."""
    folder = _state_folder()
    with _explaining(folder, f"name another folder in {folders.STATE_VARIABLE}"):
        folder.mkdir(parents=True, exist_ok=True)
    kind = json.dumps(header.conditions, sort_keys=True)
    digest = hashlib.sha256(kind.encode()).hexdigest()
    prefix = f"compare-{digest[:12]}"
    previous: list[Seeds] = []
    for path in _list_own(folder, prefix):
        with suppress(MnistCliError):  # another process uses it, or it is damaged and stays
            journal = _open(path, header, lock)
            if not journal.requests[header.seeds]:
                return journal
            previous += journal.requests
        lock.close()
    _remove_old(folder)
    now = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    path = folder / f"{prefix}-{now}-{secrets.token_hex(2)}.jsonl"
    return _open(path, header, lock, previous)


def _state_folder() -> Path:
    """The folder of journals if --journal is not given."""
    folder = folders.state()
    try:
        str(folder).encode()
    except UnicodeEncodeError as error:
        raise MnistCliError(
            f"cannot keep a journal in {folder}: its name is not UTF-8; name another folder in "
            f"{folders.STATE_VARIABLE}"
        ) from error
    return folder


def _list_own(folder: Path, prefix: str = f"compare-{'[0-9a-f]' * 12}") -> list[Path]:
    """Journals that this program named, newest first, without links and files of other users."""
    return sorted(filter(is_own, folder.glob(f"{prefix}-*-????.jsonl")), reverse=True)


def _remove_old(folder: Path) -> None:
    """Delete journals whose comparisons finished a month ago."""
    for path in _list_own(folder):
        with suppress(OSError, MnistCliError):
            old = path.stat().st_mtime < time.time() - KEPT_SECONDS
            if old and files.read(path, CHOOSE).endswith(b'"finished": true}\n'):
                path.unlink()


def _find_larger(header: Header) -> int | None:
    """The most networks of a previous comparison that had these and others; None if there is none.

    The user may have chosen these networks because they were lucky with the same seeds.
    """
    sizes = []
    with suppress(MnistCliError):
        if len(header.conditions[NETWORKS]) > 1:
            sizes = [_count_if_larger(path, header) for path in _list_own(_state_folder())]
    return max(sizes, default=0) or None


def _count_if_larger(path: Path, header: Header) -> int:
    """The number of networks in a journal; 0 unless it has those of `header` and others.

    The other conditions must be equal, and the other networks need runs of two of the seeds.
    """
    with suppress(MnistCliError, OSError):
        with files.open_regular(path) as file:
            known = _parse_header(path, file.readline(files.MOST_BYTES)).conditions
        others = known[NETWORKS].keys() - header.conditions[NETWORKS].keys()
        may_differ = {("number of seeds",), *((NETWORKS, name) for name in others)}
        changed = {each.key for each in differences(known, header.conditions)}
        if others and changed <= may_differ:
            seeds = {seed for name, seed in _read(path)[0].runs if name in others}
            if len(seeds.intersection(header.seeds)) > 1:
                return len(known[NETWORKS])
    return 0


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    file = Path(f"{absolute(path).resolve()}.lock")
    if os.path.lexists(file) and not stat.S_ISREG(file.lstat().st_mode):
        raise MnistCliError(f"{file} is not a regular file; remove it or {CHOOSE}")
    lock = FileLock(file, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise MnistCliError(f"another process has {path} open; wait for it or {CHOOSE}") from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows does not remove an open file
            file.unlink()
        lock.release()


def _open(path: Path, header: Header, lock: ExitStack, previous: Iterable[Seeds] = ()) -> Journal:
    """Lock the journal at `path`, and read it, or create it with the `previous` requests.

    Closing `lock` unlocks it.
    """
    with _explaining(path):
        lock.enter_context(_locked(path))
        full = absolute(path)
        if not full.exists() or (full.is_file() and not full.stat().st_size):
            journal = Journal(path, header, previous)
            journal.write()
            return journal
        journal, size = _read(path)
        _check_conditions(path, journal.header.conditions, header.conditions)
        with open(full, "r+b") as file:  # fails if the file is read-only
            file.truncate(size)
        journal.identity = _identify(path)
        journal.request(header.seeds)
        return journal


def _read(path: Path) -> tuple[Journal, int]:
    """Read a journal; also return the number of bytes in complete lines."""
    content = files.read(path, CHOOSE)
    first, _, rest = content.partition(b"\n")
    journal = Journal(path, _parse_header(path, first))
    *lines, incomplete = rest.split(b"\n")
    for number, line in enumerate(lines, 2):
        try:
            entry: RunEntry | SeedsEntry = from_json(RunEntry | SeedsEntry, line)  # type: ignore[arg-type]
            if isinstance(entry, RunEntry):
                check_seal(line)
                journal.runs[entry.model, entry.run.seed] = entry.run
            else:
                journal.requests.pop(entry.seeds, None)
                journal.requests[entry.seeds] = entry.finished
        except ValueError as error:
            raise MnistCliError(
                f"line {number} of {path} is damaged; remove that line to repeat its run"
            ) from error
    return journal, len(content) - len(incomplete)


def _parse_header(path: Path, line: bytes) -> Header:
    try:
        header = from_json(Header, line)
        differences(header.conditions, header.conditions)  # fails if a condition is missing
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MnistCliError(f"{path} is not a journal of mnist-cli; {CHOOSE}") from error
    return header


def _check_conditions(path: Path, was: Conditions, now: Conditions) -> None:
    changed = differences(was, now)
    if not changed:
        return
    before = changed[0].was
    if [each.key for each in changed] == [THREADS] and isinstance(before, int):
        raise UsageError(
            f"the runs in {path} used {plural(before, 'thread')} each: continue with --threads "
            f"{before}, or {CHOOSE}"
        )
    rows = [row for row in was[NETWORKS].values() if isinstance(row, Mapping)]
    if all(each.key[-1] == "precision" for each in changed) and all(
        row.get("precision") in (None, before) for row in rows
    ):
        raise UsageError(
            f"the runs in {path} were trained in {before}: continue with --precision {before}, or "
            f"{CHOOSE}"
        )
    more = f" and {len(changed) - 2} more" if len(changed) > 2 else ""
    raise UsageError(
        f"{path} holds runs of another comparison ({'; '.join(map(str, changed[:2]))}{more}); "
        f"{CHOOSE}"
    )


def _to_line(entry: Header | RunEntry | SeedsEntry) -> bytes:
    return f"{to_json(entry)}\n".encode()


def _identify(path: Path) -> tuple[int, ...]:
    """Device, inode and size of a file; empty if there is none."""
    try:
        status = absolute(path).stat()
    except FileNotFoundError:
        return ()
    return status.st_dev, status.st_ino, status.st_size


def _explaining(path: Path, advice: str = CHOOSE) -> AbstractContextManager[None]:
    return explaining(f"keep a journal in {path}", advice)
