"""Reads the user's pictures, which may be damaged or malicious."""

import struct
import sys
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mnist_cli.errors import MnistCliError
from mnist_cli.schema.options import STDIN
from mnist_cli.system.files import absolute, explaining, open_regular, read_all

# Formats whose decoders start no other program, and the suffixes of their files in a folder.
FORMATS = {
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "PPM": (".pbm", ".pgm", ".ppm"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
MOST_PIXELS = 1000  # along a side; larger scans are reduced to this
SUFFIXES = tuple(suffix for group in FORMATS.values() for suffix in group)

Image28 = NDArray[np.uint8]


def list_pictures(path: Path) -> list[Path]:
    """The pictures in the folder `path`, sorted by name, or `path` itself if it is no folder.

    Raises MnistCliError if the folder cannot be read or has no pictures.
    """
    with explaining(f"read {path}", "choose another folder"):
        folder = absolute(path)
        if path == STDIN or not folder.is_dir():
            return [path]
        files = sorted(
            path / file.name
            for file in folder.iterdir()
            if file.name.lower().endswith(SUFFIXES)
            and not file.name.startswith(".")
            and not file.is_dir()
        )
    if not files:
        raise MnistCliError(f"{path} has no pictures: no {', '.join(SUFFIXES)}")
    return files


def read_picture(path: Path) -> NDArray[np.float32]:
    """Decode a picture as `open_picture`, and reduce it to 1000 pixels.

    Returns height×width×channels in [0, 1]: grey, red-green-blue, or red-green-blue multiplied by
    the opacity, and the opacity.
    """
    picture = open_picture(path)
    if picture.mode != "F":
        picture = picture.convert("RGBa" if picture.mode == "RGBA" else "RGB")
    picture.thumbnail((MOST_PIXELS, MOST_PIXELS))
    pixels = np.asarray(picture, np.float32).reshape(picture.height, picture.width, -1)
    return pixels if picture.mode == "F" else pixels / np.float32(255)


def open_picture(path: Path) -> Image.Image:
    """Decode the picture in a file, or standard input for `-`, and turn it upright.

    Its mode is L, RGB, RGBA, or F with values in [0, 1] if it has 16 bits or more. Raises
    MnistCliError if the file cannot be read, is no picture, is damaged or has too many pixels.
    """
    name = "standard input" if path == STDIN else str(path)
    with explaining(f"read {name}", "choose another picture"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(BytesIO(_read_bytes(path)), formats=tuple(FORMATS)) as picture:
                return _convert(picture)
        except UnidentifiedImageError as error:
            raise MnistCliError(
                f"{name} is not a picture that can be read; save it as PNG or JPEG"
            ) from error
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            most = (Image.MAX_IMAGE_PIXELS or 0) // 10**6
            raise MnistCliError(
                f"{name} has more than {most} million pixels; save it smaller"
            ) from error
        except (SyntaxError, ValueError, EOFError, struct.error, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise MnistCliError(f"{name} is damaged ({error}); save it again") from error


def _read_bytes(path: Path) -> bytes:
    if path == STDIN:
        return read_all(sys.stdin.buffer) if sys.stdin else b""  # None: closed by the caller
    with open_regular(path) as file:
        return read_all(file)


def _convert(picture: Image.Image) -> Image.Image:
    picture.load()
    if picture.info:  # it may say how the camera was held
        ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode.startswith(("I", "F")):  # 16 bits or more, which convert() would cut to 8
        values = np.nan_to_num(np.asarray(picture, np.float32)).clip(0)  # negative values are black
        most = 65535 if picture.mode.startswith("I;16") else values.max()
        return Image.fromarray(values / max(most, 1))
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    return picture.convert("L" if picture.mode in {"1", "L"} else "RGB")
