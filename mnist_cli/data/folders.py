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
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from threading import Thread

import numpy as np

from mnist_cli.data.fitting import fit_file, stack
from mnist_cli.data.parts import TEST, TRAIN, VAL, Contents, File, Look, Part, check_count, describe
from mnist_cli.data.pictures import SUFFIXES, Image28
from mnist_cli.errors import MnistCliError
from mnist_cli.schema.datasets import MOST_IMAGES
from mnist_cli.system.cpus import count_allowed
from mnist_cli.system.files import explaining

SPLITS = {"train": TRAIN, "val": VAL, "valid": VAL, "validation": VAL, "test": TEST}
CHUNK = 250  # pictures that a process decodes at once
LEAST_PARALLEL = 4000  # pictures; fewer are decoded before processes have started

Classes = dict[str, list[File]]
"""The pictures of each class, by the path of its folder."""


def fits(path: Path) -> bool:
    """Whether `path` is a folder."""
    return path.is_dir()


def list_files(path: Path) -> list[File]:
    """All pictures; raises MnistCliError as `scan`."""
    return [file for classes in scan(path).values() for each in classes.values() for file in each]


def read(path: Path, on_progress: Callable[[int, int], None], *, as_digits: bool) -> Contents:
    """Decode all pictures, on all cores if they are many; `on_progress` gets (done, total).

    Raises MnistCliError, which names the file, if a picture or a folder cannot be used.
    """
    found = scan(path)
    total = sum(len(files) for classes in found.values() for files in classes.values())
    parts: dict[str, Part] = {}
    looks: list[Look] = []
    for split, classes in found.items():
        paths, labels = _sort(classes)
        check_count(path, split, len(paths))
        images = np.empty((len(paths), 28, 28), np.uint8)
        done = 0
        for pixels, seen in _decode_all(paths, as_digits=as_digits):
            images[done : done + len(pixels)] = pixels
            done += len(pixels)
            looks += seen
            on_progress(len(looks), total)
        parts[split] = Part(images, np.array(labels), tuple(map(os.path.basename, classes)))
    return Contents(parts, describe(looks, as_digits=as_digits))


def scan(path: Path) -> dict[str, Classes]:
    """The pictures of each split, by class.

    Raises MnistCliError if a folder cannot be read, has no pictures, or links to one above it.
    """
    with explaining(f"read {path}", "check the folder and its links"):
        folders = _list_folders(str(path))
        splits = {SPLITS[name.lower()]: name for name in folders if name.lower() in SPLITS}
        if TRAIN not in splits:
            return {TRAIN: _list_classes(str(path))}
        return {split: _list_classes(folders[splits[split]]) for split in sorted(splits)}


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
    classes = {path: list(_walk(path, ())) for path in _list_folders(folder).values()}
    if not classes:
        raise MnistCliError(f"{folder} has no folders of classes, such as {folder}/cat/1.png")
    if empty := [path for path, files in classes.items() if not files]:
        raise MnistCliError(
            f"{empty[0]} has no pictures ({', '.join(SUFFIXES)}); add some, or remove it"
        )
    return classes


def _list_folders(folder: str) -> dict[str, str]:
    with os.scandir(folder) as entries:
        found = {e.name: e.path for e in entries if e.is_dir() and not e.name.startswith(".")}
    return dict(sorted(found.items()))


def _walk(folder: str, above: tuple[tuple[int, int], ...]) -> Iterator[File]:
    """The pictures in `folder` and below it; `above` identifies the folders above."""
    status = os.stat(folder)  # noqa: PTH116 - of many folders
    here = status.st_dev, status.st_ino
    if here in above:
        raise MnistCliError(f"{folder} is a link to a folder above it; remove the link")
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    count = 0
    for entry in ordered:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(entry.path, (*above, here))
        elif entry.name.lower().endswith(SUFFIXES):
            status = entry.stat()
            if not stat.S_ISREG(status.st_mode):
                raise MnistCliError(f"{entry.path} is not a regular file; remove it")
            count += 1
            if count > MOST_IMAGES:
                raise MnistCliError(f"{folder} has more than {MOST_IMAGES:,} pictures; keep fewer")
            yield File.of(entry.path, status)


def _decode_all(paths: list[str], *, as_digits: bool) -> Iterator[tuple[Image28, list[Look]]]:
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


def _decode_chunk(paths: list[str], *, as_digits: bool) -> tuple[Image28, list[Look]]:
    return stack(fit_file(Path(path), as_digits=as_digits) for path in paths)
