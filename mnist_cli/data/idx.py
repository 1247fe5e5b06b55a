"""Reads IDX files, the format of MNIST, without trusting them.

The format: two zero bytes, 0x08 for unsigned bytes, the number of dimensions, each dimension
as a big-endian 32-bit integer, then the bytes (http://yann.lecun.com/exdb/mnist/).
"""

import hashlib
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnist_cli.errors import MnistCliError
from mnist_cli.system.files import MOST_BYTES, check_size, read

ADVICE = "delete it and run again, or use the dataset mnist5k"


def read_idx(
    path: Path, ndim: int, md5: str | None = None, advice: str = ADVICE
) -> NDArray[np.uint8]:
    """Read a file as a uint8 array with `ndim` dimensions: 3 for images, 1 for labels.

    The file is gzipped if its name ends in .gz. Raises MnistCliError if it cannot be read, is
    damaged, or has another hash than `md5`.
    """
    content = read(path, "use another data folder, or the dataset mnist5k")
    try:
        if not content:
            raise ValueError("it is empty")
        if md5 is not None and hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
            raise ValueError(f"its MD5 is not the published {md5}")
        if path.suffix == ".gz":
            content = _unpack(content)
        return _parse(content, ndim)
    except (ValueError, EOFError, OSError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise damage_error(path, str(reason), advice) from error


def _unpack(content: bytes) -> bytes:
    """Unpack gzipped bytes in one call, which a thread that imports torch delays once.

    Each call needs Python's global lock, for which it waits up to 5 ms, and `gzip.open` makes one
    for every 8 KiB.
    """
    unpacker = zlib.decompressobj(wbits=31)
    unpacked = unpacker.decompress(content, MOST_BYTES + 1)
    check_size(len(unpacked), MOST_BYTES)
    if not unpacker.eof:
        raise EOFError("it ends before its last byte")
    return unpacked


def damage_error(path: Path, reason: str, advice: str = ADVICE) -> MnistCliError:
    """Make an error that names the file, what is wrong with it, and what to do."""
    return MnistCliError(f"{path} is damaged: {reason}; {advice}")


def _parse(content: bytes, ndim: int) -> NDArray[np.uint8]:
    magic = struct.pack(">HBB", 0, 0x08, ndim)
    if content[:4] != magic:
        raise ValueError(f"it starts with {content[:4].hex()}, not the magic {magic.hex()}")
    header = 4 + 4 * ndim
    if len(content) < header:
        raise ValueError(f"it ends after {len(content)} bytes, inside its header")
    shape = struct.unpack(f">{ndim}I", content[4:header])
    if len(content) - header != math.prod(shape):
        raise ValueError(
            f"it holds {len(content) - header:,} bytes, but its header says {math.prod(shape):,}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
