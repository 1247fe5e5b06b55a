"""Loads a dataset by name: from disk, from a mirror, or the bundled subset."""

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnist_cli.data.hold_out import choose_held_out
from mnist_cli.data.idx import damage_error, read_idx
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
from mnist_cli.system.folders import user_cache


@dataclass(frozen=True)
class LabelledImages:
    """`images` uint8 N×28×28, `labels` uint8 N with values 0 to 9."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


@dataclass(frozen=True)
class Dataset:
    """The training and test images; `train` is empty if only `test` was loaded."""

    info: DatasetInfo
    train: LabelledImages
    test: LabelledImages


Splits = tuple[Split, ...]
BOTH: Splits = (Split.TRAIN, Split.TEST)
_prefetched: dict[tuple[Path, Splits], Future[Dataset]] = {}


def load(options: DataOptions, on_event: OnEvent, splits: Splits = BOTH) -> Dataset:
    """Load a dataset into memory; download missing files first.

    AUTO is the complete MNIST if it is on disk or downloads quickly, else mnist5k, with a notice.

    Raises:
        UsageError: the data folder or the mirror is invalid, or no images would be left to train.
        MnistCliError: files are damaged, or are missing and cannot be downloaded.
    """
    if dataset := load_local(options, splits):
        return dataset
    auto = options.dataset == DatasetName.AUTO
    _, source, raw = _locate(options)
    missing = _list_missing(source, raw, splits)
    from mnist_cli.data.download import PATIENT, QUICK, fetch

    try:
        with explaining(f"write {raw}", "choose another data folder"):
            fetch(missing, raw, source, QUICK if auto else PATIENT, on_event)
    except UsageError:
        raise
    except MnistCliError as error:
        if not auto:
            raise MnistCliError(
                f"{error}; try again, put the files in {raw}, or use the dataset mnist5k"
            ) from error
        names = ", ".join(file.name for file in missing)
        what = f"{names} of MNIST are" if len(missing) < 4 else "MNIST is"
        on_event(
            Notice(
                f"{what} not in {raw} and {error}; using mnist5k, 5,000 of its images: "
                f"{NOT_COMPARABLE} (--dataset mnist5k skips the download)"
            )
        )
        return _split(_load_bundled(), options.hold_out)
    if dataset := load_local(options, splits):
        return dataset
    raise MnistCliError(f"files in {raw} were removed; run again")


def load_test(
    options: DataOptions, on_event: OnEvent, trained_on: DatasetInfo | None
) -> tuple[DatasetInfo, LabelledImages]:
    """Load only the test images, without the files of the training images; raises as `load` does.

    If a checkpoint was `trained_on` a dataset with the same test images, the returned description
    includes its training images.
    """
    dataset = load(options, on_event, (Split.TEST,))
    info = dataset.info
    wanted = info.name, info.test_sha256
    if trained_on and not info.num_train and wanted == (trained_on.name, trained_on.test_sha256):
        info = trained_on
    return info, dataset.test


def load_local(options: DataOptions, splits: Splits = BOTH) -> Dataset | None:
    """Load a dataset from disk, or take it from `prefetch`; None if a file is missing."""
    if options.dataset == DatasetName.MNIST5K:
        return _split(_load_bundled(), options.hold_out)
    name, source, raw = _locate(options)
    if _list_missing(source, raw, splits):
        return None
    future = _prefetched.pop((raw, splits), None)
    dataset = future.result() if future else _read(name, source, raw, splits)
    return _split(dataset, options.hold_out)


def prefetch(options: DataOptions, splits: Splits = BOTH) -> None:
    """Start to read files that are on disk, in a thread; `load` takes the result.

    Unpacking 11 MB takes 0.2 s without Python's global lock, which `import torch` holds for a
    second. If this is called before that import, it costs no time on a second core.
    """
    if options.dataset != DatasetName.MNIST5K:
        name, source, raw = _locate(options)
        if not _list_missing(source, raw, splits):
            future = ThreadPoolExecutor(1).submit(_read, name, source, raw, splits)
            _prefetched[raw, splits] = future


def test_images_on_disk(info: DatasetInfo, options: DataOptions) -> NDArray[np.uint8] | None:
    """The test or validation images of `info`, uint8 N×28×28; None if they are not on disk."""
    try:
        named = replace(options, dataset=DatasetName(info.name), hold_out=info.hold_out or None)
        dataset = load_local(named, BOTH if info.hold_out else (Split.TEST,))
    except (ValueError, MnistCliError):  # ValueError: an unknown dataset
        return None
    if dataset is None or dataset.info.test_sha256 != info.test_sha256:
        return None
    return dataset.test.images


def to_bytes(dataset: Dataset) -> tuple[bytes, bytes, bytes, bytes]:
    """Training images and labels, test images and labels: a byte for each pixel and label."""
    train, test = dataset.train, dataset.test
    return (
        train.images.tobytes(),
        train.labels.tobytes(),
        test.images.tobytes(),
        test.labels.tobytes(),
    )


def from_bytes(info: DatasetInfo, packed: tuple[bytes, bytes, bytes, bytes]) -> Dataset:
    """Make the dataset that `info` describes from what `to_bytes` returned."""
    arrays = [np.frombuffer(part, np.uint8) for part in packed]
    train, test = (
        LabelledImages(arrays[index].reshape(-1, 28, 28), arrays[index + 1]) for index in (0, 2)
    )
    return Dataset(info, train, test)


def _locate(options: DataOptions) -> tuple[DatasetName, Source, Path]:
    """Find the published dataset that `options` name, and the folder of its files."""
    name = DatasetName.MNIST if options.dataset == DatasetName.AUTO else options.dataset
    source = SOURCES[name]
    root = options.data_dir or user_cache()
    root = absolute(root.expanduser())
    if root.is_file():
        raise UsageError(f"the data folder {root} is a file; name the folder that holds the data")
    raw = root / source.folder / "raw"
    for above, inside in ((root.parent, root), (root.parent.parent, root.parent)):
        if not raw.exists() and inside.name == source.folder and (inside / "raw").is_dir():
            raise UsageError(f"{root} is a part of the data folder; name {above} instead")
    return name, source, raw


def _list_files(source: Source, splits: Splits) -> list[KnownFile]:
    by_split = {Split.TRAIN: source.files[:2], Split.TEST: source.files[2:]}
    return [file for split in splits for file in by_split[split]]


def _list_missing(source: Source, raw: Path, splits: Splits) -> list[KnownFile]:
    return [
        file
        for file in _list_files(source, splits)
        if not ((raw / f"{file.name}.gz").exists() or (raw / file.name).exists())
    ]


def _read(name: DatasetName, source: Source, raw: Path, splits: Splits) -> Dataset:
    parts = {split: _read_labelled(raw, *_list_files(source, (split,))) for split in splits}
    if len(parts[Split.TEST].labels) > MOST_TEST_IMAGES:
        raise MnistCliError(f"{raw} has more than {MOST_TEST_IMAGES:,} test images; keep fewer")
    return _identify(name, parts[Split.TEST], parts.get(Split.TRAIN))


def _read_labelled(raw: Path, *files: KnownFile) -> LabelledImages:
    (images_path, images), (labels_path, labels) = (_read_file(raw, file) for file in files)
    num_images, num_labels = len(images), len(labels)
    if not num_images or images.shape[1:] != (28, 28):
        shape = "x".join(map(str, images.shape))
        raise damage_error(images_path, f"it holds {shape} pixels, not Nx28x28")
    if num_images != num_labels:
        raise damage_error(labels_path, f"it holds {num_labels:,} labels for {num_images:,} images")
    if labels.max() >= NUM_CLASSES:
        raise damage_error(labels_path, f"it holds the label {labels.max()}")
    return LabelledImages(images, labels)


def _read_file(raw: Path, file: KnownFile) -> tuple[Path, NDArray[np.uint8]]:
    """Read the .gz; if it is missing, or damaged and its hash is known, the extracted file."""
    archive, extracted = raw / f"{file.name}.gz", raw / file.name
    if archive.exists():
        try:
            return archive, read_idx(archive, file.ndim, file.md5)
        except MnistCliError:
            if file.extracted_md5 is None or not extracted.is_file():
                raise
    return extracted, read_idx(extracted, file.ndim, file.extracted_md5)


def _load_bundled() -> Dataset:
    train, test = read_mnist5k()
    return _identify(DatasetName.MNIST5K, LabelledImages(*test), LabelledImages(*train))


def _split(dataset: Dataset, hold_out: float | None) -> Dataset:
    """Replace the test images by training images that are held out, if any."""
    if hold_out is None:
        return dataset
    images, labels = dataset.train.images, dataset.train.labels
    mask = choose_held_out(labels, hold_out)
    train, validation = (LabelledImages(images[part], labels[part]) for part in (~mask, mask))
    if len(validation.labels) > MOST_TEST_IMAGES:
        raise UsageError(f"at most {MOST_TEST_IMAGES:,} images can be held out; choose fewer")
    split = _identify(DatasetName(dataset.info.name), validation, train)
    return replace(split, info=replace(split.info, hold_out=len(validation.labels)))


def _identify(name: DatasetName, test: LabelledImages, train: LabelledImages | None) -> Dataset:
    note = NOT_COMPARABLE if name == DatasetName.MNIST5K else None
    both_sha256 = _sha256(train, test) if train else ""
    train = train or LabelledImages(test.images[:0], test.labels[:0])
    sizes = len(train.labels), len(test.labels)
    info = DatasetInfo(str(name), *sizes, both_sha256, note, _sha256(test))
    return Dataset(info, train, test)


def _sha256(*parts: LabelledImages) -> str:
    total = hashlib.sha256()
    for part in parts:
        for array in (part.images, part.labels):
            total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
