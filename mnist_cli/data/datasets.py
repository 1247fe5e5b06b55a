"""A dataset by name: found on disk, fetched, or the bundled subset, and always checked."""

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from mnist_cli.data.idx import damaged, read_idx
from mnist_cli.data.mnist5k import read_mnist5k
from mnist_cli.data.sources import SOURCES, KnownFile, Source
from mnist_cli.errors import MnistCliError, UsageError
from mnist_cli.schema.datasets import (
    MOST_TEST_IMAGES,
    NOT_COMPARABLE,
    NUM_CLASSES,
    DatasetInfo,
    DatasetName,
    Split,
)
from mnist_cli.schema.events import Notice, OnEvent
from mnist_cli.schema.options import DataOptions
from mnist_cli.system.files import absolute, explaining


@dataclass(frozen=True)
class LabelledImages:
    """`images` uint8 N×28×28, `labels` uint8 N with values 0 to 9."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


@dataclass(frozen=True)
class Dataset:
    """The images to train with and to test with."""

    info: DatasetInfo
    train: LabelledImages
    test: LabelledImages


Splits = tuple[Split, ...]
Found = tuple[DatasetInfo, dict[Split, LabelledImages]]
BOTH: Splits = (Split.TRAIN, Split.TEST)
_prefetched: dict[tuple[Path, Splits], Future[Found]] = {}


def load(options: DataOptions, on_event: OnEvent) -> Dataset:
    """Load a dataset into memory, fetching it first where that is needed and possible.

    AUTO is the complete MNIST if it is on disk or its mirrors answer soon, else mnist5k, with a
    notice. Nothing is written where all files are already in the folder.

    Raises:
        UsageError: the data folder or the mirror cannot be one.
        MnistCliError: files are damaged, or missing and cannot be fetched.
    """
    return _dataset(_load(options, BOTH, on_event))


def load_test(
    options: DataOptions, on_event: OnEvent, trained_on: DatasetInfo | None
) -> tuple[DatasetInfo, LabelledImages]:
    """The test images alone, as `load` gets them; files of the training images are not needed.

    Without those, what a checkpoint was `trained_on` tells of them if the test images are the same.

    Raises:
        UsageError, MnistCliError: as `load`.
    """
    info, parts = _load(options, (Split.TEST,), on_event)
    wanted = info.name, info.test_sha256
    if trained_on and not info.num_train and wanted == (trained_on.name, trained_on.test_sha256):
        info = trained_on
    return info, parts[Split.TEST]


def _load(options: DataOptions, splits: Splits, on_event: OnEvent) -> Found:
    found = _local(options, splits)
    if found:
        return found
    auto = options.dataset == DatasetName.AUTO
    _, source, raw = _place(options)
    missing = [file for file in _files_of(source, splits) if _on_disk(raw, file) is None]
    from mnist_cli.data.download import IF_ASKED_FOR, IF_QUICK, fetch

    try:
        with explaining(f"write {raw}", "choose another data folder"):
            fetch(missing, raw, source, IF_QUICK if auto else IF_ASKED_FOR, on_event)
    except UsageError:
        raise
    except MnistCliError as error:
        if auto:
            names = ", ".join(file.name for file in missing)
            lacking = f"{names} of MNIST are" if len(missing) < 4 else "MNIST is"
            on_event(
                Notice(
                    f"{lacking} not in {raw} and {error}; using mnist5k, 5,000 of its images: "
                    f"{NOT_COMPARABLE} (--dataset mnist5k does so without asking the network)"
                )
            )
            return _bundled()
        raise MnistCliError(
            f"{error}; try again, put the files in {raw}, or use the dataset mnist5k"
        ) from error
    found = _local(options, splits)
    if found is None:
        raise MnistCliError(f"files in {raw} were removed; run again")
    return found


def to_bytes(dataset: Dataset) -> tuple[bytes, bytes, bytes, bytes]:
    """Training images and labels, test images and labels, a byte for each pixel and label."""
    train, test = dataset.train, dataset.test
    return (
        train.images.tobytes(),
        train.labels.tobytes(),
        test.images.tobytes(),
        test.labels.tobytes(),
    )


def from_bytes(info: DatasetInfo, packed: tuple[bytes, bytes, bytes, bytes]) -> Dataset:
    """The dataset that `to_bytes` packed."""
    arrays = [np.frombuffer(part, np.uint8) for part in packed]
    train, test = (
        LabelledImages(arrays[place].reshape(-1, 28, 28), arrays[place + 1]) for place in (0, 2)
    )
    return Dataset(info, train, test)


def load_local(options: DataOptions) -> Dataset | None:
    """A dataset that is on the disk; None where it is not. Nothing is fetched.

    Raises:
        UsageError: the data folder cannot be one.
        MnistCliError: files are damaged.
    """
    found = _local(options, BOTH)
    return _dataset(found) if found else None


def prefetch(options: DataOptions, splits: Splits = BOTH) -> None:
    """Start reading files that are on the disk, in a thread; `load` takes the result.

    Unpacking 11 MB takes 0.2 s. It does not need Python's global lock, which `import torch` holds
    for a second: called before that import, it costs no time on a second core.
    """
    if options.dataset != DatasetName.MNIST5K:
        name, source, raw = _place(options)
        if all(_on_disk(raw, file) for file in _files_of(source, splits)):
            reading = ThreadPoolExecutor(1).submit(_read, name, source, raw, splits)
            _prefetched[raw, splits] = reading


def test_images_on_disk(info: DatasetInfo, options: DataOptions) -> NDArray[np.uint8] | None:
    """The test images that a result was measured on, uint8 N×28×28; None where they are not here.

    Nothing is fetched: who looks at a result of others may have no use for 11 MB.
    """
    try:
        found = _local(replace(options, dataset=DatasetName(info.name)), (Split.TEST,))
    except (ValueError, MnistCliError):  # ValueError: no name of a dataset
        return None
    if found is None or found[0].test_sha256 != info.test_sha256:
        return None
    return found[1][Split.TEST].images


def _place(options: DataOptions) -> tuple[DatasetName, Source, Path]:
    """The published dataset that is meant, and the folder of its files.

    Raises:
        UsageError: the data folder is a file, or a folder within what seems to be meant.
    """
    name = DatasetName.MNIST if options.dataset == DatasetName.AUTO else options.dataset
    source = SOURCES[name]
    root = options.data_dir or Path(platformdirs.user_cache_dir("mnist-cli"))
    root = absolute(root.expanduser())
    if root.is_file():
        raise UsageError(f"the data folder {root} is a file; name the folder that holds the data")
    raw = root / source.folder / "raw"
    for above, inside in ((root.parent, root), (root.parent.parent, root.parent)):
        if not raw.exists() and inside.name == source.folder and (inside / "raw").is_dir():
            raise UsageError(f"{root} is a part of the data folder; name {above} instead")
    return name, source, raw


def _files_of(source: Source, splits: Splits) -> list[KnownFile]:
    by_split = {Split.TRAIN: source.files[:2], Split.TEST: source.files[2:]}
    return [file for split in splits for file in by_split[split]]


def _on_disk(raw: Path, file: KnownFile) -> Path | None:
    """Where a file is, if it is there. The .gz is preferred: an extracted file may be cut short."""
    candidates = (raw / f"{file.name}.gz", raw / file.name)
    return next((path for path in candidates if path.exists()), None)


def _local(options: DataOptions, splits: Splits) -> Found | None:
    """What is on the disk, or was prefetched; None where a file is missing."""
    if options.dataset == DatasetName.MNIST5K:
        return _bundled()
    name, source, raw = _place(options)
    if not all(_on_disk(raw, file) for file in _files_of(source, splits)):
        return None
    reading = _prefetched.pop((raw, splits), None)
    return reading.result() if reading else _read(name, source, raw, splits)


def _read(name: DatasetName, source: Source, raw: Path, splits: Splits) -> Found:
    parts = {split: _read_labelled(raw, *_files_of(source, (split,))) for split in splits}
    if len(parts[Split.TEST].labels) > MOST_TEST_IMAGES:
        raise MnistCliError(f"{raw} has more than {MOST_TEST_IMAGES:,} test images; keep fewer")
    return _identified(name, parts[Split.TEST], parts.get(Split.TRAIN))


def _read_labelled(raw: Path, *files: KnownFile) -> LabelledImages:
    (images_path, images), (labels_path, labels) = (_read_file(raw, file) for file in files)
    if not len(images) or images.shape[1:] != (28, 28):
        shape = "x".join(map(str, images.shape))
        raise damaged(images_path, f"it holds {shape} pixels, not Nx28x28")
    if len(images) != len(labels):
        raise damaged(labels_path, f"it holds {len(labels):,} labels for {len(images):,} images")
    if labels.max() >= NUM_CLASSES:
        raise damaged(labels_path, f"it holds the label {labels.max()}")
    return LabelledImages(images, labels)


def _read_file(raw: Path, file: KnownFile) -> tuple[Path, NDArray[np.uint8]]:
    """Read a file, compressed or not; an extracted one with its hash may replace a damaged .gz."""
    path = _on_disk(raw, file)
    if path is None:
        raise MnistCliError(f"{raw / file.name} was removed; run again")
    extracted = raw / file.name
    if path == extracted:
        return path, read_idx(path, file.ndim, file.extracted_md5)
    try:
        return path, read_idx(path, file.ndim, file.md5)
    except MnistCliError:
        if file.extracted_md5 is None or not extracted.is_file():
            raise
        return extracted, read_idx(extracted, file.ndim, file.extracted_md5)


def _bundled() -> Found:
    train, test = read_mnist5k()
    return _identified(DatasetName.MNIST5K, LabelledImages(*test), LabelledImages(*train))


def _identified(name: DatasetName, test: LabelledImages, train: LabelledImages | None) -> Found:
    note = NOT_COMPARABLE if name == DatasetName.MNIST5K else None
    if train is None:
        return DatasetInfo(str(name), 0, len(test.labels), "", note, _sha256(test)), {
            Split.TEST: test
        }
    sizes = len(train.labels), len(test.labels)
    info = DatasetInfo(str(name), *sizes, _sha256(train, test), note, _sha256(test))
    return info, {Split.TRAIN: train, Split.TEST: test}


def _dataset(found: Found) -> Dataset:
    info, parts = found
    return Dataset(info, parts[Split.TRAIN], parts[Split.TEST])


def _sha256(*parts: LabelledImages) -> str:
    total = hashlib.sha256()
    for part in parts:
        for array in (part.images, part.labels):
            total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
