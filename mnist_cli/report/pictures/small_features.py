"""What a network makes of an image, in the terminal: in grey, and each image 14 columns wide."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console, Group, RenderableType

from mnist_cli.networks.tracing import Features, Floats
from mnist_cli.report import features as texts
from mnist_cli.report.pictures.terminal import GAP, draw
from mnist_cli.schema.results import FeaturesResult
from mnist_cli.system.streams import visible

SIDE, LINES = 14, 2  # the size of a small image in columns, and the lines of images of a stage


def draw_features(console: Console, result: FeaturesResult, features: Features) -> RenderableType:
    """The image, where the network looks, the first layer's weights, and outputs by stage."""
    pair = np.stack([features.image, _to_grey(features.occlusion)])
    parts: list[RenderableType] = [
        visible(texts.headline(result)),
        "",
        draw(console, pair, ["The image", "Where it looks"]),
        f"{texts.occlusion_title(result)}{_range(features.occlusion * 100)}",
        "",
    ]
    if features.weights is None:
        parts.append(texts.weights_title(result, 0))
    else:
        title = texts.weights_title(result, _room(console, features.weights))
        parts += [f"{title}{_range(features.weights)}", _draw_small(console, features.weights)]
    for stage, (_, values) in zip(result.stages, features.outputs, strict=True):
        title = texts.stage_title(stage, values.shape, _room(console, values))
        parts += [f"{title}{_range(values)}", _draw_small(console, values)]
    return Group(*parts)


def _draw_small(console: Console, values: Floats) -> RenderableType:
    """Maps N×H×W, or a vector as a line of cells."""
    grey = _to_grey(values)[: _room(console, values)]
    if values.ndim == 1:
        return draw(console, np.stack([grey, grey])[None], [""])
    small = [
        np.asarray(Image.fromarray(each).resize((SIDE, SIDE), Image.Resampling.BOX))
        for each in grey
    ]
    return draw(console, np.stack(small), [str(number) for number in range(len(small))])


def _room(console: Console, values: Floats) -> int:
    """How many units, or maps, are drawn."""
    if values.ndim == 1:
        return console.width
    return LINES * max(1, (console.width + GAP) // (SIDE + GAP))


def _to_grey(values: Floats) -> NDArray[np.uint8]:
    """Black is 0 and white the largest value; with negative values, middle grey is 0."""
    most = float(np.abs(values).max()) or 1
    shares = values / most if values.min() >= 0 else (values / most + 1) / 2
    return np.rint(shares * 255).astype(np.uint8)


def _range(values: Floats) -> str:
    """The values that the greys stand for: `, from 0 (dark) to 2.31 (light)`."""
    most = float(np.abs(values).max()) or 1
    least = 0 if values.min() >= 0 else -most
    return f", from {least:.2g} (dark) to {most:.2g} (light)"
