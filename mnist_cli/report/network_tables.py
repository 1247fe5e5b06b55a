"""The tables of one network, and of images."""

from collections import Counter

from rich.console import RenderableType

from mnist_cli.formatting import (
    format_bytes,
    format_count,
    format_loss,
    format_megabytes,
    format_parameters,
    format_percent,
    format_seconds,
)
from mnist_cli.report import layout
from mnist_cli.schema.datasets import DIGITS, FEW_TEST_IMAGES
from mnist_cli.schema.results import (
    LOW_CONFIDENCE,
    EvalResult,
    ExportResult,
    PredictResult,
    SamplesResult,
    SummaryResult,
    TrainResult,
)

MATRIX_WIDTH = 100  # characters of a confusion matrix
MOST_PAIRS = 20


def training_table(result: TrainResult) -> list[RenderableType]:
    """A row for each epoch, then the final figures and the checkpoint."""
    evaluated = result.dataset.evaluated_on.capitalize()
    table = layout.table(
        "Epoch", "Train loss", f"{evaluated} loss", f"{evaluated} accuracy", "Time"
    )
    for epoch in result.epochs:
        table.add_row(
            str(epoch.epoch),
            format_loss(epoch.train_loss),
            format_loss(epoch.test_loss),
            format_percent(epoch.test_accuracy),
            format_seconds(epoch.train_seconds),
        )
    because = f" ({result.precision_reason})" if result.precision_reason else ""
    return [
        layout.title(f"{result.model} on {layout.dataset_line(result.dataset)}"),
        f"{layout.protocol_line(result.protocol)}, seed {result.seed}, "
        f"{result.parameters:,} trainable parameters",
        table,
        f"{evaluated} {_figures(result)}, trained in {format_seconds(result.train_seconds)} "
        f"on {layout.machine_line(result.environment)}, in {result.precision}{because}.",
        f"Saved as {result.checkpoint}.",
    ]


def evaluation_tables(result: EvalResult) -> list[RenderableType]:
    """Accuracy and loss, a row for each class, and the confusion matrix."""
    classes = layout.table("Class", "Precision", "Recall", "F1", "Images")
    for row in result.per_class:
        ratios = (format_percent(ratio) for ratio in (row.precision, row.recall, row.f1))
        classes.add_row(result.dataset.classes[row.label], *ratios, f"{row.support:,}")
    uncertain = f", which adds an uncertainty of ±{result.sampling_error * 100:.2f} points"
    return [
        layout.title(f"{result.checkpoint} on {layout.dataset_line(result.dataset)}"),
        f"{result.model}, trained on {result.trained_on}: {layout.protocol_line(result.protocol)}, "
        f"{result.precision}, seed {result.seed}",
        f"Test {_figures(result)}, over {result.num_samples:,} images"
        f"{uncertain if result.num_samples < FEW_TEST_IMAGES else ''}.",
        classes,
        *_confusions(result),
    ]


def _figures(result: TrainResult) -> str:
    """Accuracy and loss; the balanced accuracy too if the classes are of unlike size."""
    figures = [f"accuracy {format_percent(result.test_accuracy)}"]
    if result.dataset.is_unbalanced:
        figures.append(f"balanced accuracy {format_percent(result.balanced_accuracy)}")
    return ", ".join([*figures, f"loss {format_loss(result.test_loss)}"])


def _confusions(result: EvalResult) -> list[RenderableType]:
    """The confusion matrix, or if it is too wide the pairs of classes that are confused most."""
    names = [result.dataset.classes[row.label] for row in result.per_class]
    matrix = result.confusion_matrix
    if sum(max(len(name), 4) + 1 for name in names) <= MATRIX_WIDTH:
        table = layout.table("Truth", *names)
        for name, counts in zip(names, matrix, strict=True):
            table.add_row(name, *(str(number) if number else "." for number in counts))
        return ["Confusion matrix: rows are the true classes, columns the predicted ones.", table]
    errors = [
        (count, truth, answer)
        for truth, counts in enumerate(matrix)
        for answer, count in enumerate(counts)
        if count and truth != answer
    ]
    table = layout.table("Truth", "Predicted", "Images")
    for count, truth, answer in sorted(errors, key=lambda error: -error[0])[:MOST_PAIRS]:
        table.add_row(names[truth], names[answer], f"{count:,}")
    return ["The most frequent errors; --json has the confusion matrix.", table]


def summary_table(result: SummaryResult) -> list[RenderableType]:
    """A row for each network."""
    models = result.models
    table = layout.table("Network", "Layers", "Parameters", "Mult-adds", "Weights", "Total")
    for model in models:
        kinds = Counter(layer.type for layer in model.layers if layer.parameters)
        table.add_row(
            model.model,
            ", ".join(f"{count} {kind}" for kind, count in kinds.items()),
            format_parameters(model.parameters, model.total_parameters),
            format_count(model.mult_adds),
            format_megabytes(model.parameter_megabytes),
            format_megabytes(model.total_megabytes),
        )
    return [
        table,
        "Total is the memory of weights, input and activations, forward and backward. Total and "
        f"mult-adds are for a batch of {models[0].batch_size} images.",
        "mnist-cli summary MODEL shows the layers of one network.",
    ]


def samples_grid(result: SamplesResult, drawn: RenderableType) -> list[RenderableType]:
    """The drawn images under a line that names their source."""
    model = f", predicted by {result.checkpoint}" if result.checkpoint else ""
    title = f"From the {result.split} split of {layout.dataset_line(result.dataset)}"
    changed = f", augmented by {result.augmentation} as in epoch 1 with seed {result.seed}"
    return [f"{title}{model}{changed if result.augmentation else ''}", drawn]


def prediction_tables(result: PredictResult, drawn: RenderableType) -> list[RenderableType]:
    """The drawn pictures as the network sees them, and a row for each."""
    judged = [picture for picture in result.pictures if not picture.failure]
    names = result.classes
    digits = names == DIGITS
    table = layout.table("Picture", "Digit" if digits else "Class", "Probability", "Next")
    for picture in judged:
        ranked = sorted(enumerate(picture.probabilities), key=lambda pair: -pair[1])
        (digit, most), *others = ranked[:3]
        low = "*" if picture.low_confidence else ""
        table.add_row(
            picture.picture,
            names[digit],
            f"{format_percent(most)}{low}",
            ", ".join(f"{names[digit]} ({format_percent(share)})" for digit, share in others),
        )
    parts: list[RenderableType] = [
        f"Predicted by {result.checkpoint}: {result.model}, trained on {result.trained_on}",
        drawn,
        table,
        "Every picture gets one digit, even a picture of a letter or of two digits."
        if digits
        else "Every picture gets one of the classes, whatever it shows.",
    ]
    if any(picture.low_confidence for picture in judged):
        parts.append(f"* Confidence below {LOW_CONFIDENCE * 100:g} %: check the picture.")
    return parts


def export_lines(result: ExportResult) -> list[RenderableType]:
    """The written file, and how it was checked."""
    checked = "Not checked, as onnxruntime is not installed."
    if result.num_samples is not None:
        apart = f"logits within {result.max_difference:.1g}" if result.max_difference else "logits"
        checked = (
            f"Checked on {result.num_samples:,} test images of {result.dataset.name}: the same "
            f"classes and {apart}."
        )
    return [
        f"Saved {result.model} of {result.checkpoint} as {result.output}, "
        f"{format_bytes(result.num_bytes)}.",
        checked,
    ]
