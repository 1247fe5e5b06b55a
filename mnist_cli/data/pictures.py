"""Reading the user's pictures, which may be damaged or made to do harm.

Pillow decodes them. Importing torchvision's transforms would take as long as `import torch`.
"""

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

# The formats that are tried, none of which starts a program, and how their files end in a folder.
FORMATS = {
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "PPM": (".pbm", ".pgm", ".ppm"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
MOST_PIXELS = 1000  # along a side: a larger scan is made smaller, and its digit has enough left


def files_of(path: Path) -> list[Path]:
    """The pictures in a folder, sorted by name; a `path` that is no folder stands for itself.

    Raises:
        MnistCliError: the folder cannot be read or has no pictures.
    """
    suffixes = tuple(suffix for those in FORMATS.values() for suffix in those)
    with explaining(f"read {path}", "choose another folder"):
        place = absolute(path)
        if path == STDIN or not place.is_dir():
            return [path]
        files = sorted(
            path / file.name
            for file in place.iterdir()
            if file.name.lower().endswith(suffixes)
            and not file.name.startswith(".")
            and not file.is_dir()
        )
    if not files:
        raise MnistCliError(f"{path} has no pictures in it: no {', '.join(suffixes)}")
    return files


def read_picture(path: Path) -> NDArray[np.float32]:
    """Decode a picture, or standard input for `-`, upright and at most 1000 pixels long.

    Returns:
        Height×width×channels in [0, 1]: one channel of grey, three of colour, or four with the
        opacity, by which the colours are multiplied then.

    Raises:
        MnistCliError: it cannot be read, is no picture, or is damaged or far too large.
    """
    name = "standard input" if path == STDIN else str(path)
    with explaining(f"read {name}", "choose another picture"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(BytesIO(_content(path)), formats=tuple(FORMATS)) as picture:
                return _pixels(picture)
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


def _content(path: Path) -> bytes:
    if path == STDIN:
        return read_all(sys.stdin.buffer) if sys.stdin else b""  # None: closed by the caller
    with open_regular(path) as file:
        return read_all(file)


def _pixels(picture: Image.Image) -> NDArray[np.float32]:
    ImageOps.exif_transpose(picture, in_place=True)
    deep = picture.mode.startswith(("I", "F"))  # 16 bits or more, which convert() would cut to 8
    if deep:
        values = np.nan_to_num(np.asarray(picture, np.float32)).clip(0)  # below black is black
        most = 65535 if picture.mode.startswith("I;16") else values.max()
        upright = Image.fromarray(values / max(most, 1))
    elif picture.has_transparency_data:
        upright = picture.convert("RGBA").convert("RGBa")
    else:
        upright = picture.convert("RGB")
    upright.thumbnail((MOST_PIXELS, MOST_PIXELS))
    pixels = np.asarray(upright, np.float32).reshape(upright.height, upright.width, -1)
    return pixels if deep else pixels / np.float32(255)
