"""Images for the terminal, from uint8 arrays of 28×28 pixels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from mnist_cli.formatting import format_percent
from mnist_cli.schema.comparison import DisputedImage
from mnist_cli.schema.datasets import DIGITS
from mnist_cli.schema.results import PictureResult, ShownImage
from mnist_cli.system.streams import visible

ASCII_RAMP = " .:-=+*#%@"  # from black to white
GAP = 2


def draw(console: Console, images: NDArray[np.uint8], captions: list[str]) -> Table:
    """Draw captioned images, uint8 N×28×28, in as many columns as fit the console.

    The images are half-block characters in grey if the console has colour and these characters,
    else ASCII. A line has two rows of pixels.
    """
    colour = console.is_terminal and console.color_system and not console.no_color
    blocks = colour and not console.options.ascii_only
    paint = _half_blocks if blocks else _ascii
    columns = max(1, (console.width + GAP) // (images.shape[2] + GAP))
    grid = Table.grid(padding=(0, GAP, 1, 0))
    cells = [
        Text.assemble(visible(caption), "\n", paint(image), no_wrap=True)
        for image, caption in zip(images, captions, strict=True)
    ]
    for start in range(0, len(cells), columns):
        grid.add_row(*cells[start : start + columns])
    return grid


def caption(sample: ShownImage, classes: Sequence[str] = DIGITS) -> str:
    """`7`, `7, predicted 7` or `7, predicted 1 (wrong)`."""
    if sample.prediction is None:
        return classes[sample.label]
    wrong = " (wrong)" if sample.prediction != sample.label else ""
    return f"{classes[sample.label]}, predicted {classes[sample.prediction]}{wrong}"


def picture_caption(picture: PictureResult, classes: Sequence[str] = DIGITS) -> str:
    """`7 (98.6 %) three.png`, at most as wide as an image if the name of the class is short."""
    answer = f"{classes[picture.prediction or 0]} ({format_percent(max(picture.probabilities))}) "
    name, room = visible(Path(picture.picture).name), 28 - len(answer)
    return answer + (name if len(name) <= room else f"{name[: max(0, room - 3)]}...")


def disputed_caption(image: DisputedImage, classes: Sequence[str] = DIGITS) -> str:
    """`7: 7, 1`: the label, and the prediction of each checkpoint."""
    answers = ", ".join(classes[answer] for answer in image.predictions)
    return f"{classes[image.label]}: {answers}"


def _half_blocks(image: NDArray[np.uint8]) -> Text:
    text = Text()
    for upper, lower in zip(image[::2], image[1::2], strict=True):
        for top, bottom in zip(upper, lower, strict=True):
            front, back = (Color.from_rgb(grey, grey, grey) for grey in (top, bottom))
            text.append("▀", Style(color=front, bgcolor=back))
        text.append("\n")
    return text


def _ascii(image: NDArray[np.uint8]) -> Text:
    rows = image.reshape(image.shape[0] // 2, 2, -1).mean(axis=1)
    levels = (rows / 256 * len(ASCII_RAMP)).astype(int)
    return Text("\n".join("".join(ASCII_RAMP[level] for level in row) for row in levels) + "\n")
