import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from mnist_cli.data import idx
from mnist_cli.data.idx import read_idx
from mnist_cli.errors import MnistCliError
from tests.conftest import made_images
from tests.idx_format import idx_bytes

IMAGES, LABELS = made_images(5)
GOOD = idx_bytes(IMAGES)


def write(name: str, content: bytes) -> Path:
    path = Path(name)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["images", "images.gz"])
def test_reads_plain_and_compressed(name: str) -> None:
    content = gzip.compress(GOOD) if name.endswith(".gz") else GOOD
    array = read_idx(write(name, content), 3, hashlib.md5(content).hexdigest())
    assert array.dtype == np.uint8
    assert np.array_equal(array, IMAGES)


def test_reads_labels() -> None:
    assert np.array_equal(read_idx(write("labels", idx_bytes(LABELS)), 1), LABELS)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (GOOD[:-1], "3,919 bytes, but its header says 3,920"),
        (GOOD + b"x", "3,921 bytes, but its header says 3,920"),
        (GOOD[:10], "inside its header"),
        (b"\x00\x00\x08\x01" + GOOD[4:], "magic"),
        (b"\x00\x00\x0d\x03" + GOOD[4:], "it starts with 00000d03, not the magic 00000803;"),
        (b"<html>not found</html>", "magic"),
    ],
)
def test_names_what_is_wrong_with_a_plain_file(content: bytes, reason: str) -> None:
    with pytest.raises(MnistCliError, match=rf"^images is damaged: .*{reason}"):
        read_idx(write("images", content), 3)


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(GOOD)[:-9],
        gzip.compress(GOOD)[:40],
        GOOD,
        gzip.compress(GOOD)[:-6] + b"123456",
    ],
    ids=["cut", "cut early", "not gzip", "wrong checksum"],
)
def test_names_a_damaged_archive(content: bytes) -> None:
    with pytest.raises(MnistCliError, match=r"^images\.gz is damaged: ") as caught:
        read_idx(write("images.gz", content), 3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("excess", [0, 1])
def test_an_archive_may_hold_no_more_than_the_limit(
    excess: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = gzip.compress(GOOD + bytes(10_000))
    monkeypatch.setattr(idx, "MOST_BYTES", len(GOOD) + 10_000 - excess)
    reason = "it has more than" if excess else "but its header says"
    with pytest.raises(MnistCliError, match=reason) as caught:
        read_idx(write("images.gz", content), 3)
    assert "Errno" not in str(caught.value)


def test_a_flipped_bit_is_found_by_the_hash() -> None:
    flipped = bytearray(GOOD)
    flipped[100] ^= 1
    path = write("images", bytes(flipped))
    read_idx(path, 3)  # well formed, so only the hash can tell
    with pytest.raises(MnistCliError, match="MD5 is not the published"):
        read_idx(path, 3, hashlib.md5(GOOD).hexdigest())


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MnistCliError, match="cannot read"):
        read_idx(tmp_path, 3)
