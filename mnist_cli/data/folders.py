"""Reads a folder with a folder of pictures for each class: ImageFolder's convention.

There may be folders `train`, `test` and `val` above those of the classes. Pictures may lie deeper
than the folder of their class. Hidden files, and files that are no pictures, do not count. The
images are in the order of their names below the folder of the class, with numbers by value, so that
a dataset whose pictures are numbered keeps its order.
"""

import multiprocessing
import os
import re
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from threading import Thread

import numpy as np

from mnist_cli.data.fitting import Fitted, fit_file, stack
from mnist_cli.data.parts import TEST, TRAIN, VAL, File, Part, check_count
from mnist_cli.data.pictures import SUFFIXES
from mnist_cli.errors import MnistCliError
from mnist_cli.system.cpus import count_allowed
from mnist_cli.system.files import explaining

SPLITS = {"train": TRAIN, "val": VAL, "valid": VAL, "validation": VAL, "test": TEST}
CHUNK = 250  # pictures that a process decodes at once
LEAST_PARALLEL = 4000  # pictures; fewer are decoded before processes have started

Classes = dict[str, list[File]]
"""The pictures of each class, by the path of its folder."""


def find(path: Path) -> dict[str, Classes] | None:
    """The pictures of each part, by class; None if `path` is no folder.

    Raises MnistCliError if a folder cannot be read, has no pictures, or links to one above it.
    """
    if not path.is_dir():
        return None
    with explaining(f"read {path}", "check the folder and its links"):
        splits = {
            SPLITS[entry.name.lower()]: entry.path
            for entry in _list_entries(str(path))
            if entry.is_dir() and entry.name.lower() in SPLITS
        }
        if TRAIN not in splits:
            splits = {TRAIN: str(path)}
        return {split: _list_classes(folder) for split, folder in splits.items()}


def read(
    path: Path, found: Mapping[str, Classes], *, as_digits: bool
) -> tuple[dict[str, Part], str]:
    """The parts of what `find` found, and a note about them, which is empty here.

    Iterating over `Part.images` decodes the pictures, on all cores if they are many.
    """
    parts = {}
    for split, classes in found.items():
        paths, labels = _sort(classes)
        check_count(path, split, len(paths))
        names = tuple(map(os.path.basename, classes))
        parts[split] = Part(names, np.array(labels), _decode_all(paths, as_digits=as_digits))
    return parts, ""


def _sort(classes: Classes) -> tuple[list[str], list[int]]:
    """The paths of all pictures in their order, and the positions of their classes."""
    keyed = []
    for label, (folder, files) in enumerate(classes.items()):
        for file in files:
            parts = re.findall("[0-9]+|[^0-9]+", file.path[len(folder) :])
            by_value = [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
            keyed.append((by_value, label, file.path))
    keyed.sort()
    return [path for _, _, path in keyed], [label for _, label, _ in keyed]


def _list_classes(folder: str) -> Classes:
    folders = [entry.path for entry in _list_entries(folder) if entry.is_dir()]
    classes = {path: list(_walk(path, ())) for path in folders}
    if not classes:
        raise MnistCliError(f"{folder} has no folders of classes, such as {folder}/cat/1.png")
    if empty := [path for path, files in classes.items() if not files]:
        raise MnistCliError(
            f"{empty[0]} has no pictures ({', '.join(SUFFIXES)}); add some, or remove it"
        )
    return classes


def _list_entries(folder: str) -> list[os.DirEntry[str]]:
    """The files and folders in a folder that are not hidden, in the order of their names."""
    with os.scandir(folder) as entries:
        shown = [entry for entry in entries if not entry.name.startswith(".")]
    return sorted(shown, key=lambda entry: entry.name)


def _walk(folder: str, above: tuple[tuple[int, int], ...]) -> Iterator[File]:
    """The pictures in `folder` and below it; `above` identifies the folders above."""
    status = os.stat(folder)  # noqa: PTH116 - of many folders
    here = status.st_dev, status.st_ino
    if here in above:
        raise MnistCliError(f"{folder} is a link to a folder above it; remove the link")
    for entry in _list_entries(folder):
        if entry.is_dir():
            yield from _walk(entry.path, (*above, here))
        elif entry.name.lower().endswith(SUFFIXES):
            file = File.of(entry.path)
            if not entry.is_file():
                raise MnistCliError(f"{entry.path} is not a regular file; remove it")
            yield file


def _decode_all(paths: list[str], *, as_digits: bool) -> Iterator[Fitted]:
    """Decode chunks of pictures in their order."""
    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    decode_chunk = partial(_decode_chunk, as_digits=as_digits)
    cores = count_allowed()
    if len(paths) < LEAST_PARALLEL or cores == 1:
        yield from map(decode_chunk, chunks)
        return
    # Threads would not help: Python's global lock is held for most of the time of a small picture.
    spawn = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(cores, spawn, _follow_parent) as pool:
            yield from pool.map(decode_chunk, chunks)
    except BrokenProcessPool as error:
        raise MnistCliError("a process that read pictures was ended; run again") from error


def _follow_parent() -> None:
    """Leave Ctrl-C to the parent process, and end with it, also if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _decode_chunk(paths: list[str], *, as_digits: bool) -> Fitted:
    return stack(fit_file(Path(path), as_digits=as_digits) for path in paths)
