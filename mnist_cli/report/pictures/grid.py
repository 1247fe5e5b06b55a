"""The article's grid of captioned images, as a picture file."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mnist_cli.report.pictures.style import save_figure

CELL = 2  # inches
MOST_INCHES = 40  # along a side: many images have smaller cells
CAPTIONED = 400  # more captions would be too small to read
MARGIN, ABOVE = 3, 8  # pixels of 28 beside an image, and above it for the caption


def save_grid(path: Path, images: NDArray[np.uint8], captions: list[str]) -> None:
    """Write N×28×28 images as a square grid, in the format of the suffix.

    More than 400 images have no captions. Raises MnistCliError if the file cannot be written.
    """
    columns = max(1, math.ceil(math.sqrt(len(images))))
    padded = np.pad(images, ((0, 0), (ABOVE, 1), (MARGIN, MARGIN)), constant_values=255)
    height, width = padded.shape[1:]
    grid = tile(padded, columns, 255)
    rows = len(grid) // height
    inches = min(CELL, MOST_INCHES / columns)
    figure = Figure(figsize=(inches * columns, inches * rows * height / width))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.axis("off")
    axis.imshow(grid, cmap="gray", vmin=0, vmax=255)
    for index, caption in enumerate(captions if len(images) <= CAPTIONED else ()):
        row, column = divmod(index, columns)
        x, y = (column + 0.5) * width, row * height + ABOVE - 1.5
        axis.text(x, y, caption, ha="center", va="bottom", parse_math=False)
    save_figure(figure, path)


def tile(images: NDArray[Any], columns: int, fill: float) -> NDArray[Any]:
    """Images N×H×W side by side in lines, as one; `fill` stands where the last line has none."""
    count, height, width = images.shape
    lines = max(1, math.ceil(count / columns))
    missing = lines * columns - count
    cells = np.pad(images, ((0, missing), (0, 0), (0, 0)), constant_values=fill)
    rows = cells.reshape(lines, columns, height, width).swapaxes(1, 2)
    return rows.reshape(lines * height, columns * width)
