"""Keeps the decoded images of a folder or file in a cache, until one of its files changes."""

from pathlib import Path

import numpy as np

from mnist_cli.data.dataset import LabelledImages
from mnist_cli.data.parts import TEST, TRAIN, VAL, OwnImages
from mnist_cli.errors import MnistCliError
from mnist_cli.schema.events import Notice, OnEvent
from mnist_cli.system.files import explaining, is_own, replacing


def load(place: Path, key: str) -> OwnImages | None:
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
    arrays = {
        f"{split}_{name}": array
        for split, part in own.parts.items()
        for name, array in part._asdict().items()
    }
    try:
        with explaining(f"keep the decoded images in {place.parent}", "they are read each time"):
            place.parent.mkdir(parents=True, exist_ok=True)
            with replacing(place) as file:
                np.savez(file, key=key, classes=own.classes, done=own.done, **arrays)
    except MnistCliError as error:
        on_event(Notice(str(error)))
