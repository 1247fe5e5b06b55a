"""Own images that cannot be used are one line that names the file, and nothing is kept."""

import io
import os
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mnist_cli.data import datasets, own
from mnist_cli.data.dataset import LabelledImages
from mnist_cli.errors import ExitCode, MnistCliError
from mnist_cli.schema.options import DataOptions
from tests.conftest import RunCli
from tests.own_images import made, write_folder, write_idx, write_npz
from tests.test_fuzz import COUNT, mutated

TRAIN, TEST = made(12), made(6, seed=1)


def refused(path: Path) -> str:
    with pytest.raises(MnistCliError) as caught:
        datasets.load_own(DataOptions(path, Path("cache")), lambda event: None)
    assert not Path("cache").exists()
    message = str(caught.value)
    assert "\n" not in message and str(path).split("/")[0] in message
    return message


def huge_png(path: Path) -> None:
    """A picture of 10,000×10,000 black pixels in 12 kB."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", 10_000, 10_000, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1251 * 10_000), 9)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


def keep_one_class(folder: Path) -> None:
    for name in "12":
        for file in (folder / "train" / name).iterdir():
            file.unlink()
        (folder / "train" / name).rmdir()


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "an empty class": (
        lambda ours: (ours / "train/3").mkdir(),
        "ours/train/3 has no pictures (.bmp,",
    ),
    "one class only": (keep_one_class, "ours has 1 classes, 0; give 2 to 1,000"),
    "a class that train lacks": (
        lambda ours: write_folder(ours, test=(TEST[0], TEST[1] + 1)),
        "has the class 3 in test but not in train",
    ),
    "no picture": (
        lambda ours: (ours / "train/0/0.png").write_bytes(b"abc"),
        "ours/train/0/0.png is not a picture",
    ),
    "half a picture": (
        lambda ours: os.truncate(ours / "train/0/0.png", 300),
        "ours/train/0/0.png is damaged",
    ),
    "100 megapixels": (
        lambda ours: huge_png(ours / "train/0/0.png"),
        "ours/train/0/0.png has more than 89 million pixels",
    ),
    "a pipe": (
        lambda ours: os.mkfifo(ours / "train/0/a.png"),
        "ours/train/0/a.png is not a regular file",
    ),
    "a circle": (
        lambda ours: (ours / "train/0/up").symlink_to(ours.absolute() / "train/0"),
        "ours/train/0/up is a link to a folder above it",
    ),
    "a link to nothing": (
        lambda ours: (ours / "train/0/a.png").symlink_to("nowhere.png"),
        "cannot read",
    ),
    "a name that is not UTF-8": (
        lambda ours: (ours / "train/0").rename(os.fsdecode(b"ours/train/\xff")),
        "use UTF-8",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_folder_that_cannot_be_used(kind: str) -> None:
    write_folder(Path("ours"), train=TRAIN, test=(TEST[0][:3], TEST[1][:3]))
    damage, said = BROKEN[kind]
    damage(Path("ours"))
    assert said in refused(Path("ours"))


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root reads everything")
def test_a_folder_that_may_not_be_read() -> None:
    write_folder(Path("ours"), train=TRAIN)
    Path("ours/train/0").chmod(0)
    assert "Permission denied" in refused(Path("ours"))
    Path("ours/train/0").chmod(0o700)


def test_a_folder_without_classes_and_a_file_of_another_kind() -> None:
    Path("ours").mkdir()
    Image.fromarray(TRAIN[0][0]).save("ours/1.png")
    assert "ours has no folders of classes, such as" in refused(Path("ours"))
    Path("a.txt").write_text("text")
    assert "a.txt is neither a folder nor an .npz file" in refused(Path("a.txt"))


IMAGES, LABELS = TRAIN
OBJECTS = np.array([{}] * 12, object)
ARRAYS: dict[str, tuple[dict[str, Any], str]] = {
    "no images": ({"x_test": IMAGES, "y_test": LABELS}, "has x_test, y_test; it needs"),
    "no labels": ({"x_train": IMAGES}, "it has no y_train"),
    "objects": ({"x_train": IMAGES, "y_train": OBJECTS}, "y_train holds pickled objects"),
    "fewer labels": ({"x_train": IMAGES, "y_train": LABELS[1:]}, "y_train is 11 of int64, not one"),
    "one-hot": ({"x_train": IMAGES, "y_train": np.eye(12)}, "y_train is 12x12 of float64"),
    "flat": ({"x_train": IMAGES.reshape(12, 784), "y_train": LABELS}, "x_train is 12x784 of"),
    "channels first": (
        {"x_train": IMAGES[:, None], "y_train": LABELS},
        "x_train is 12x1x28x28 of uint8, not NxHxW or NxHxWx3",
    ),
    "wide": ({"x_train": np.zeros((2, 2, 1001)), "y_train": LABELS[:2]}, "sides up to 1000"),
    "none": ({"x_train": IMAGES[:0], "y_train": LABELS[:0]}, "0 images for train"),
    "text": ({"x_train": IMAGES.astype("U3"), "y_train": LABELS}, "x_train is 12x28x28 of <U3"),
    "negative": ({"x_train": IMAGES - 1.0, "y_train": LABELS}, "negative or infinite values"),
    "NaN": ({"x_train": IMAGES * np.nan, "y_train": LABELS}, "negative or infinite values"),
    "Fortran": (
        {"x_train": np.asfortranarray(IMAGES), "y_train": LABELS},
        "x_train is in Fortran order",
    ),
    "one class": ({"x_train": IMAGES, "y_train": LABELS * 0}, "has 1 classes, 0;"),
    "long names": (
        {"x_train": IMAGES, "y_train": np.array(["x" * 101] * 6 + ["y"] * 6)},
        "names of more than 100 characters",
    ),
    "an empty name": (
        {"x_train": IMAGES, "y_train": np.array(["", "a"] * 6)},
        "has a class with the name ''",
    ),
    "another class": (
        {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS + 1},
        "has the class 3 in test but not in train",
    ),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_an_npz_file_that_cannot_be_used(kind: str) -> None:
    arrays, said = ARRAYS[kind]
    np.savez(Path("a.npz"), **arrays)
    assert said in refused(Path("a.npz"))


def test_regression_targets_are_too_many_classes() -> None:
    images = np.zeros((1001, 2, 2), np.uint8)
    np.savez(Path("a.npz"), x_train=images, y_train=np.arange(1001) / 7)
    assert "has 1,001 classes; give 2 to 1,000" in refused(Path("a.npz"))


def write_member(shape: str, size: int, version: bytes = b"\x01\x00") -> None:
    """An .npz file whose x_train has a header with `shape`, and `size` zero bytes."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (117 - len(header)) + "\n"
    file = io.BytesIO()
    np.save(file, LABELS)
    with zipfile.ZipFile("a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        start = b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header.encode()
        archive.writestr("x_train.npy", start + bytes(size))
        archive.writestr("y_train.npy", file.getvalue())


@pytest.mark.parametrize(
    ("shape", "size", "said"),
    [
        ("(12, 28, 28)", 12 * 784 - 1, "another size than its header says"),
        ("(12, 28, 28)", 12 * 784 + 1, "another size than its header says"),
        ("(999999999999, 28, 28)", 9, "another size than its header says"),
        ("(-1, 28, 28)", 9, "a.npz"),
        ("(12000, 28, 28)", 12000 * 784, "y_train is 12 of int64, not one label for each"),
    ],
)
def test_a_header_that_promises_more_than_there_is(shape: str, size: int, said: str) -> None:
    write_member(shape, size)
    assert said in refused(Path("a.npz"))


def test_a_header_whose_length_may_be_anything_is_not_read() -> None:
    write_member("(12, 28, 28)", 12 * 784, version=b"\x02\x00")
    assert "x_train has the unknown version (2, 0); save it again" in refused(Path("a.npz"))


def test_a_bomb_is_not_unpacked() -> None:
    images = 400_000
    with zipfile.ZipFile("a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for key, tail in (("x_train", (784, "(400000, 28, 28)")), ("y_train", (1, "(400000,)"))):
            header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {tail[1]}, }}"
            header += " " * (117 - len(header)) + "\n"
            with archive.open(f"{key}.npy", "w") as file:
                file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
                for _ in range(tail[0]):
                    file.write(bytes(images))
    assert Path("a.npz").stat().st_size < 1_000_000
    assert "has 400,000 images for train; give 1 to 350,000" in refused(Path("a.npz"))


def test_a_truncated_file_and_a_pipe() -> None:
    write_npz(Path("a.npz"), train=TRAIN, test=TEST)
    content = Path("a.npz").read_bytes()
    Path("a.npz").write_bytes(content[: len(content) // 2])
    assert "a.npz is damaged: File is not a zip file" in refused(Path("a.npz"))
    Path("a.npz").unlink()
    os.mkfifo("a.npz")
    assert "it is not a regular file" in refused(Path("a.npz"))


def test_idx_files_that_do_not_fit() -> None:
    write_idx(Path("idx"), train=TRAIN, test=TEST)
    Path("idx/t10k-labels-idx1-ubyte").rename("idx/other")
    assert "idx has no t10k-labels-idx1-ubyte; add the file" in refused(Path("idx"))
    write_idx(Path("idx"), train=TRAIN, test=(TEST[0], TEST[1][1:]))
    assert "5 labels for 6 images" in refused(Path("idx"))
    os.truncate("idx/train-images-idx3-ubyte", 100)
    message = refused(Path("idx"))
    assert "train-images-idx3-ubyte is damaged" in message and "mnist5k" not in message


def test_errors_come_before_training_and_are_one_line(run_cli: RunCli) -> None:
    write_folder(Path("ours"), train=TRAIN, test=TEST)
    Path("ours/test/0/0.png").write_bytes(b"")
    for command in ("train mlp", "compare mlp cnn", "show-samples"):
        outcome = run_cli(*command.split(), "--dataset", "ours", "--quiet")
        assert (outcome.code, outcome.out) == (ExitCode.FAILURE, "")
        assert outcome.err.count("\n") == 1 and "ours/test/0/0.png" in outcome.err
    assert not Path("mlp.safetensors").exists()


def read_own(path: Path) -> Any:
    """The dataset, or the message of the error."""
    try:
        return datasets.load_own(DataOptions(path, Path("cache")), lambda event: None)
    except MnistCliError as error:
        return str(error)


def test_damaged_npz_files_are_refused_or_have_the_same_images() -> None:
    write_npz(Path("whole.npz"), "{0}_images {0}_labels", train=TRAIN, test=TEST)
    whole = Path("whole.npz").read_bytes()
    whole_images = {image.tobytes() for image in TRAIN[0]}
    read = 0
    for seed in range(COUNT):
        Path("a.npz").write_bytes(mutated(whole, seed))
        found = read_own(Path("a.npz"))
        if isinstance(found, str):
            assert "a.npz" in found and "\n" not in found
        else:  # damage to a name may hide the test images
            assert {image.tobytes() for image in found.train.images} <= whole_images
            read += 1
    assert read < COUNT


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"])
def test_damaged_pictures_are_refused_or_read(kind: str) -> None:
    file = io.BytesIO()
    Image.fromarray(np.stack([TRAIN[0][0]] * 3, -1)).save(file, kind)
    write_folder(Path("ours"), train=(TRAIN[0][:6], TRAIN[1][:6]))
    picture = Path("ours/train/0", f"a.{kind.lower()}")
    for seed in range(max(1, COUNT // 6)):
        picture.write_bytes(mutated(file.getvalue(), seed))
        found = read_own(Path("ours"))
        assert not isinstance(found, str) or (str(picture) in found and "\n" not in found)


def test_a_damaged_cache_is_none_or_says_the_same() -> None:
    images = own.OwnImages(("0", "1", "2"), {"train": LabelledImages(*TRAIN)}, "done")
    place = Path("cache/own.npz")
    own.keep(place, "key", images, lambda event: None)
    whole = place.read_bytes()
    for seed in range(COUNT):
        place.write_bytes(mutated(whole, random.Random(seed).randrange(10**6)))
        found = own.load_kept(place, "key")
        assert found is None or np.array_equal(found.parts["train"].images, TRAIN[0])
