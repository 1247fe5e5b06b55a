"""The sentences about what a network makes of an image."""

from mnist_cli.formatting import format_percent, plural
from mnist_cli.schema.results import FeaturesResult, StageOutput


def headline(result: FeaturesResult) -> str:
    """`cnn.safetensors on test image 7 of mnist (a 9): predicts 9 (99.80 %)`."""
    label = "" if result.label is None else f" (a {result.classes[result.label]})"
    side = "right" if result.shift > 0 else "left"
    moved = f", moved {plural(abs(result.shift), 'pixel')} to the {side}" if result.shift else ""
    probability = format_percent(max(result.probabilities))
    predicts = f"predicts {result.classes[result.prediction]} ({probability})"
    return f"{result.checkpoint} on {result.image}{label}{moved}: {predicts}"


def occlusion_title(result: FeaturesResult) -> str:
    """What the occlusion map shows."""
    name = result.classes[result.prediction]
    return f"Where it looks: how many points {name} loses without 5×5 pixels"


def weights_title(result: FeaturesResult, most: int) -> str:
    """`Weights of the first layer, Linear, the first 64`, or why they are not drawn."""
    if result.weights_size is None:
        what = result.first_layer or "which is not torch's own"
        return f"The weights of the first layer, {what}, are no images."
    first = f", the first {most}" if most < result.weights_size[0] else ""
    return f"Weights of the first layer, {result.first_layer}{first}"


def stage_title(stage: StageOutput, shape: tuple[int, ...], most: int) -> str:
    """What a stage puts out and how much of it is drawn, from the `shape` N×H×W or N.

    For example `Conv2d 3×3, ReLU: 64 maps of 28×28, the first 16`.
    """
    count, *side = shape
    what = f"{plural(count, 'map')} of {side[0]}×{side[1]}" if side else plural(count, "unit")
    first = f", the first {most}" if most < count else ""
    return f"{', '.join(stage.operations)}: {what}{first}"
