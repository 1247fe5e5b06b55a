"""Reading pictures that people have, and what is none."""

import io
import os
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mnist_cli.data.pictures import list_pictures, read_picture
from mnist_cli.errors import MnistCliError
from mnist_cli.schema.options import STDIN

GREY = (np.arange(60 * 40).reshape(60, 40) % 251).astype(np.uint8)


def saved(name: str, picture: Image.Image, **options: Any) -> Path:
    picture.save(name, **options)
    return Path(name)


def test_grey_and_colour_are_fractions() -> None:
    pixels = read_picture(saved("a.png", Image.fromarray(GREY)))
    assert pixels.dtype == np.float32
    assert pixels.shape == (60, 40, 3)
    assert np.array_equal(np.rint(pixels[..., 0] * 255), GREY)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_every_mode_is_read(mode: str) -> None:
    tiff = mode == "CMYK"
    pixels = read_picture(saved("a.tif" if tiff else "a.png", Image.fromarray(GREY).convert(mode)))
    assert pixels.shape[:2] == (60, 40)
    assert 0 <= pixels.min() < 0.1 < 0.9 < pixels.max() <= 1


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_not_cut(suffix: str) -> None:
    path = saved(f"a.{suffix}", Image.fromarray(GREY.astype(np.uint16) * 257))
    assert np.allclose(read_picture(path)[..., 0] * 255, GREY, atol=0.01)


def test_floats_that_are_not_numbers_are_black() -> None:
    values = np.full((30, 30), np.nan, np.float32)
    values[5:9] = 3.5
    pixels = read_picture(saved("a.tif", Image.fromarray(values)))
    assert (pixels.min(), pixels.max()) == (0, 1)


def test_what_is_transparent_has_no_colour() -> None:
    picture = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert read_picture(saved("a.png", picture)).max() == 0


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_pictures_are_upright(suffix: str, kind: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by the camera
    scale = np.iinfo(kind).max // 255
    picture = Image.fromarray(GREY.astype(kind) * scale)
    pixels = read_picture(saved(f"a.{suffix}", picture, exif=exif))
    assert pixels.shape[:2] == (40, 60)
    assert np.allclose(pixels[..., 0] * 255, np.rot90(GREY, -1), atol=0.01)


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_what_is_below_black_is_black(kind: Any) -> None:
    values = np.full((28, 28), -1000, kind)
    values[5:9] = 500
    pixels = read_picture(saved("a.tif", Image.fromarray(values)))
    assert (pixels.min(), pixels.max()) == (0, 1)
    dark = read_picture(saved("a.tif", Image.fromarray(np.full((28, 28), -5, kind))))
    assert (dark.min(), dark.max()) == (0, 0)


def test_large_scans_become_smaller() -> None:
    assert read_picture(saved("a.png", Image.new("L", (2500, 1250)))).shape[:2] == (500, 1000)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved("a.png", Image.fromarray(GREY)).read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    assert read_picture(STDIN).shape == (60, 40, 3)
    with pytest.raises(MnistCliError, match=r"^standard input is not a picture"):
        read_picture(STDIN)  # it is at its end


def bomb() -> bytes:
    """A PNG whose header says 20,000×20,000 pixels."""
    content = bytearray(saved("small.png", Image.fromarray(GREY)).read_bytes())
    content[16:24] = (20_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


def test_what_cannot_be_read_is_one_line() -> None:
    png = saved("whole.png", Image.fromarray(GREY)).read_bytes()
    jpeg = saved("whole.jpg", Image.fromarray(GREY)).read_bytes()
    broken = bytearray(png)
    broken[60:70] = b"\0" * 10
    for content, reason in (
        (b"", "not a picture"),
        (b"text", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
        (png[: len(png) // 2], "damaged"),
        (jpeg[: len(jpeg) // 2], "damaged"),
        (bytes(broken), "damaged"),
        (bomb(), "more than 89 million pixels"),
    ):
        Path("x.png").write_bytes(content)
        with pytest.raises(MnistCliError, match=reason) as caught:
            read_picture(Path("x.png"))
        assert str(caught.value).startswith("x.png ")
        assert "\n" not in str(caught.value)
    with pytest.raises(MnistCliError, match=r"cannot read no\.png: No such file"):
        read_picture(Path("no.png"))


def test_folders_have_their_pictures_sorted() -> None:
    folder = Path("scans")
    (folder / "inner.png").mkdir(parents=True)
    for name in ("b.PNG", "a.jpeg", ".hidden.png", "notes.txt"):
        (folder / name).touch()
    assert list_pictures(folder) == [folder / "a.jpeg", folder / "b.PNG"]
    assert list_pictures(Path("notes.txt")) == [Path("notes.txt")]
    Path("none").mkdir()
    with pytest.raises(MnistCliError, match="none has no pictures"):
        list_pictures(Path("none"))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read all")
def test_without_permission() -> None:
    path = saved("a.png", Image.fromarray(GREY))
    path.chmod(0)
    with pytest.raises(MnistCliError, match=r"cannot read a\.png: Permission denied"):
        read_picture(path)
