"""`show-features`: the weights of the first layer, the outputs of each stage, an occlusion map."""

import numpy as np
from torch import Tensor, nn

from mnist_cli.data import datasets
from mnist_cli.data.pictures import Image28
from mnist_cli.errors import UsageError
from mnist_cli.networks.tracing import (
    Features,
    Floats,
    Traced,
    cover,
    find_first_layer,
    list_outputs,
    to_images,
    trace,
)
from mnist_cli.schema.datasets import SIDE
from mnist_cli.schema.events import OnEvent
from mnist_cli.schema.options import FeaturesOptions
from mnist_cli.schema.results import FeaturesResult, Stage, StageOutput
from mnist_cli.training.checkpoint import Checkpoint, load
from mnist_cli.training.device import place, resolve_device
from mnist_cli.training.examples import PIXEL_ORDER, images_to_device
from mnist_cli.workflows.predict import escape, read_as_trained
from mnist_cli.workflows.shared import choose_data, predict_probabilities, restore_network

SQUARE = 5  # pixels along a side of the black square; strokes in MNIST are 2 to 4 wide


def find_features(options: FeaturesOptions, on_event: OnEvent) -> tuple[FeaturesResult, Features]:
    """Follow one image through the network of a checkpoint, and find where it looks.

    The occlusion map is that of Zeiler and Fergus (2014), "Visualizing and understanding
    convolutional networks", section 4.2, with a black square, as MNIST's background is black.
    Raises UsageError if there is no test image of that index.
    """
    device = resolve_device(options.device)
    saved = load(options.checkpoint)
    model = place(restore_network(saved, options.model, on_event), device)
    name, image, label = _find_image(options, saved, on_event)
    image = _shift(image, options.shift)
    pixels = images_to_device(image[None], device)[0]
    probabilities = predict_probabilities(model, pixels[None])[0]
    prediction = int(probabilities.argmax())
    traced = trace(saved.record.model, model, pixels)
    first = find_first_layer(traced)
    features = Features(
        image=image,
        weights=_find_weights(first, saved),
        outputs=list_outputs(traced),
        occlusion=_occlude(model, pixels, prediction, float(probabilities[prediction])),
    )
    result = FeaturesResult(
        checkpoint=str(options.checkpoint),
        model=saved.record.model,
        image=name,
        index=None if options.picture else options.index,
        label=label,
        shift=options.shift,
        prediction=prediction,
        probabilities=tuple(probabilities.tolist()),
        classes=saved.record.dataset.classes,
        first_layer=first.stage.operations[0] if first else "",
        weights_size=None if features.weights is None else features.weights.shape,
        stages=tuple(_describe(*each) for each in features.outputs),
        occlusion=tuple(map(tuple, features.occlusion.tolist())),
        output=str(options.output) if options.output else None,
    )
    return result, features


def _describe(stage: Stage, values: Floats) -> StageOutput:
    least, most = float(values.min()), float(values.max())
    return StageOutput(stage.operations, stage.output_size, least, most)


def _find_image(
    options: FeaturesOptions, saved: Checkpoint, on_event: OnEvent
) -> tuple[str, Image28, int | None]:
    """The name, pixels and label of the image."""
    if options.picture:
        image = read_as_trained(options.picture, saved.record.dataset, raw=options.raw)
        return escape(options.picture), image, None
    data = choose_data(options.data, saved)
    info, test = datasets.load_test(data, on_event, saved.record.dataset)
    if options.index >= len(test.labels):
        raise UsageError(
            f"{info.name} has the test images 0 to {len(test.labels) - 1:,}: "
            f"there is no image {options.index:,}; give a smaller --index"
        )
    name = f"test image {options.index:,} of {info.name}"
    return name, test.images[options.index], int(test.labels[options.index])


def _shift(image: Image28, right: int) -> Image28:
    """Move an image to the right by less than its width; the pixels that become free are black."""
    width = image.shape[1]
    padded = np.pad(image, ((0, 0), (width, width)))
    return padded[:, width - right : 2 * width - right]


def _find_weights(first: Traced | None, saved: Checkpoint) -> Floats | None:
    """The first layer's weights as images; those of shuffled pixels in the order of the image."""
    weights = to_images(first.weight if first else None)
    if weights is None or weights[0].size != SIDE**2 or not saved.record.protocol.shuffle_pixels:
        return weights
    flat = np.empty((len(weights), SIDE**2), np.float32)
    flat[:, PIXEL_ORDER.numpy()] = weights.reshape(flat.shape)
    return flat.reshape(weights.shape)


def _occlude(model: nn.Module, pixels: Tensor, prediction: int, before: float) -> Floats:
    """How much the probability of `prediction` falls when a square around a pixel is black."""
    after = predict_probabilities(model, cover(pixels, SQUARE))[:, prediction]
    falls: Floats = (before - after).float().view(pixels.shape[1:]).numpy()
    return falls
