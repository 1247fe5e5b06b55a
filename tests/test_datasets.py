import gzip
import hashlib
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mnist_cli.data import datasets, download, mnist5k
from mnist_cli.data.dataset import Dataset
from mnist_cli.data.download import Limits
from mnist_cli.data.sources import SOURCES, KnownFile, Source
from mnist_cli.errors import MnistCliError, UsageError
from mnist_cli.schema.datasets import DatasetInfo, DatasetName
from mnist_cli.schema.events import DownloadProgress, Event, Notice
from mnist_cli.schema.options import DataOptions
from tests.conftest import made_images, write_dataset
from tests.idx_format import idx_bytes
from tests.mirror import Mirror

KMNIST = DataOptions(DatasetName.KMNIST, Path("data"))
MNIST = DataOptions(DatasetName.MNIST, Path("data"))
AUTO = DataOptions(DatasetName.AUTO, Path("data"))
RAW = Path("data", "KMNIST", "raw")


def load(options: DataOptions) -> tuple[Dataset, list[Event]]:
    events: list[Event] = []
    return datasets.load(options, events.append), events


@pytest.fixture
def published(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """A mirror of a small dataset that stands for MNIST, hashes included."""
    write_dataset(Path("served"), compress=True)
    files = []
    for known in SOURCES[DatasetName.MNIST].files:
        content = Path("served", "raw", f"{known.name}.gz").read_bytes()
        mirror.files[f"{known.name}.gz"] = content
        inner = hashlib.md5(gzip.decompress(content)).hexdigest()
        files.append(KnownFile(known.name, known.ndim, hashlib.md5(content).hexdigest(), inner))
    source = Source("MNIST", (files[0], files[1], files[2], files[3]))
    monkeypatch.setitem(SOURCES, DatasetName.MNIST, source)
    monkeypatch.setenv("MNIST_CLI_MIRROR", mirror.url("ok").rstrip("/"))
    once = Limits(stall_seconds=0.5, file_seconds=5, rounds=1)
    monkeypatch.setattr(download, "PATIENT", once)
    monkeypatch.setattr(download, "QUICK", Limits(0.5, 5, 1, first_byte_seconds=0.5))
    return mirror


def test_load_takes_what_was_prefetched_and_once_only() -> None:
    write_dataset(Path("data", "KMNIST"))
    plain, _ = load(KMNIST)
    assert plain.info.classes[:2] == ("o", "ki")
    datasets.prefetch(KMNIST)
    [reading] = datasets._prefetched.values()
    reading.result(timeout=10)
    for path in RAW.iterdir():
        path.write_bytes(b"changed since")
    assert load(KMNIST)[0].info == plain.info
    with pytest.raises(MnistCliError, match="is damaged"):
        load(KMNIST)


def test_damage_found_while_prefetching_is_told_by_load() -> None:
    write_dataset(Path("data", "KMNIST"))
    Path(RAW, "t10k-labels-idx1-ubyte").write_bytes(b"damaged")
    datasets.prefetch(KMNIST)
    with pytest.raises(MnistCliError, match="t10k-labels-idx1-ubyte is damaged"):
        load(KMNIST)


def test_nothing_is_prefetched_that_is_not_complete() -> None:
    write_dataset(Path("data", "KMNIST"))
    Path(RAW, "t10k-labels-idx1-ubyte").unlink()
    for options in (KMNIST, AUTO, DataOptions(DatasetName.MNIST5K)):
        datasets.prefetch(options)
    assert not datasets._prefetched


def test_mnist5k_is_stratified_and_always_the_same() -> None:
    dataset, events = load(DataOptions(DatasetName.MNIST5K))
    assert events == []
    assert np.bincount(dataset.train.labels).tolist() == [400] * 10
    assert np.bincount(dataset.test.labels).tolist() == [100] * 10
    assert dataset.train.images.shape == (4000, 28, 28)
    assert dataset.info.note == "not comparable with published MNIST accuracy"
    rows = {image.tobytes() for image in dataset.train.images}
    assert not any(image.tobytes() in rows for image in dataset.test.images)
    again, _ = load(DataOptions(DatasetName.MNIST5K))
    assert np.array_equal(again.test.images, dataset.test.images)


def test_another_mnist5k_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist5k, "SHA256", "0" * 64)
    with pytest.raises(MnistCliError, match=r"mnist_5k\.csv\.gz cannot be used.*pip install"):
        load(DataOptions(DatasetName.MNIST5K))


@pytest.mark.parametrize("compress", [False, True])
def test_torchvisions_layout_is_read_in_place(compress: bool, published: Mirror) -> None:
    write_dataset(Path("data", "MNIST"), compress)
    before = sorted((path, path.stat().st_mtime_ns) for path in Path("data").rglob("*"))
    for options in (MNIST, AUTO):
        dataset, events = load(options)
        assert events == []
        assert (dataset.info.name, dataset.info.num_train, dataset.info.num_test) == (
            "mnist",
            40,
            20,
        )
        assert np.array_equal(dataset.test.images, made_images(20)[0])
        assert dataset.info.note is None
    assert published.asked == []
    assert sorted((path, path.stat().st_mtime_ns) for path in Path("data").rglob("*")) == before


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_enough(published: Mirror) -> None:
    write_dataset(Path("data", "MNIST"))
    Path("data", "MNIST", "raw").chmod(0o500)
    load(MNIST)


def test_the_archive_is_preferred_to_a_cut_extraction(published: Mirror) -> None:
    write_dataset(Path("data", "MNIST"), compress=True)
    Path("data", "MNIST", "raw", "train-images-idx3-ubyte").write_bytes(b"cut")
    assert load(MNIST)[0].info.num_train == 40


def test_missing_files_are_downloaded_once(published: Mirror) -> None:
    write_dataset(Path("data", "MNIST"), compress=True)
    Path("data", "MNIST", "raw", "t10k-images-idx3-ubyte.gz").unlink()
    _, events = load(MNIST)
    assert published.asked == ["/ok/t10k-images-idx3-ubyte.gz"]
    assert all(isinstance(event, DownloadProgress) for event in events)
    load(MNIST)
    assert len(published.asked) == 1


def test_auto_downloads_where_a_mirror_answers(published: Mirror) -> None:
    dataset, _ = load(AUTO)
    assert dataset.info.name == "mnist"
    assert len(list(Path("data", "MNIST", "raw").iterdir())) == 4


@pytest.mark.parametrize("behaviour", ["silent", "503", "stall", "wrong", "short"])
def test_auto_falls_back_and_says_so(
    published: Mirror, behaviour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNIST_CLI_MIRROR", published.url(behaviour))
    dataset, events = load(AUTO)
    assert dataset.info.name == "mnist5k"
    [event] = [event for event in events if isinstance(event, Notice)]
    assert published.url(behaviour) in event.text
    assert "not comparable with published MNIST accuracy" in event.text
    assert "\n" not in event.text


def test_auto_falls_back_where_it_cannot_write(published: Mirror) -> None:
    Path("data").mkdir()
    Path("data", "MNIST").write_text("in the way")
    dataset, events = load(AUTO)
    assert dataset.info.name == "mnist5k"
    assert any(isinstance(event, Notice) and "cannot write" in event.text for event in events)


def test_a_folder_that_cannot_be_written_is_named(published: Mirror) -> None:
    Path("data").mkdir()
    Path("data", "MNIST").write_text("in the way")
    with pytest.raises(MnistCliError, match=r"cannot write .*raw: .*; choose another data folder"):
        load(MNIST)


@pytest.mark.parametrize("inside", ["KMNIST", "KMNIST/raw"])
def test_a_part_of_the_data_folder_is_refused(inside: str) -> None:
    write_dataset(Path("data", "KMNIST"))
    options = DataOptions(DatasetName.KMNIST, Path("data", inside))
    with pytest.raises(UsageError, match=r"is a part of the data folder; name .*data instead"):
        load(options)
    write_dataset(Path("data", inside, "KMNIST"))
    assert load(options)[0].info.num_train == 40


def test_a_file_is_no_data_folder() -> None:
    Path("data").touch()
    for options in (AUTO, MNIST):
        with pytest.raises(UsageError, match="is a file; name the folder"):
            load(options)


def test_a_mirror_is_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNIST_CLI_MIRROR", "notaurl")
    for options in (AUTO, MNIST):
        with pytest.raises(UsageError, match=r"MNIST_CLI_MIRROR is not an http:// .*: notaurl"):
            load(options)


def test_only_missing_files_are_named(published: Mirror) -> None:
    load(MNIST)
    Path("data", "MNIST", "raw", "t10k-labels-idx1-ubyte.gz").unlink()
    published.files.clear()
    _, [*_, event] = load(AUTO)
    assert isinstance(event, Notice)
    assert event.text.startswith("t10k-labels-idx1-ubyte of MNIST are not in ")


def test_a_damaged_archive_gives_way_to_an_extracted_file_with_its_hash(
    published: Mirror,
) -> None:
    whole = load(MNIST)[0].info
    raw = Path("data", "MNIST", "raw")
    archive = raw / "t10k-labels-idx1-ubyte.gz"
    extracted = gzip.decompress(archive.read_bytes())
    archive.write_bytes(b"damaged")
    archive.with_suffix("").write_bytes(extracted)
    assert load(MNIST)[0].info == whole
    archive.with_suffix("").write_bytes(extracted[:-1] + b"\x03")
    with pytest.raises(MnistCliError, match="is damaged"):
        load(MNIST)


def test_an_extracted_file_without_a_known_hash_replaces_no_damaged_archive() -> None:
    write_dataset(Path("data", "KMNIST"))
    (RAW / "t10k-labels-idx1-ubyte.gz").write_bytes(b"damaged")
    with pytest.raises(MnistCliError, match=r"t10k-labels-idx1-ubyte\.gz is damaged"):
        load(KMNIST)


def test_other_labels_give_another_hash() -> None:
    write_dataset(Path("data", "KMNIST"))
    plain = load(KMNIST)[0].info
    for prefix, count in (("train", 40), ("t10k", 20)):
        labels = RAW / f"{prefix}-labels-idx1-ubyte"
        before = labels.read_bytes()
        labels.write_bytes(idx_bytes(np.zeros(count, dtype=np.uint8)))
        changed = load(KMNIST)[0].info
        assert changed.sha256 != plain.sha256
        assert (changed.test_sha256 == plain.test_sha256) == (prefix == "train")
        labels.write_bytes(before)


def test_loaded_training_images_are_those_of_the_result() -> None:
    """mnist5k is always whole; a checkpoint may be of other training images."""
    bundled = DataOptions(DatasetName.MNIST5K)
    info = load(bundled)[0].info
    other = replace(info, num_train=7, sha256="0" * 64)
    assert datasets.load_test(bundled, print, other)[0] == info


def test_test_images_alone_need_no_other_files(published: Mirror) -> None:
    write_dataset(Path("data", "MNIST"))
    whole, _ = load(MNIST)
    for path in Path("data", "MNIST", "raw").glob("train*"):
        path.unlink()
    published.files.clear()
    other = replace(whole.info, test_sha256="0" * 64)
    for options in (MNIST, AUTO):
        for known in (whole.info, other, None):
            datasets.prefetch(options, test_only=True)
            info, test = datasets.load_test(options, print, known)
            assert np.array_equal(test.images, whole.test.images)
            if known == whole.info:
                assert info == whole.info
            else:
                unknown = DatasetInfo("mnist", 0, 20, "", None, whole.info.test_sha256)
                assert info == replace(unknown, class_sizes=(2,) * 10)
    assert published.asked == []
    found = datasets.test_images_on_disk(whole.info, MNIST)
    assert found is not None and np.array_equal(found, whole.test.images)
    with pytest.raises(MnistCliError, match="train-images"):
        load(MNIST)


def test_only_the_test_files_are_fetched_for_test_images(published: Mirror) -> None:
    datasets.load_test(MNIST, lambda event: None, None)
    assert sorted(path.rsplit("/")[-1] for path in published.asked) == [
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ]


def test_mnist_never_falls_back(published: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNIST_CLI_MIRROR", published.url("503"))
    with pytest.raises(MnistCliError) as caught:
        load(MNIST)
    message = str(caught.value)
    assert "HTTP 503" in message
    for way_out in ("try again", str(Path("data", "MNIST", "raw")), "the dataset mnist5k"):
        assert way_out in message


def test_auto_does_not_hide_a_damaged_file(published: Mirror) -> None:
    write_dataset(Path("data", "MNIST"))
    path = Path("data", "MNIST", "raw", "train-images-idx3-ubyte")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(MnistCliError, match="train-images-idx3-ubyte is damaged"):
        load(AUTO)


def test_more_test_images_than_a_result_may_have_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_dataset(Path("data", "KMNIST"))
    for most in (20, 19):
        monkeypatch.setattr(datasets, "MOST_TEST_IMAGES", most)
        if most == 20:
            load(KMNIST)
    with pytest.raises(MnistCliError, match="has more than 19 test images; keep fewer"):
        load(KMNIST)


def test_labels_must_match_images() -> None:
    write_dataset(Path("data", "KMNIST"))
    shutil.copy(RAW / "t10k-labels-idx1-ubyte", RAW / "train-labels-idx1-ubyte")
    with pytest.raises(MnistCliError, match="20 labels for 40 images"):
        load(KMNIST)


def test_labels_must_be_classes() -> None:
    write_dataset(Path("data", "KMNIST"))
    labels = np.full(40, 10, dtype=np.uint8)
    (RAW / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    with pytest.raises(MnistCliError, match="label 10"):
        load(KMNIST)


@pytest.mark.parametrize("shape", [(0, 28, 28), (40, 28, 27)])
def test_images_must_be_some_and_28_by_28(shape: tuple[int, ...]) -> None:
    write_dataset(Path("data", "KMNIST"))
    (RAW / "train-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros(shape, dtype=np.uint8)))
    with pytest.raises(MnistCliError, match="train-images-idx3-ubyte is damaged: it holds"):
        load(KMNIST)


def test_hashes_and_folders_are_torchvisions() -> None:
    import torchvision.datasets

    for source in SOURCES.values():
        theirs = getattr(torchvision.datasets, source.folder)
        assert theirs.mirrors
        assert [(f"{file.name}.gz", file.md5) for file in source.files] == theirs.resources
        names = [name.partition(" - ")[0] for name in theirs.classes]  # of MNIST: "0 - zero"
        assert list(source.classes) == names


def test_torchvisions_mirrors_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision.datasets

    from mnist_cli.data.sources import mirrors

    monkeypatch.delenv("MNIST_CLI_MIRROR")
    assert mirrors(SOURCES[DatasetName.KMNIST]) == torchvision.datasets.KMNIST.mirrors


def test_a_broken_torchvision_says_how_to_mend_it(
    published: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("broken").mkdir()
    Path("broken", "torchvision").mkdir()
    Path("broken", "torchvision", "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    monkeypatch.syspath_prepend("broken")
    for name in [name for name in sys.modules if name.startswith("torchvision")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delenv("MNIST_CLI_MIRROR")
    with pytest.raises(MnistCliError, match=r"nms does not exist.*pip install --force-reinstall"):
        load(MNIST)


def test_the_images_of_a_result_are_found_on_disk_or_not_at_all() -> None:
    write_dataset(Path("data", "KMNIST"))
    dataset, _ = load(KMNIST)
    found = datasets.test_images_on_disk(dataset.info, MNIST)
    assert found is not None and np.array_equal(found, dataset.test.images)
    elsewhere = DataOptions(DatasetName.AUTO, Path("empty"))
    assert datasets.test_images_on_disk(dataset.info, elsewhere) is None
    assert datasets.test_images_on_disk(replace(dataset.info, test_sha256="0" * 64), KMNIST) is None
    assert datasets.test_images_on_disk(replace(dataset.info, name="letters"), KMNIST) is None
    bundled, _ = load(DataOptions(DatasetName.MNIST5K))
    found = datasets.test_images_on_disk(bundled.info, elsewhere)
    assert found is not None and np.array_equal(found, bundled.test.images)
    Path(RAW, "t10k-images-idx3-ubyte").write_bytes(b"damaged")
    assert datasets.test_images_on_disk(dataset.info, KMNIST) is None
