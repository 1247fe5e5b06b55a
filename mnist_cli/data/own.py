"""Reads a person's own images: finds their format, names their classes, and parts them.

A new format is a module with functions as in folders.py, and a row in FORMATS.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mnist_cli.data import folders, idx_folders, kept, npz
from mnist_cli.data.classes import order_classes, renumber
from mnist_cli.data.parts import TRAIN, Contents, File, Part
from mnist_cli.errors import MnistCliError, UsageError
from mnist_cli.schema.datasets import MOST_CLASSES, MOST_NAME
from mnist_cli.schema.events import Notice, OnEvent, ReadingProgress
from mnist_cli.system.files import absolute


class Format(Protocol):
    """What a module that reads a format has."""

    def fits(self, path: Path) -> bool:
        """Whether the file or folder seems to have this format."""

    def list_files(self, path: Path) -> list[File]:
        """All files whose change would change the images."""

    def read(
        self, path: Path, on_progress: Callable[[int, int], None], *, as_digits: bool
    ) -> Contents:
        """Read all images; `on_progress` gets the number done, and the total."""


FORMATS: tuple[Format, ...] = (npz, idx_folders, folders)  # the first one that fits reads


@dataclass(frozen=True)
class OwnImages:
    """Images uint8 N×28×28 and labels by part: `train`, and perhaps `val` and `test`.

    The labels are positions in `classes`, uint8 N, or uint16 for more than 256 classes.
    """

    classes: tuple[str, ...]
    parts: Mapping[str, tuple[NDArray[np.uint8], NDArray[np.unsignedinteger]]]


def read_own(path: Path, cache: Path, on_event: OnEvent, *, as_digits: bool) -> OwnImages:
    """Read a file or folder of images, or what `cache` keeps of it; a notice says what was done.

    Raises:
        UsageError: it has no known format.
        MnistCliError: it cannot be read, is damaged, changes, or does not fit the limits.
    """
    place = absolute(path).resolve()
    form = next((each for each in FORMATS if each.fits(place)), None)
    if form is None:
        raise UsageError(f"{path} is neither a folder nor an .npz file; name one with images")
    files = form.list_files(place)
    key = kept.make_key(files, as_digits=as_digits)
    origin = hashlib.sha256(f"{place} {as_digits}".encode(errors="surrogateescape")).hexdigest()
    kept_file = cache / "own" / f"{origin[:32]}.npz"
    known = kept.load(kept_file, key)
    report = partial(_report, str(path), on_event)
    contents = known or form.read(place, report, as_digits=as_digits)
    if known is None and form.list_files(place) != files:
        raise MnistCliError(f"{path} changed while it was read; run again")
    images = _unite(path, contents)
    if known is None:
        kept.keep(kept_file, key, contents, on_event)
    on_event(Notice(f"{path}: {contents.done}"))
    return images


def _report(path: str, on_event: OnEvent, done: int, total: int) -> None:
    on_event(ReadingProgress(path, done, total))


def _unite(path: Path, contents: Contents) -> OwnImages:
    """Number the classes of all parts alike, after a check of their names."""
    names = contents.parts[TRAIN].names
    for name in names:
        if not 0 < len(name) <= MOST_NAME or re.search("[\ud800-\udfff]", name):
            raise MnistCliError(
                f"{path} has a class with the name {name[:MOST_NAME]!r}; use UTF-8 and 1 to "
                f"{MOST_NAME} characters"
            )
    if not 2 <= len(names) <= MOST_CLASSES:
        only = f", {names[0]}" if len(names) == 1 else ""
        raise MnistCliError(f"{path} has {len(names):,} classes{only}; give 2 to {MOST_CLASSES:,}")
    classes = order_classes(names)
    parts = {
        split: (part.images, _renumber(path, split, part, classes))
        for split, part in contents.parts.items()
    }
    return OwnImages(classes, parts)


def _renumber(
    path: Path, split: str, part: Part, classes: tuple[str, ...]
) -> NDArray[np.unsignedinteger]:
    if unknown := sorted(set(part.names) - set(classes)):
        raise MnistCliError(
            f"{path} has the class {unknown[0]} in {split} but not in train; add it there, or "
            "remove it"
        )
    return renumber(part.labels, part.names, classes)
