"""Files that are either complete or not there, and their failures in one line."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mnist_cli.errors import MnistCliError


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
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a new file that takes the place of `path` in one step once it is on the disk.

    A kill at any moment leaves the old `path` or the new one, whole; an exception removes what
    was written. Unlike a file of tempfile's, the new one has the permissions of the umask.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    path = path.resolve()  # a link keeps pointing at its file
    part = path.with_name(f".{secrets.token_hex(8)}.part")  # short, where the name is a long one
    try:
        with open(part, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
