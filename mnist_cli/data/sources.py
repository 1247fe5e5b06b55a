"""The published datasets: their files, hashes and mirrors."""

import os
from dataclasses import dataclass

from mnist_cli.errors import MnistCliError, UsageError
from mnist_cli.schema.datasets import DIGITS, DatasetName

MIRROR_VARIABLE = "MNIST_CLI_MIRROR"


@dataclass(frozen=True)
class KnownFile:
    """A published file: the MD5 of the .gz and, if known, of the extracted file."""

    name: str
    ndim: int
    md5: str
    extracted_md5: str | None = None


@dataclass(frozen=True)
class Source:
    """A dataset in torchvision's layout: `folder` has the name of torchvision's class.

    `files` are the training images and labels, then the test images and labels. `classes` are the
    names of the labels 0, 1 and so on.
    """

    folder: str
    files: tuple[KnownFile, ...]
    classes: tuple[str, ...] = DIGITS


def _make_source(folder: str, *md5s: tuple[str, ...], classes: tuple[str, ...] = DIGITS) -> Source:
    names = ("train-images", 3), ("train-labels", 1), ("t10k-images", 3), ("t10k-labels", 1)
    files = [
        KnownFile(f"{name}-idx{ndim}-ubyte", ndim, *hashes)
        for (name, ndim), hashes in zip(names, md5s, strict=True)
    ]
    return Source(folder, tuple(files), classes)


# Each .gz hash is the one that torchvision publishes, as are the names; a test compares them.
SOURCES = {
    DatasetName.MNIST: _make_source(
        "MNIST",
        ("f68b3c2dcbeaaa9fbdd348bbdeb94873", "6bbc9ace898e44ae57da46a324031adb"),
        ("d53e105ee54ea40749a09fcbcd1e9432", "a25bea736e30d166cdddb491f175f624"),
        ("9fb629c4189551a2d022fa330f9573f3", "2646ac647ad5339dbf082846283269ea"),
        ("ec29112dd5afa0611ce80d1b7f02629c", "27ae3e4e09519cfbb04c329615203637"),
    ),
    DatasetName.FASHION_MNIST: _make_source(
        "FashionMNIST",
        ("8d4fb7e6c68d591d4c3dfef9ec88bf0d",),
        ("25c81989df183df01b3e8a0aad5dffbe",),
        ("bef4ecab320f06d8554ea6380940ec79",),
        ("bb300cfdad3c16e7a12a480ee83cd310",),
        classes=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
    ),
    DatasetName.KMNIST: _make_source(
        "KMNIST",
        ("bdb82020997e1d708af4cf47b453dcf7",),
        ("e144d726b3acfaa3e44228e80efcd344",),
        ("5c965bf0a639b31b8f53240b1b52f4d7",),
        ("7320c461ea6c1c855c0b718fb2a4b134",),
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    ),
}


def mirrors(source: Source) -> list[str]:
    """The base URLs, each with a slash at the end: torchvision's, or that of MNIST_CLI_MIRROR.

    Raises UsageError if that variable is no URL, MnistCliError if torchvision cannot be imported.
    """
    override = os.environ.get(MIRROR_VARIABLE)
    if override:
        if not override.startswith(("http://", "https://")):
            raise UsageError(f"{MIRROR_VARIABLE} is not an http:// or https:// URL: {override}")
        return [override.rstrip("/") + "/"]
    try:
        import torchvision.datasets
    except (ImportError, RuntimeError) as error:  # RuntimeError: built for another torch
        raise MnistCliError(
            f"torchvision cannot be imported ({' '.join(str(error).split())}); reinstall the "
            "pair with: pip install --force-reinstall torch torchvision"
        ) from error
    return list(getattr(torchvision.datasets, source.folder).mirrors)
