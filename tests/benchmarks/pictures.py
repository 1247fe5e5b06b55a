"""What does it cost to bring pictures of all kinds to MNIST's form?

python -m tests.benchmarks.pictures --data-dir FOLDER

The MNIST test images are saved in other sizes, colours, positions and formats, read as `predict`
reads them, and judged by one cnn that was trained with the fast recipe. The first row is that
network on the images as they are.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter
from rich.console import Console
from rich.table import Table
from torch import nn

from mnist_cli.data import datasets
from mnist_cli.data.dataset import LabelledImages
from mnist_cli.data.mnist_form import to_mnist_form
from mnist_cli.data.pictures import read_picture
from mnist_cli.networks import registry
from mnist_cli.schema.datasets import DatasetName
from mnist_cli.schema.options import DataOptions
from mnist_cli.schema.protocol import Precision, Recipe, Settings
from mnist_cli.training.evaluation import predict, score
from mnist_cli.training.examples import to_device
from mnist_cli.training.recipes import protocol_of
from tests.benchmarks.training import train_with_engine

Picture = Image.Image
Variant = Callable[[Picture, np.random.Generator], Picture]


def enlarged(picture: Picture, side: int) -> Picture:
    return picture.resize((side, side), Image.Resampling.BICUBIC)


def on_page(picture: Picture, chance: np.random.Generator, side: int, page: int) -> Picture:
    """A digit of some size anywhere on a larger black page."""
    whole = Image.new("L", (page, page))
    left, top = chance.integers(0, page - side + 1, 2)
    whole.paste(enlarged(picture, side), (int(left), int(top)))
    return whole


def inverted(picture: Picture) -> Picture:
    return picture.point(lambda value: 255 - value)


def cropped(picture: Picture, margin: float) -> Picture:
    """Cut around the digit, with a margin in shares of its longer side."""
    left, top, right, bottom = picture.getbbox() or (0, 0, *picture.size)
    space = round(margin * max(right - left, bottom - top))
    return picture.crop((left - space, top - space, right + space, bottom + space))


def coloured(picture: Picture, ink: tuple[int, int, int], paper: tuple[int, int, int]) -> Picture:
    mask = np.asarray(picture, float)[..., None] / 255
    pixels = mask * np.array(ink) + (1 - mask) * np.array(paper)
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def drawn_on_glass(picture: Picture, ink: int) -> Picture:
    """A digit whose paper is transparent."""
    return Image.merge("LA", (Image.new("L", picture.size, ink), picture))


def thinned(picture: Picture) -> Picture:
    """Strokes of about half their width; what is thinner than that breaks or stays a hair."""
    bold = picture.point(lambda value: 255 * (value > 250)).filter(ImageFilter.MinFilter(7))
    return ImageChops.lighter(picture.filter(ImageFilter.MinFilter(13)), bold)


def as_photo(picture: Picture, chance: np.random.Generator) -> Picture:
    """Grey ink on grey paper that is lit from one side, out of focus, with noise and specks."""
    page = np.asarray(on_page(picture, chance, 160, 240).filter(ImageFilter.GaussianBlur(2)), float)
    light = np.linspace(0.65, 1, 240)[:, None]
    paper = light * (200 - page / 255 * 120) + chance.normal(0, 4, page.shape)
    specks = chance.integers(2, 238, (12, 2))
    for y, x in specks:
        paper[y : y + 2, x : x + 2] = 60
    return Image.fromarray(paper.clip(0, 255).astype(np.uint8))


VARIANTS: dict[str, tuple[str, Variant]] = {
    "28x28, as they are": ("png", lambda p, c: p),
    "28x28, dark on light": ("png", lambda p, c: inverted(p)),
    "14x14": ("png", lambda p, c: enlarged(p, 14)),
    "56x56": ("png", lambda p, c: enlarged(p, 56)),
    "280x280, dark on light": ("png", lambda p, c: inverted(enlarged(p, 280))),
    "280x280, 1 bit": ("png", lambda p, c: enlarged(p, 280).point(lambda v: 255 * (v > 127), "1")),
    "280x280, 16 bits": (
        "png",
        lambda p, c: Image.fromarray(np.asarray(enlarged(p, 280), np.uint16) * 200),
    ),
    "anywhere on 64x64": ("png", lambda p, c: on_page(p, c, 28, 64)),
    "84x84 anywhere on 300x300, dark on light": (
        "png",
        lambda p, c: inverted(on_page(p, c, 84, 300)),
    ),
    "cut at the digit": ("png", lambda p, c: cropped(p, 0)),
    "112x112 cut at the digit, dark on light": (
        "png",
        lambda p, c: inverted(cropped(enlarged(p, 112), 0)),
    ),
    "margins of three digits": ("png", lambda p, c: cropped(enlarged(p, 112), 3)),
    "blue on yellow": (
        "png",
        lambda p, c: coloured(enlarged(p, 84), (20, 40, 160), (250, 240, 150)),
    ),
    "red on green, equally bright": (
        "png",
        lambda p, c: coloured(enlarged(p, 84), (200, 60, 60), (40, 128, 60)),
    ),
    "palette of 16 colours": (
        "png",
        lambda p, c: coloured(enlarged(p, 84), (120, 0, 80), (255, 250, 240)).quantize(16),
    ),
    "black on transparent": ("png", lambda p, c: drawn_on_glass(enlarged(p, 84), 0)),
    "white on transparent": ("png", lambda p, c: drawn_on_glass(enlarged(p, 84), 255)),
    "JPEG at 75, dark on light": ("jpg", lambda p, c: inverted(enlarged(p, 84))),
    "JPEG at 75, 28x28": ("jpg", lambda p, c: p),
    "280x280, drawn with a thin pen": ("png", lambda p, c: thinned(enlarged(p, 280))),
    "a photo: shadow, blur, noise, specks": ("jpg", as_photo),
}


def brought_to_form(
    images: NDArray[np.uint8], folder: Path, suffix: str, variant: Variant
) -> tuple[NDArray[np.uint8], int]:
    """Each image saved as a variant and read back; and how many had no digit, black instead."""
    results, lost = [], 0
    path = folder / f"digit.{suffix}"
    for index, image in enumerate(images):
        variant(Image.fromarray(image), np.random.default_rng(index)).save(path)
        try:
            results.append(to_mnist_form(read_picture(path)))
        except ValueError:
            results.append(np.zeros((28, 28), np.uint8))
            lost += 1
    return np.stack(results), lost


def main(
    data_dir: Annotated[Path, typer.Option(envvar="MNIST_CLI_DATA_DIR")],
    count: Annotated[int, typer.Option(min=1, help="Test images, evenly spread.")] = 10_000,
) -> None:
    """A row for each kind of picture."""
    dataset = datasets.load(DataOptions(DatasetName.MNIST, data_dir), lambda event: None)
    spec = registry.resolve("cnn")
    protocol = protocol_of(Settings(Recipe.FAST), spec)
    model, _ = train_with_engine(
        spec, protocol, to_device(dataset.train, torch.device("cpu")), 0, Precision.FP32
    )
    chosen = np.linspace(0, len(dataset.test.labels) - 1, count).round().astype(int)
    test = LabelledImages(dataset.test.images[chosen], dataset.test.labels[chosen])
    table = Table("pictures", "accuracy", "points lost", "other bytes", "no digit")
    whole = accuracy(model, test)
    table.add_row("the arrays themselves", f"{whole:.2f} %")
    with TemporaryDirectory() as folder:
        for name, (suffix, variant) in VARIANTS.items():
            images, lost = brought_to_form(test.images, Path(folder), suffix, variant)
            reached = accuracy(model, LabelledImages(images, test.labels))
            changed = int((images != test.images).any((1, 2)).sum())
            table.add_row(
                name, f"{reached:.2f} %", f"{whole - reached:.2f}", f"{changed:,}", f"{lost:,}"
            )
            sys.stderr.write(f"{name}: {reached:.2f} %\n")
    Console(width=110).print(table)


def accuracy(model: nn.Module, labelled: LabelledImages) -> float:
    """In percent."""
    examples = to_device(labelled, torch.device("cpu"))
    return 100 * score(predict(model, examples.images), examples.labels).test_accuracy


if __name__ == "__main__":
    typer.run(main)
