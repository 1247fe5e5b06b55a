"""Finished runs on disk, so that an interrupted comparison can continue.

A text file of JSON lines: first the conditions of all runs, then a line for each run, for seeds
that are asked for later, and for the end of the comparison. A line is appended and synced when its
run is finished. If a power cut leaves a part of one, it is removed later.
"""

import hashlib
import json
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import platformdirs
from filelock import FileLock, Timeout

from mnist_cli.comparison.conditions import NETWORKS, THREADS, Conditions, differences
from mnist_cli.errors import MnistCliError, UsageError
from mnist_cli.formatting import plural
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.events import Notice, OnEvent
from mnist_cli.schema.record import Record, Sealed, check_seal, from_json, seal, to_json
from mnist_cli.system import files
from mnist_cli.system.files import absolute, explaining, is_own, replacing

FOLDER_VARIABLE = "MNIST_CLI_STATE_DIR"
KEPT_SECONDS = 30 * 24 * 3600
FORMAT: Literal["mnist-cli-journal-3"] = "mnist-cli-journal-3"
CHOOSE = "choose another journal"

Seeds = tuple[int, ...]


@dataclass(frozen=True)
class Header(Record):
    """The first line: what all runs have in common, and the first seeds that were asked for."""

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
    """The line of seeds that are asked for, and once more when their comparison has finished."""

    seeds: Seeds
    finished: bool


class Journal:
    """The runs of one comparison, by network and seed; without a `path` they are not kept.

    Its methods raise MnistCliError if the file cannot be written.
    """

    def __init__(self, path: Path | None, header: Header, earlier: Iterable[Seeds] = ()) -> None:
        self.path = path
        self.header = header
        self.runs: dict[tuple[str, int], Run] = {}
        others = [seeds for seeds in earlier if seeds != header.seeds]
        self.asked = dict.fromkeys((*others, header.seeds), False)
        """All seeds that were asked for, the current ones last, and whether they are finished."""
        self.narrowed_from: int | None = None
        """How many networks an earlier comparison had that held these and others."""
        self.lock: FileLock | None = None
        self.written: tuple[int, ...] = ()
        """Device, inode and size of the file after it was last written."""

    @property
    def seeds_changed(self) -> bool:
        """Whether verdicts on some of the current seeds could be seen before they were chosen.

        That is so if two or more other seeds, some of these among them, were asked for before.
        """
        *earlier, now = map(set, self.asked)
        return any(len(seeds) > 1 and seeds != now and seeds & now for seeds in earlier)

    def ask(self, seeds: Seeds) -> None:
        """Note which seeds are asked for now."""
        if seeds != list(self.asked)[-1]:
            self.asked[seeds] = self.asked.pop(seeds, False)  # moves it to the end
            self._append(SeedsEntry(seeds, self.asked[seeds]))

    def add_all(self, finished: Sequence[tuple[str, Run]]) -> None:
        """Keep runs that finished together; they are on the disk when this returns."""
        self.runs |= {(model, run.seed): run for model, run in finished}
        self._append(*(seal(RunEntry(model, run)) for model, run in finished))

    def finish(self) -> None:
        """Note the end of the comparison, and sort its runs by seed and network.

        The lines then do not depend on the number of workers.
        """
        seeds, was_finished = list(self.asked.items())[-1]
        self.asked[seeds] = True
        place = {name: index for index, name in enumerate(self.header.conditions[NETWORKS])}
        ordered = sorted(self.runs, key=lambda key: (key[1], place.get(key[0], len(place))))
        in_order = ordered == list(self.runs)
        self.runs = {key: self.runs[key] for key in ordered}
        if not in_order:
            self.write()
        elif not was_finished:
            self._append(SeedsEntry(seeds, finished=True))

    def write(self) -> None:
        """Write the whole file."""
        lines: list[Header | RunEntry | SeedsEntry] = [self.header]
        lines += [seal(RunEntry(model, run)) for (model, _), run in self.runs.items()]
        if len(self.asked) > 1 or self.asked[self.header.seeds]:
            lines += [SeedsEntry(seeds, finished) for seeds, finished in self.asked.items()]
        if self.path:
            with _keeping(self.path):
                self._check_not_replaced(self.path)
                with replacing(self.path) as file:
                    file.write(b"".join(map(_line, lines)))
                self.written = _identity(self.path)

    def _append(self, *entries: RunEntry | SeedsEntry) -> None:
        if self.path is None:
            return
        with _keeping(self.path):
            if _identity(self.path) != self.written:  # it was removed, emptied or edited
                self.write()
                return
            with open(absolute(self.path), "ab") as file:
                file.write(b"".join(map(_line, entries)))
                file.flush()
                os.fsync(file.fileno())
            self.written = _identity(self.path)

    def _check_not_replaced(self, path: Path) -> None:
        """Raise MnistCliError if there is a file at `path` that is not this journal."""
        header = _line(self.header)
        with suppress(FileNotFoundError), files.open_regular(path) as file:
            if not header.startswith(file.read(len(header))):
                raise MnistCliError(
                    f"{path} was replaced by another file while its runs were trained; move that "
                    "away and run again"
                )


@contextmanager
def opened(
    path: Path | None, conditions: Conditions, seeds: Sequence[int], on_event: OnEvent
) -> Iterator[Journal]:
    """The journal at `path`, begun if there is none, for this process alone.

    It may hold other seeds, and networks in another order: only `conditions` change a run. Without
    a `path` it is the newest journal in the user's state folder that has the same conditions and
    whose comparison of these seeds is not finished, or a new one there. If that folder cannot be
    written, nothing is kept.

    Raises:
        UsageError: the runs at `path` were made under other conditions.
        MnistCliError: `path` is no journal, another process has it, or it cannot be written.
    """
    conditions = json.loads(json.dumps(conditions))  # as a file holds it: no tuples or enums
    asked = tuple(seeds)
    try:
        journal = _open(path, conditions, asked) if path else _open_own(conditions, asked)
    except MnistCliError as error:
        if path:
            raise
        on_event(Notice(f"{error}; without it an interrupted comparison starts again"))
        journal = Journal(None, Header(FORMAT, asked, dict(conditions)))
    try:
        journal.narrowed_from = _narrowed_from(conditions, asked)
        yield journal
    finally:
        _release(journal.lock)


def _open_own(conditions: Conditions, seeds: Seeds) -> Journal:
    """A journal of the state folder whose comparison is not finished, or a new one."""
    folder = _state_folder()
    with _keeping(folder, f"name another folder in {FOLDER_VARIABLE}"):
        folder.mkdir(parents=True, exist_ok=True)
    kind = hashlib.sha256(json.dumps(conditions, sort_keys=True).encode())
    prefix = f"compare-{kind.hexdigest()[:12]}"
    earlier: list[Seeds] = []
    for path in _own_journals(folder, prefix):
        with suppress(MnistCliError):  # another process has it, or it is damaged and stays
            journal = _open(path, conditions, seeds)
            if not journal.asked[seeds]:
                return journal
            earlier += journal.asked
            _release(journal.lock)
    _remove_old(folder)
    now = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    path = folder / f"{prefix}-{now}-{secrets.token_hex(2)}.jsonl"
    return _open(path, conditions, seeds, earlier)


def _state_folder() -> Path:
    """The folder of journals without a name; raises MnistCliError if it is not UTF-8."""
    named = os.environ.get(FOLDER_VARIABLE)
    folder = absolute(Path(named)) if named else platformdirs.user_state_path("mnist-cli")
    try:
        str(folder).encode()
    except UnicodeEncodeError as error:
        raise MnistCliError(
            f"cannot keep a journal in {folder}: its name is not UTF-8; name another folder in "
            f"{FOLDER_VARIABLE}"
        ) from error
    return folder


def _own_journals(folder: Path, prefix: str = f"compare-{'[0-9a-f]' * 12}") -> list[Path]:
    """Files that this program named, newest first, without links and files of other users."""
    return sorted(filter(is_own, folder.glob(f"{prefix}-*-????.jsonl")), reverse=True)


def _remove_old(folder: Path) -> None:
    """Delete journals of this folder whose comparisons finished a month ago."""
    for path in _own_journals(folder):
        with suppress(OSError, MnistCliError):
            old = path.stat().st_mtime < time.time() - KEPT_SECONDS
            if old and files.read(path, CHOOSE).endswith(b'"finished": true}\n'):
                path.unlink()


def _narrowed_from(conditions: Conditions, seeds: Seeds) -> int | None:
    """How many networks the largest earlier comparison had that held these and others, if any.

    These may have been chosen because they were lucky with the same seeds.
    """
    sizes = []
    with suppress(MnistCliError):
        if len(conditions[NETWORKS]) > 1:
            journals = _own_journals(_state_folder())
            sizes = [_size_if_larger(path, conditions, seeds) for path in journals]
    return max(sizes, default=0) or None


def _size_if_larger(path: Path, conditions: Conditions, seeds: Seeds) -> int:
    """How many networks a journal has; 0 unless it has those of `conditions` and others.

    The other conditions must be the same, and the other networks need runs of two of the `seeds`.
    """
    names = conditions[NETWORKS].keys()
    with suppress(MnistCliError, OSError):
        with files.open_regular(path) as file:
            known = _header(path, file.readline(files.MOST_BYTES)).conditions
        if names < known[NETWORKS].keys():
            part = {**known, NETWORKS: {name: known[NETWORKS][name] for name in names}}
            if {each.key for each in differences(part, conditions)} <= {("number of seeds",)}:
                others = {seed for name, seed in _read(path)[0].runs if name not in names}
                if len(others & set(seeds)) > 1:
                    return len(known[NETWORKS])
    return 0


def _lock(path: Path) -> FileLock:
    """Hold the lock of a journal; raises MnistCliError if another process holds it."""
    with _keeping(path):
        place = Path(f"{absolute(path).resolve()}.lock")
        if os.path.lexists(place) and not stat.S_ISREG(place.lstat().st_mode):
            raise MnistCliError(f"{place} is not a regular file; remove it or {CHOOSE}")
        lock = FileLock(place, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise MnistCliError(
                f"another process has {path} open; wait for it or {CHOOSE}"
            ) from error
    return lock


def _release(lock: FileLock | None) -> None:
    if lock:
        with suppress(OSError):  # Windows keeps an open file; an empty one stays then
            Path(lock.lock_file).unlink()
        lock.release()


def _open(
    path: Path, conditions: Conditions, seeds: Seeds, earlier: Iterable[Seeds] = ()
) -> Journal:
    """Lock the journal at `path`, and read it or begin it with the `earlier` seeds of others."""
    lock = _lock(path)
    try:
        with _keeping(path):
            place = absolute(path)
            is_new = not place.exists() or (place.is_file() and not place.stat().st_size)
        if is_new:
            journal = Journal(path, Header(FORMAT, seeds, dict(conditions)), earlier)
            journal.write()
        else:
            journal, size = _read(path)
            _check_conditions(path, journal.header.conditions, conditions)
            with _keeping(path), open(place, "r+b") as file:  # which fails if it is read-only
                file.truncate(size)
            journal.written = _identity(path)
            journal.ask(seeds)
    except BaseException:
        _release(lock)
        raise
    journal.lock = lock
    return journal


def _read(path: Path) -> tuple[Journal, int]:
    """A journal with what its file holds, and the number of bytes in whole lines."""
    content = files.read(path, CHOOSE)
    first, _, rest = content.partition(b"\n")
    journal = Journal(path, _header(path, first))
    *lines, unfinished = rest.split(b"\n")
    for number, line in enumerate(lines, 2):
        try:
            entry: RunEntry | SeedsEntry = from_json(RunEntry | SeedsEntry, line)  # type: ignore[arg-type]
            if isinstance(entry, RunEntry):
                check_seal(line)
        except ValueError as error:
            raise MnistCliError(
                f"line {number} of {path} is damaged; remove that line, and its run is repeated"
            ) from error
        if isinstance(entry, RunEntry):
            journal.runs[entry.model, entry.run.seed] = entry.run
        else:
            journal.asked.pop(entry.seeds, None)
            journal.asked[entry.seeds] = entry.finished
    return journal, len(content) - len(unfinished)


def _header(path: Path, line: bytes) -> Header:
    try:
        header = from_json(Header, line)
        differences(header.conditions, header.conditions)  # fails if they are no conditions
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MnistCliError(f"{path} is no journal of mnist-cli; {CHOOSE}") from error
    return header


def _check_conditions(path: Path, was: Conditions, now: Conditions) -> None:
    """Raise UsageError if the runs in a journal were made under other conditions."""
    changed = differences(was, now)
    if [each.key for each in changed] == [THREADS] and isinstance(changed[0].was, int):
        threads = changed[0].was
        raise UsageError(
            f"the runs in {path} have {plural(threads, 'thread')} each: continue with --threads "
            f"{threads}, or {CHOOSE}"
        )
    if changed:
        more = f" and {len(changed) - 2} more" if len(changed) > 2 else ""
        raise UsageError(
            f"{path} holds runs of another comparison ({'; '.join(map(str, changed[:2]))}{more}); "
            f"{CHOOSE}"
        )


def _line(entry: Header | RunEntry | SeedsEntry) -> bytes:
    return f"{to_json(entry)}\n".encode()


def _identity(path: Path) -> tuple[int, ...]:
    """Device, inode and size of a file; empty if there is none."""
    try:
        status = absolute(path).stat()
    except FileNotFoundError:
        return ()
    return status.st_dev, status.st_ino, status.st_size


def _keeping(path: Path, way_out: str = CHOOSE) -> AbstractContextManager[None]:
    return explaining(f"keep a journal in {path}", way_out)
