"""Reads a person's own images: finds their format, reads them once, and numbers their classes.

A new format is a module with `find` and `read`, as folders.py has them, and a row in FORMATS.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnist_cli.data import folders, idx_folders, npz
from mnist_cli.data.dataset import LabelledImages, renumber
from mnist_cli.data.fitting import Look, describe
from mnist_cli.data.parts import TEST, TRAIN, VAL, Part
from mnist_cli.errors import MnistCliError, UsageError
from mnist_cli.schema.datasets import MOST_CLASSES, MOST_NAME
from mnist_cli.schema.events import Notice, OnEvent, ReadingProgress
from mnist_cli.system.files import absolute, explaining, is_own, replacing

VERSION = 2  # increases if the same files become other images


FORMATS = (npz, idx_folders, folders)  # the first one that finds its files reads


@dataclass(frozen=True)
class OwnImages:
    """The parts `train` and perhaps `val` and `test`, and what was `done` to them, as text."""

    classes: tuple[str, ...]
    parts: Mapping[str, LabelledImages]
    done: str


def read_own(path: Path, cache: Path, on_event: OnEvent, *, as_digits: bool) -> OwnImages:
    """Read a file or folder of images, or what `cache` keeps of it; a notice says what was done.

    Raises UsageError if it has no known format, MnistCliError if it cannot be read, is damaged,
    changes, or does not fit the limits.
    """
    place = absolute(path).resolve()
    for form in FORMATS:
        if found := form.find(place):
            break
    else:
        raise UsageError(f"{path} is neither a folder nor an .npz file; name one with images")
    kept_file = cache / "own" / f"{_hash(f'{place} {as_digits}')[:32]}.npz"
    key = _hash(f"{VERSION} {as_digits} {found}")
    own = load_kept(kept_file, key)
    if own is None:
        parts, note = form.read(place, found, as_digits=as_digits)
        own = _unite(path, parts, note, on_event, as_digits=as_digits)
        if form.find(place) != found:
            raise MnistCliError(f"{path} changed while it was read; run again")
        keep(kept_file, key, own, on_event)
    on_event(Notice(f"{path}: {own.done}"))
    return own


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _unite(
    path: Path, parts: Mapping[str, Part], note: str, on_event: OnEvent, *, as_digits: bool
) -> OwnImages:
    """Read the images of all parts, and number their classes alike."""
    classes = _order_classes(path, parts)
    total = sum(len(part.labels) for part in parts.values())
    looks: list[Look] = []
    united = {}
    for split, part in parts.items():
        arrays = []
        for images, seen in part.images:
            arrays.append(images)
            looks += seen
            on_event(ReadingProgress(str(path), len(looks), total))
        labels = renumber(part.labels, part.names, classes)
        united[split] = LabelledImages(np.concatenate(arrays), labels)
    return OwnImages(classes, united, describe(looks, as_digits=as_digits) + note)


def _order_classes(path: Path, parts: Mapping[str, Part]) -> tuple[str, ...]:
    """Check the classes; order them by value if all are whole numbers, else by letter."""
    names = parts[TRAIN].names
    for name in names:
        if not 0 < len(name) <= MOST_NAME or re.search("[\ud800-\udfff]", name):
            raise MnistCliError(
                f"{path} has a class with the name {name[:MOST_NAME]!r}; use UTF-8 and 1 to "
                f"{MOST_NAME} characters"
            )
    if not 2 <= len(names) <= MOST_CLASSES:
        only = f", {names[0]}" if len(names) == 1 else ""
        raise MnistCliError(f"{path} has {len(names):,} classes{only}; give 2 to {MOST_CLASSES:,}")
    for split, part in parts.items():
        if unknown := sorted(set(part.names) - set(names)):
            raise MnistCliError(
                f"{path} has the class {unknown[0]} in {split} but not in train; add it there, or "
                "remove it"
            )
    numbers = all(re.fullmatch(r"-?[0-9]{1,15}", name) for name in names)
    return tuple(sorted(names, key=lambda name: (int(name) if numbers else 0, name)))


def load_kept(place: Path, key: str) -> OwnImages | None:
    """Load what `keep` wrote with the same `key`; None if there is nothing like that."""
    if not is_own(place):
        return None
    try:
        with open(place, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            if str(arrays["key"]) != key:
                return None
            parts = {
                split: LabelledImages(arrays[f"{split}_images"], arrays[f"{split}_labels"])
                for split in (TRAIN, VAL, TEST)
                if f"{split}_images" in arrays
            }
            return OwnImages(tuple(arrays["classes"].tolist()), parts, str(arrays["done"]))
    except Exception:  # another version wrote it, or it is damaged
        return None


def keep(place: Path, key: str, own: OwnImages, on_event: OnEvent) -> None:
    """Write the images to `place` in one step; a notice says if that fails."""
    arrays: dict[str, Any] = {}
    for split, part in own.parts.items():
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = part
    try:
        with explaining(f"keep the decoded images in {place.parent}", "they are read each time"):
            place.parent.mkdir(parents=True, exist_ok=True)
            with replacing(place) as file:
                np.savez(file, key=key, classes=own.classes, done=own.done, **arrays)
    except MnistCliError as error:
        on_event(Notice(str(error)))
