"""Loads a dataset by name: from disk, from a mirror, or the bundled subset."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnist_cli.data.dataset import (
    Dataset,
    LabelledImages,
    divide,
    hold_images_out,
    identify,
    use_classes,
)
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
)
from mnist_cli.schema.events import Notice, OnEvent
from mnist_cli.schema.options import VAL, DataOptions
from mnist_cli.system.files import absolute, explaining
from mnist_cli.system.folders import user_cache

TEST_SHARE = 0.2  # of own images that have no test set


@dataclass(frozen=True)
class _Published:
    """A published dataset, or only its test images, in the folder `raw`."""

    name: DatasetName
    source: Source
    raw: Path
    files: tuple[KnownFile, ...]
    """Those of the images and of the labels of each part in turn, the test images last."""

    def list_missing(self) -> list[KnownFile]:
        """The files that are not on disk."""
        return [
            file
            for file in self.files
            if not ((self.raw / f"{file.name}.gz").exists() or (self.raw / file.name).exists())
        ]

    def read(self) -> Dataset:
        """Read all files; raises MnistCliError as `read_idx`."""
        pairs = zip(self.files[::2], self.files[1::2], strict=True)
        parts = [_read_labelled(self.raw, *pair) for pair in pairs]
        test = parts[-1]
        _check_count(self.raw, test)
        train = parts[0] if len(parts) == 2 else test.select(slice(0))
        info = DatasetInfo(str(self.name), 0, 0, "", classes=self.source.classes)
        return identify(info, train, test)


_prefetched: dict[_Published, Future[Dataset]] = {}


def load(options: DataOptions, on_event: OnEvent, *, test_only: bool = False) -> Dataset:
    """Load a dataset into memory; download missing files first.

    AUTO is the complete MNIST if it is on disk or downloads quickly, else mnist5k, with a notice.
    If `test_only`, the files of the training images of a published dataset are not needed.

    Raises:
        UsageError: the data folder or the mirror is invalid, or no images would be left to train.
        MnistCliError: files are damaged, or are missing and cannot be downloaded.
    """
    own = load_own(options, on_event)
    if dataset := own or load_local(options, test_only=test_only):
        return dataset
    published = _locate(options, test_only=test_only)
    missing, raw = published.list_missing(), published.raw
    auto = options.dataset == DatasetName.AUTO
    from mnist_cli.data.download import PATIENT, QUICK, fetch

    try:
        with explaining(f"write {raw}", "choose another data folder"):
            fetch(missing, raw, published.source, QUICK if auto else PATIENT, on_event)
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
        return load(replace(options, dataset=DatasetName.MNIST5K), on_event)
    return hold_images_out(published.read(), options.hold_out)


def load_own(
    options: DataOptions, on_event: OnEvent, *, all_for_test: bool = False
) -> Dataset | None:
    """Load a person's own images; None if `options` name a published dataset.

    If they have no test set, its place is taken by the validation images, else by a fifth of each
    class, always the same; or by all images, if they are `all_for_test`. Raises as `read_own` and
    `hold_images_out`.
    """
    if not isinstance(options.dataset, Path):
        return None
    from mnist_cli.data.own import read_own  # here, as Pillow and scipy take 0.2 s to import

    own = read_own(options.dataset, _find_root(options), on_event, as_digits=options.as_digits)
    info = DatasetInfo(options.name, 0, 0, "", classes=own.classes, as_digits=options.as_digits)
    if options.hold_out == VAL and "val" in own.parts:
        train, val = own.parts["train"], own.parts["val"]
        info = replace(info, hold_out=len(val.labels), holds_out_val=True)
        dataset = identify(info, train, val)
    else:
        train, test = _choose_test(options.dataset, own.parts, on_event, all_for_test=all_for_test)
        dataset = hold_images_out(identify(info, train, test), options.hold_out)
    _warn_of_sizes(dataset.info, on_event)
    return dataset


def _choose_test(
    path: Path, parts: Mapping[str, LabelledImages], on_event: OnEvent, *, all_for_test: bool
) -> tuple[LabelledImages, LabelledImages]:
    """The training and test images of own images; a notice says if there is no test set."""
    train = parts["train"]
    if "test" in parts:
        return train, parts["test"]
    if "val" in parts:
        on_event(Notice(f"{path} has no test images: those for validation take their place"))
        return train, parts["val"]
    if all_for_test:
        _check_count(path, train)
        return train.select(slice(0)), train
    if np.bincount(train.labels).min() < 2:
        raise MnistCliError(
            f"{path} has a class with one image and no test images; give each class two or more"
        )
    train, test = divide(train, TEST_SHARE)
    on_event(
        Notice(
            f"{path} has no test images: {len(test.labels):,} of its images, a fifth of each class "
            "and always the same, take their place and are not trained on"
        )
    )
    return train, test


def _warn_of_sizes(info: DatasetInfo, on_event: OnEvent) -> None:
    if info.is_unbalanced:
        sizes = dict(zip(info.classes, info.class_sizes, strict=True))
        least, most = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
        on_event(
            Notice(
                f"the classes have {sizes[least]:,} ({least}) to {sizes[most]:,} ({most}) "
                f"{info.evaluated_on} images: balanced accuracy, the mean over classes, is shown"
            )
        )


def load_test(
    options: DataOptions, on_event: OnEvent, trained_on: DatasetInfo | None
) -> tuple[DatasetInfo, LabelledImages]:
    """Load only the test images, without the files of the training images; raises as `load` does.

    If a checkpoint was `trained_on` a dataset with the same test images, the returned description
    includes its training images. If it was trained on other images than a person's own without a
    test set, all of these are test images.
    """
    is_foreign = trained_on is not None and trained_on.name != options.name
    own = load_own(options, on_event, all_for_test=is_foreign)
    dataset = own or load(options, on_event, test_only=True)
    if trained_on is None:
        return dataset.info, dataset.test
    dataset = use_classes(dataset, trained_on)
    info = dataset.info
    if trained_on.has_digit_form and not info.has_digit_form:
        on_event(
            Notice(
                "the checkpoint expects the form of MNIST's digits: if these pictures do not "
                "have it, give --as-digits"
            )
        )
    same_name = trained_on.name == info.name
    if same_name and not trained_on.hold_out and info.sha256 not in {"", trained_on.sha256}:
        on_event(
            Notice(
                f"{info.name} has other images than when the checkpoint was trained: it may have "
                "been trained on some of these"
            )
        )
    if same_name and not info.num_train and info.test_sha256 == trained_on.test_sha256:
        info = trained_on
    return info, dataset.test


def load_local(options: DataOptions, *, test_only: bool = False) -> Dataset | None:
    """Load a published dataset from disk, or from `prefetch`; None if a file is missing."""
    if options.dataset == DatasetName.MNIST5K:
        info = DatasetInfo(options.name, 0, 0, "", NOT_COMPARABLE)
        return hold_images_out(identify(info, *read_mnist5k()), options.hold_out)
    published = _locate(options, test_only=test_only)
    if published.list_missing():
        return None
    reading = _prefetched.pop(published, None)
    return hold_images_out(reading.result() if reading else published.read(), options.hold_out)


def prefetch(options: DataOptions, *, test_only: bool = False) -> None:
    """Start to read files that are on disk, in a thread; `load` takes the result.

    Unpacking 11 MB takes 0.2 s without Python's global lock, which `import torch` holds for a
    second. If this is called before that import, it costs no time on a second core.
    """
    if options.dataset != DatasetName.MNIST5K and not isinstance(options.dataset, Path):
        published = _locate(options, test_only=test_only)
        if not published.list_missing():
            _prefetched[published] = ThreadPoolExecutor(1).submit(published.read)


def test_images_on_disk(info: DatasetInfo, options: DataOptions) -> NDArray[np.uint8] | None:
    """The test or validation images of `info`, uint8 N×28×28; None if they are not on disk."""
    try:
        dataset = load_own(options, lambda event: None)
        if dataset is None:
            named = replace(options, dataset=DatasetName(info.name), hold_out=info.hold_out or None)
            dataset = load_local(named, test_only=not info.hold_out)
    except (ValueError, MnistCliError):  # ValueError: an unknown dataset
        return None
    if dataset is None or dataset.info.test_sha256 != info.test_sha256:
        return None
    return dataset.test.images


def _locate(options: DataOptions, *, test_only: bool) -> _Published:
    """Find the published dataset that `options` name, and the folder of its files."""
    name = DatasetName.MNIST if options.dataset == DatasetName.AUTO else DatasetName(options.name)
    source = SOURCES[name]
    root = _find_root(options)
    if root.is_file():
        raise UsageError(f"the data folder {root} is a file; name the folder that holds the data")
    raw = root / source.folder / "raw"
    for above, inside in ((root.parent, root), (root.parent.parent, root.parent)):
        if not raw.exists() and inside.name == source.folder and (inside / "raw").is_dir():
            raise UsageError(f"{root} is a part of the data folder; name {above} instead")
    return _Published(name, source, raw, source.files[2 if test_only else 0 :])


def _find_root(options: DataOptions) -> Path:
    root = options.data_dir or user_cache()
    return absolute(root.expanduser())


def _check_count(path: Path, test: LabelledImages) -> None:
    if len(test.labels) > MOST_TEST_IMAGES:
        raise MnistCliError(f"{path} has more than {MOST_TEST_IMAGES:,} test images; keep fewer")


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
