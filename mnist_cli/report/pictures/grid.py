"""The article's grid of captioned images, as a picture file."""

import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mnist_cli.report.pictures.files import save_figure


def save_grid(path: Path, images: NDArray[np.uint8], captions: list[str]) -> None:
    """Write N×28×28 images, as square a grid as N allows, in the format of the suffix.

    Raises:
        MnistCliError: the file cannot be written.
    """
    columns = max(1, math.ceil(math.sqrt(len(images))))
    rows = max(1, math.ceil(len(images) / columns))
    figure = Figure(figsize=(2 * columns, 2.2 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, image, caption in zip(axes, images, captions, strict=False):
        axis.imshow(image, cmap="gray", vmin=0, vmax=255)
        axis.set_title(caption)
    save_figure(figure, path)
