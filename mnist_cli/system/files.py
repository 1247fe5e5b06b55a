"""Read files up to a size, write files atomically, and explain errors in one line."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mnist_cli.errors import MnistCliError

MOST_BYTES = 1 << 28  # of a file, and of its content if it is compressed
NONBLOCKING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

_start: list[Path] = []  # the folder in which the command started


@contextmanager
def from_here() -> Iterator[None]:
    """Make `absolute` use the present working directory, even if a network's code changes it."""
    _start.append(Path.cwd())
    try:
        yield
    finally:
        _start.pop()


def absolute(path: Path) -> Path:
    """The absolute `path`, from the folder in which the command started; keeps links."""
    return (_start[-1] if _start else Path.cwd()) / path


@contextmanager
def explaining(action: str, advice: str) -> Iterator[None]:
    """Turn an OSError into an MnistCliError: `cannot ACTION: No space left on device; ADVICE`."""
    try:
        yield
    except OSError as error:
        raise MnistCliError(f"cannot {action}: {error.strerror or error}; {advice}") from error


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file to read; raises OSError for others, because a pipe may never end."""
    descriptor = os.open(absolute(path), os.O_RDONLY | NONBLOCKING)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def read(path: Path, advice: str, most_bytes: int = MOST_BYTES) -> bytes:
    """Read a regular file.

    Raises MnistCliError, whose message ends with `advice`, if the file has more than `most_bytes`,
    is not regular or cannot be read.
    """
    with explaining(f"read {path}", advice), open_regular(path) as file:
        check_size(os.fstat(file.fileno()).st_size, most_bytes)  # before a byte is read
        return read_all(file, most_bytes)


def read_all(file: BinaryIO, most_bytes: int = MOST_BYTES) -> bytes:
    """Read the rest of a stream; raises OSError if it is longer than `most_bytes`."""
    content = file.read(most_bytes + 1)
    check_size(len(content), most_bytes)
    return content


def write(path: Path, content: bytes, advice: str = "choose another file") -> None:
    """Write `content` as `replacing` does; raises MnistCliError if that fails."""
    with explaining(f"write {path}", advice), replacing(path) as file:
        file.write(content)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a new file, which replaces `path` in one step when it is complete on the disk.

    If the process is killed, `path` is the complete old or new file; an exception keeps the old
    one. The new file has the permissions of the old one, or those of the umask.
    """
    path = absolute(path).resolve()  # a link keeps pointing at its file
    part = path.with_name(f".{secrets.token_hex(8)}.part")  # a name that is never too long
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
    """Whether `path` is a regular file of this user; a link, which others may make, is not."""
    try:
        status = path.lstat()
    except OSError:
        return False
    own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    return own and stat.S_ISREG(status.st_mode)


def check_size(number_of_bytes: int, most_bytes: int) -> None:
    """Raise OSError if there are more than `most_bytes`."""
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
