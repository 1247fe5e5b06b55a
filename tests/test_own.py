"""A person's own images: formats, the numbers of their classes, test sets, and the cache."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mnist_cli.cli import parameters
from mnist_cli.data import datasets, folders, idx_folders, npz, own, parts
from mnist_cli.data.dataset import Dataset, LabelledImages, identify
from mnist_cli.data.mnist5k import read_mnist5k
from mnist_cli.errors import MnistCliError, UsageError
from mnist_cli.schema.datasets import DatasetInfo, DatasetName
from mnist_cli.schema.events import Event, Notice, ReadingProgress
from mnist_cli.schema.options import VAL, DataOptions
from tests.own_images import made, write_folder, write_idx, write_npz

Told = list[Event]


def load(path: Path, told: Told | None = None, **options: Any) -> Dataset:
    dataset = datasets.load_own(
        DataOptions(path, Path("cache"), **options), (told if told is not None else []).append
    )
    assert dataset is not None
    return dataset


def notices(told: Told) -> str:
    return "\n".join(event.text for event in told if isinstance(event, Notice))


WRITERS: dict[str, Callable[..., Path]] = {
    "ours": write_folder,
    "idx": write_idx,
    "raw/raw": write_idx,
    "keras.npz": write_npz,
    "med.npz": lambda path, **splits: write_npz(path, "{0}_images {0}_labels", **splits),
}


@pytest.mark.parametrize("name", WRITERS)
def test_each_format_gives_the_images_and_the_hash_of_the_published_dataset(name: str) -> None:
    (images, labels), (test_images, test_labels) = read_mnist5k()
    shuffled = np.random.default_rng(0).permutation(300) * 13
    train = images[shuffled], labels[shuffled]
    test = test_images[::10], test_labels[::10]
    write = WRITERS[name]
    path = Path(name)
    write(path, train=train, test=test)
    place = path.parent if name == "raw/raw" else path
    dataset = load(place)
    assert np.array_equal(dataset.train.images, train[0])
    assert np.array_equal(dataset.train.labels, train[1])
    assert np.array_equal(dataset.test.images, test[0])
    assert dataset.test.labels.dtype == np.uint8
    published = identify(
        DatasetInfo("mnist", 0, 0, ""), LabelledImages(*train), LabelledImages(*test)
    ).info
    assert dataset.info.sha256 == published.sha256
    assert dataset.info.test_sha256 == published.test_sha256
    assert dataset.info.classes == published.classes
    assert dataset.info.name == (place.name if place.suffix else f"{place.name}/")
    assert not dataset.info.is_published


def test_many_pictures_are_decoded_by_processes_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_folder(Path("ours"), train=made(60), test=made(30, seed=1))
    alone = load(Path("ours"))
    for name, value in (("LEAST_PARALLEL", 10), ("CHUNK", 7), ("count_allowed", lambda: 2)):
        monkeypatch.setattr(folders, name, value)
    Path("cache").rename("other")
    told: Told = []
    together = load(Path("ours"), told)
    assert together.info == alone.info
    steps = [event.done for event in told if isinstance(event, ReadingProgress)]
    assert steps == sorted(steps) and steps[-1] == 90 and len(steps) > 8
    Path("ours/train/1/4.png").write_bytes(b"no picture")
    with pytest.raises(MnistCliError, match=r"ours/train/1/4\.png is not a picture"):
        load(Path("ours"))


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([9, 10, 2, -1], ("-1", "2", "9", "10")),
        ([300, 7, 7, 300], ("7", "300")),
        ([0.0, 1.5, 2.0, 2.0], ("0", "1.5", "2")),
        (["b", "a", "10", "9"], ("10", "9", "a", "b")),
        ([b"cat", b"\xc3\xa9", b"cat", b"cat"], ("cat", "é")),
        ([True, False, True, True], ("False", "True")),
    ],
)
def test_labels_of_any_kind_are_numbered_by_value_or_name(
    labels: list[Any], classes: tuple[str, ...]
) -> None:
    images = made(4)[0]
    write_npz(Path("a.npz"), train=(images, np.array(labels)), test=(images, np.array(labels)))
    dataset = load(Path("a.npz"))
    assert dataset.info.classes == classes
    names = [classes[place] for place in dataset.train.labels]
    assert names == [
        each.decode() if isinstance(each, bytes) else f"{each}".removesuffix(".0")
        for each in labels
    ]


def test_more_than_256_classes_have_larger_labels_which_survive_the_way_to_a_worker() -> None:
    images, labels = made(600, classes=300)
    write_npz(Path("a.npz"), train=(images, labels), test=(images, labels))
    dataset = load(Path("a.npz"))
    assert dataset.train.labels.dtype == np.uint16 and dataset.train.labels.max() == 299
    arrived = pickle.loads(pickle.dumps(dataset))
    assert np.array_equal(arrived.train.labels, labels)
    assert np.array_equal(arrived.test.images, images)


def test_without_a_test_set_a_fifth_of_each_class_is_one_always_the_same() -> None:
    images, labels = made(90)
    images[:, 0, 0] = np.arange(90)
    write_folder(Path("ours"), all=(images, labels))
    told: Told = []
    dataset = load(Path("ours"), told)
    assert np.bincount(dataset.test.labels).tolist() == [6, 6, 6]
    assert (dataset.info.num_train, dataset.info.num_test) == (72, 18)
    assert "18 of its images, a fifth of each class and always the same" in notices(told)
    seen = set(dataset.train.images[:, 0, 0].tolist()) | set(dataset.test.images[:, 0, 0].tolist())
    assert len(seen) == 90
    assert load(Path("ours")).info == dataset.info


def test_the_notice_of_class_sizes_is_about_the_images_that_are_evaluated() -> None:
    (images, labels), (test_images, _) = made(60), made(12, seed=1)
    uneven = np.array([0] * 10 + [1, 2])
    write_npz(Path("a.npz"), train=(images, labels), test=(test_images, uneven))
    told: Told = []
    load(Path("a.npz"), told)
    assert "the classes have 1 (1) to 10 (0) test images: balanced accuracy" in notices(told)
    held_out: Told = []
    assert not load(Path("a.npz"), held_out, hold_out=6).info.is_unbalanced
    assert "balanced accuracy" not in notices(held_out)


def test_a_class_with_one_image_needs_a_test_set() -> None:
    images, _ = made(7)
    write_folder(Path("ours"), all=(images, np.array([0, 0, 0, 1, 1, 1, 2])))
    with pytest.raises(MnistCliError, match="a class with one image and no test images"):
        load(Path("ours"))
    write_folder(Path("more"), all=(images, np.array([0, 0, 0, 1, 1, 2, 2])))
    assert np.bincount(load(Path("more")).train.labels).min() > 0


def test_validation_images_take_the_place_of_missing_test_images_or_are_held_out() -> None:
    train, val, test = made(60), made(30, seed=1), made(15, seed=2)
    write_folder(Path("two"), train=train, valid=val)
    told: Told = []
    assert np.array_equal(load(Path("two"), told).test.images, val[0])
    assert "those for validation take their place" in notices(told)
    write_folder(Path("three"), train=train, val=val, test=test)
    assert np.array_equal(load(Path("three")).test.images, test[0])
    held = load(Path("three"), hold_out=VAL)
    assert np.array_equal(held.test.images, val[0])
    assert (held.info.hold_out, held.info.hold_out_option) == (30, "val")
    assert held.info.evaluated_on == "validation"
    some = load(Path("three"), hold_out=6)
    assert (some.info.num_train, some.info.num_test, some.info.hold_out_option) == (54, 6, "6")
    write_folder(Path("one"), all=train)
    with pytest.raises(UsageError, match="has no validation images; hold out training images"):
        load(Path("one"), hold_out=VAL)


def test_nothing_is_decoded_again_until_a_file_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(Path("ours"), train=made(30), test=made(15))
    told: Told = []
    first = load(Path("ours"), told)
    [kept] = Path("cache/own").iterdir()
    read = folders.read
    monkeypatch.setattr(folders, "read", None)  # calling it would fail
    again: Told = []
    assert load(Path("ours"), again).info == first.info
    assert notices(again) == notices(told)
    monkeypatch.setattr(folders, "read", read)
    kept.write_bytes(kept.read_bytes()[:-1000])
    assert load(Path("ours")).info == first.info
    changed = Path("ours/train/0/0.png")
    Image.fromarray(np.full((28, 28), 9, np.uint8)).save(changed)
    assert load(Path("ours")).info != first.info
    status = changed.stat()
    os.utime(changed, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    monkeypatch.setattr(folders, "read", None)
    with pytest.raises(TypeError):
        load(Path("ours"))


@pytest.mark.parametrize("form", ["npz", "idx"])
def test_another_size_or_time_of_a_file_is_another_dataset(form: str) -> None:
    images, labels = made(30)
    place = Path("ours.npz" if form == "npz" else "ours")
    write: Any = write_npz if form == "npz" else write_idx
    file = place if form == "npz" else place / "train-images-idx3-ubyte"
    write(place, train=(images, labels), test=(images, labels))
    first = load(place).info
    before = file.stat()
    darker = images // 2
    write(place, train=(darker, labels), test=(images, labels))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    second = load(place).info
    assert second.sha256 != first.sha256
    fewer = (images[:15], labels[:15])
    write(place, train=fewer, test=(images, labels))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert load(place).info.num_train == 15


def test_what_changes_while_it_is_read_is_refused_and_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_folder(Path("ours"), train=made(30), test=made(15))
    read = folders.read

    def change(*arguments: Any, **options: Any) -> Any:
        found = read(*arguments, **options)
        Path("ours/train/0/new.png").touch()
        return found

    monkeypatch.setattr(folders, "read", change)
    with pytest.raises(MnistCliError, match="ours changed while it was read; run again"):
        load(Path("ours"))
    assert not Path("cache").exists()


def test_a_cache_that_cannot_be_written_is_a_notice() -> None:
    write_folder(Path("ours"), train=made(30), test=made(15))
    Path("cache").write_text("a file")
    told: Told = []
    load(Path("ours"), told)
    assert "cannot keep the decoded images in" in notices(told)


def test_more_images_than_memory_are_refused_with_their_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_npz(Path("a.npz"), train=made(30), test=made(15))
    monkeypatch.setattr(parts, "BYTES_OF_IMAGE", 10**15)
    with pytest.raises(MnistCliError, match=r"30 images of .* need 30000000\.0 GB of memory"):
        load(Path("a.npz"))
    monkeypatch.setattr(parts, "MOST_TEST_IMAGES", 14)
    monkeypatch.setattr(parts, "BYTES_OF_IMAGE", 1)
    with pytest.raises(MnistCliError, match="15 images for test; give 1 to 14"):
        load(Path("a.npz"))


def classes_of(*names: str) -> DatasetInfo:
    return DatasetInfo("mnist", 60, 30, "0", classes=names)


def test_a_checkpoint_numbers_the_classes_of_other_images() -> None:
    write_folder(Path("ours"), all=made(30))
    options = DataOptions(Path("ours"), Path("cache"))
    info, test = datasets.load_test(options, lambda event: None, classes_of("9", "2", "1", "0"))
    assert info.classes == ("9", "2", "1", "0") and info.class_sizes == (0, 10, 10, 10)
    assert (info.num_train, info.num_test) == (0, 30)  # trained on others: all are test images
    assert np.array_equal(test.labels, 3 - made(30)[1])
    with pytest.raises(UsageError, match="ours/ has the class 2, but the checkpoint was trained"):
        datasets.load_test(options, lambda event: None, classes_of("0", "1"))


def test_a_checkpoint_is_judged_on_images_that_it_was_not_trained_on() -> None:
    write_folder(Path("ours"), all=made(30))
    trained_on = load(Path("ours")).info
    options = DataOptions(Path("ours"), Path("cache"))
    told: Told = []
    info, _ = datasets.load_test(options, told.append, trained_on)
    assert info == trained_on and info.num_test == 6
    assert "other images" not in notices(told)
    write_folder(Path("ours"), all=made(33))
    datasets.load_test(options, told.append, trained_on)
    assert "ours/ has other images than when the checkpoint was trained" in notices(told)


def test_the_form_of_digits_is_asked_for_when_a_checkpoint_expects_it() -> None:
    write_folder(Path("ours"), all=made(30))
    told: Told = []
    plain = DataOptions(Path("ours"), Path("cache"))
    digits = DataOptions(Path("ours"), Path("cache"), as_digits=True)
    mnist = DatasetInfo("mnist", 60, 30, "0")
    datasets.load_test(digits, told.append, mnist)
    assert "--as-digits" not in notices(told)
    assert "30 pictures of 28x28, brought to the form of MNIST's digits" in notices(told)
    datasets.load_test(plain, told.append, mnist)
    assert "give --as-digits" in notices(told)


@pytest.mark.parametrize(
    ("classes", "sizes", "near"),
    [
        (10, (98, 114, *[100] * 8), 0.2),
        (2, (50, 50), 0.6),
        (3, (40, 40, 40), 1 / 3 + 0.1),
        (100, (10,) * 100, 0.02),
        (2, (90, 10), 0.9),
        (26, (60, *[9] * 25), 60 / 285),
    ],
)
def test_near_chance_depends_on_the_classes(
    classes: int, sizes: tuple[int, ...], near: float
) -> None:
    names = tuple(map(str, range(classes)))
    info = DatasetInfo("a/", 1, sum(sizes), "", classes=names, class_sizes=sizes)
    assert info.near_chance == pytest.approx(near, abs=1e-12)
    assert info.is_unbalanced == (max(sizes) > 3 * min(sizes))


def test_ten_classes_of_an_earlier_version_are_near_chance_up_to_a_fifth() -> None:
    info = DatasetInfo("mnist", 60_000, 10_000, "")
    assert info.near_chance == 0.2 and not info.is_unbalanced


def test_the_name_of_own_images_is_never_that_of_a_published_dataset() -> None:
    write_folder(Path("mnist"), all=made(30))
    assert load(Path("mnist")).info.name == "mnist/"
    os.chdir("mnist")
    assert DataOptions(Path()).name == "mnist/"
    assert DataOptions(Path("0/..")).name == "mnist/"
    assert DataOptions(DatasetName.KMNIST).name == "kmnist"


def test_a_home_folder_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parameters.dataset("~/ours") == tmp_path / "ours"
    assert parameters.dataset("~nobody-here/ours") == Path("~nobody-here/ours")
    assert parameters.dataset("MNIST5k") == DatasetName.MNIST5K
    assert parameters.dataset("./mnist") == Path("mnist")


def test_each_row_of_the_formats_reads_what_it_fits() -> None:
    for name, form in (("a.npz", npz), ("ours", folders), ("idx", idx_folders)):
        WRITERS["keras.npz" if name == "a.npz" else name](Path(name), train=made(30), test=made(15))
        assert next(each for each in own.FORMATS if each.find(Path(name))) is form
