"""Files that are read within limits and written whole, and their failures in one line."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mnist_cli.errors import MnistCliError

MOST_BYTES = 1 << 28  # of a file that is read whole, and of what a compressed one holds
NONBLOCKING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

_start: list[Path] = []  # the folder in which the command was given


@contextmanager
def from_here() -> Iterator[None]:
    """Keep the meaning of relative paths, even if a network's code changes the folder."""
    _start.append(Path.cwd())
    try:
        yield
    finally:
        _start.pop()


def absolute(path: Path) -> Path:
    """The place that `path` meant when the command was given; links stay as they are."""
    return (_start[-1] if _start else Path.cwd()) / path


@contextmanager
def explaining(action: str, way_out: str) -> Iterator[None]:
    """Turn an OSError into `cannot write x.csv: No space left on device; choose another file`.

    Raises:
        MnistCliError: the system refused what the context tried.
    """
    try:
        yield
    except OSError as error:
        raise MnistCliError(f"cannot {action}: {error.strerror or error}; {way_out}") from error


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A regular file to read. A folder, a device or a pipe, which may never end, is refused.

    Raises:
        OSError: it is no regular file, or cannot be read.
    """
    descriptor = os.open(absolute(path), os.O_RDONLY | NONBLOCKING)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def read(path: Path, way_out: str, most_bytes: int = MOST_BYTES) -> bytes:
    """All of a regular file of at most `most_bytes`; each failure ends with the `way_out`.

    Raises:
        MnistCliError: it is larger, no regular file, or cannot be read.
    """
    with explaining(f"read {path}", way_out), opened(path) as file:
        _check_size(os.fstat(file.fileno()).st_size, most_bytes)  # before a byte is read
        return read_all(file, most_bytes)


def read_all(file: BinaryIO, most_bytes: int = MOST_BYTES) -> bytes:
    """What is left of a stream; raises OSError where that is more than `most_bytes`."""
    content = file.read(most_bytes + 1)
    _check_size(len(content), most_bytes)
    return content


def write(path: Path, content: bytes, way_out: str = "choose another file") -> None:
    """Put a whole file in the place of `path`, as `replacing` does.

    Raises:
        MnistCliError: the folder cannot be written or the disk is full.
    """
    with explaining(f"write {path}", way_out), replacing(path) as file:
        file.write(content)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a new file that takes the place of `path` in one step once it is on the disk.

    A kill at any moment leaves the old `path` or the new one, whole; an exception removes what
    was written. The new one has the permissions of the old one, or those of the umask.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    path = absolute(path).resolve()  # a link keeps pointing at its file
    part = path.with_name(f".{secrets.token_hex(8)}.part")  # short, where the name is a long one
    try:
        with open(part, "xb") as file:
            if path.exists():
                part.chmod(stat.S_IMODE(path.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def is_own(path: Path) -> bool:
    """Whether this user has a regular file there: no link, which others may have put there."""
    try:
        status = path.lstat()
    except OSError:
        return False
    own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    return own and stat.S_ISREG(status.st_mode)


def _check_size(number_of_bytes: int, most_bytes: int) -> None:
    if number_of_bytes > most_bytes:
        raise OSError(errno.EFBIG, f"it has more than {most_bytes >> 20} MiB")


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
