"""What a network makes of an image, on one page in a picture file."""

import math
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from mnist_cli.networks.tracing import Features, Floats
from mnist_cli.report import features as texts
from mnist_cli.report.pictures.grid import tile
from mnist_cli.report.pictures.style import COLOURS, as_label, plain, save_figure
from mnist_cli.schema.results import FeaturesResult
from mnist_cli.system.streams import visible

WIDTH, MARGIN, HEAD = 10.0, 0.35, 0.95  # inches
ROW = 2.2  # height of the image, the occlusion map and the probabilities
SPACE = 0.42  # between parts, with their titles
COLUMNS, LARGEST = 16, 1.0  # images in a line, and the inches of one
MOST_IMAGES, MOST_UNITS = 64, 256  # of a stage
FINE = 28  # an image with fewer pixels is enlarged, so that the gaps are of equal width
GAPS = 14  # the gap between images is that part of their width
MOST_CLASSES = 10  # of which the probability is shown
BARS, BELOW, BAR = 0.8, 0.2, 0.28  # height of a bar chart, its tick labels, width of a bar

# Negative is blue, zero white and positive red, as the colour-blind can tell.
SIGNED = LinearSegmentedColormap.from_list(
    "signed", (COLOURS[0], "white", COLOURS[1])
).with_extremes(bad="white")
GREY = colormaps["gray"].with_extremes(bad="white")


def save_features(path: Path, result: FeaturesResult, features: Features) -> None:
    """Draw the image, where the network looks, weights and outputs, from top to bottom.

    Raises MnistCliError if the file cannot be written.
    """
    parts = []
    if features.weights is not None:
        title = texts.weights_title(result, MOST_IMAGES)
        parts.append((title, features.weights[:MOST_IMAGES]))
    for stage, (_, values) in zip(result.stages, features.outputs, strict=True):
        most = MOST_UNITS if values.ndim == 1 else MOST_IMAGES
        parts.append((texts.stage_title(stage, values.shape, most), values[:most]))
    heights = [
        BARS + BELOW if values.ndim == 1 else _mosaic_inches(values)[1] for _, values in parts
    ]
    height = HEAD + ROW + BELOW + sum(heights) + SPACE * (len(parts) + 1)
    figure = Figure(figsize=(WIDTH, height))
    figure.text(
        MARGIN / WIDTH,
        1 - 0.3 / height,
        visible(texts.headline(result)),
        fontsize=13,
        parse_math=False,
    )
    top = height - HEAD
    _draw_top(figure, top, result, features)
    top -= ROW + BELOW
    for (title, values), inches in zip(parts, heights, strict=True):
        top -= SPACE
        figure.text(MARGIN / WIDTH, (top + 0.08) / height, title, fontsize=10, parse_math=False)
        if values.ndim == 1:
            width = min(BAR * len(values), WIDTH - 2 * MARGIN - 0.4)
            _draw_units(_add_axes(figure, MARGIN + 0.35, top, width, BARS), values)
        else:
            _draw_images(figure, top, values)
        top -= inches
    titles = "; ".join(title for title, _ in parts)
    save_figure(figure, path, f"{texts.headline(result)}. {titles}.")


def _add_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place in inches from the bottom left."""
    total = figure.get_figheight()
    return figure.add_axes((left / WIDTH, (top - height) / total, width / WIDTH, height / total))


def _draw_top(figure: Figure, top: float, result: FeaturesResult, features: Features) -> None:
    image = _add_axes(figure, MARGIN + 0.2, top, ROW, ROW)
    image.imshow(features.image, cmap="gray", vmin=0, vmax=255)
    image.set_title("The image", fontsize=10, loc="left")
    occlusion = _add_axes(figure, 3.3, top, ROW, ROW)
    points = features.occlusion * 100
    most = max(float(np.abs(points).max()), 0.1)
    shown = occlusion.imshow(points, cmap=SIGNED, vmin=-most, vmax=most)
    if features.image.max() > features.image.min():
        occlusion.contour(features.image, levels=[127], colors="black", linewidths=0.7)
    occlusion.set_title(texts.occlusion_title(result).replace(": ", ":\n"), fontsize=10, loc="left")
    _add_scale(figure, shown, 3.3 + ROW + 0.08, top, ROW)
    for axes in (image, occlusion):
        axes.set_xticks([0, 9, 18, 27])
        axes.set_yticks([0, 9, 18, 27])
        axes.tick_params(labelsize=8)
    _draw_probabilities(_add_axes(figure, 7.0, top, WIDTH - 7.0 - MARGIN, ROW), result)


def _draw_probabilities(axes: Axes, result: FeaturesResult) -> None:
    """A bar for each class, or for the likeliest of many."""
    percent = np.array(result.probabilities) * 100
    shown = np.sort(np.argsort(-percent, kind="stable")[:MOST_CLASSES])
    colours = [COLOURS[1] if each == result.prediction else "0.6" for each in shown]
    names = [as_label(result.classes[each]) for each in shown]
    places = range(len(shown))  # two names may be drawn alike
    axes.barh(places, percent[shown], color=colours)
    axes.set(xlim=(0, 100), ylim=(len(shown) - 0.4, -0.6), yticks=places, yticklabels=names)
    which = "each class" if len(shown) == len(percent) else f"the {len(shown)} likeliest classes"
    axes.set_title(f"Probability of {which} (%)", fontsize=10, loc="left")
    axes.tick_params(labelsize=8)
    plain(axes)


def _draw_units(axes: Axes, values: Floats) -> None:
    """A bar for each unit."""
    colours = [COLOURS[1] if value >= 0 else COLOURS[0] for value in values]
    axes.bar(range(len(values)), values, color=colours)
    axes.set_xlim(-0.6, len(values) - 0.4)
    axes.axhline(0, color="0.5", linewidth=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(16, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.tick_params(labelsize=8)
    plain(axes)


def _draw_images(figure: Figure, top: float, images: Floats) -> None:
    """Images of one colour scale, in lines, and the scale beside them."""
    width, height = _mosaic_inches(images)
    axes = _add_axes(figure, MARGIN, top, width, height)
    axes.axis("off")
    cmap, low, high = _colours(images)
    shown = axes.imshow(_mosaic(images), cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
    _add_scale(figure, shown, MARGIN + width + 0.1, top, min(height, 1.0))


def _add_scale(figure: Figure, shown: AxesImage, left: float, top: float, height: float) -> None:
    axes = _add_axes(figure, left, top, 0.1, height)
    figure.colorbar(shown, cax=axes)
    axes.yaxis.set_major_locator(MaxNLocator(3 if height < 1.5 else 5))
    axes.tick_params(labelsize=8, length=2)


def _colours(values: Floats) -> tuple[Colormap, float, float]:
    """Grey from 0 for values of one sign, else two colours with white for 0."""
    low, high = float(values.min()), float(values.max())
    if low >= 0:
        return GREY, 0, high or 1
    most = max(-low, high)
    return SIGNED, -most, most


def _mosaic_inches(images: Floats) -> tuple[float, float]:
    columns, lines = min(len(images), COLUMNS), math.ceil(len(images) / COLUMNS)
    inches = min(LARGEST, (WIDTH - 2 * MARGIN - 0.6) / columns)
    return inches * columns, inches * lines * images.shape[1] / images.shape[2]


def _mosaic(images: Floats) -> Floats:
    """The images side by side as one, with gaps of NaN."""
    factor = max(1, FINE // max(images.shape[1:]))
    large = images.repeat(factor, 1).repeat(factor, 2)
    gap = max(1, large.shape[2] // GAPS)
    padded = np.pad(large, ((0, 0), (0, gap), (0, gap)), constant_values=np.nan)
    return tile(padded, min(len(images), COLUMNS), np.nan)
