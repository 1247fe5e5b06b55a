"""Keeps the decoded images of a folder or file in a cache, until one of its files changes."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mnist_cli.data.parts import Contents, File, Part
from mnist_cli.errors import MnistCliError
from mnist_cli.schema.events import Notice, OnEvent
from mnist_cli.system.files import explaining, is_own, replacing

VERSION = "1"  # increases if the same files become other images


def make_key(files: Iterable[File], *, as_digits: bool) -> str:
    """A hash of names, sizes and times of change, which differs if a file is changed or added."""
    total = hashlib.sha256(f"{VERSION} {as_digits}".encode())
    for file in files:
        total.update(
            f"\0{file.path}\0{file.size}\0{file.mtime_ns}".encode(errors="surrogateescape")
        )
    return total.hexdigest()


def load(place: Path, key: str) -> Contents | None:
    """Load what `keep` wrote with the same `key`; None if there is nothing like that."""
    if not is_own(place):
        return None
    try:
        with open(place, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            if str(arrays["key"]) != key:
                return None
            parts = {
                split: Part(
                    arrays[f"{split}_images"],
                    arrays[f"{split}_labels"],
                    tuple(arrays[f"{split}_names"].tolist()),
                )
                for split in arrays["splits"].tolist()
            }
            return Contents(parts, str(arrays["done"]))
    except Exception:  # another version wrote it, or it is damaged
        return None


def keep(place: Path, key: str, contents: Contents, on_event: OnEvent) -> None:
    """Write the images to `place` in one step; a notice says if that fails."""
    arrays: dict[str, Any] = {
        f"{split}_{name}": np.asarray(value)
        for split, part in contents.parts.items()
        for name, value in vars(part).items()
    }
    try:
        with explaining(f"keep the decoded images in {place.parent}", "they are read each time"):
            place.parent.mkdir(parents=True, exist_ok=True)
            with replacing(place) as file:
                splits = list(contents.parts)
                np.savez(file, key=key, done=contents.done, splits=splits, **arrays)
    except MnistCliError as error:
        on_event(Notice(str(error)))
