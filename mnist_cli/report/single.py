"""What a person reads of one network, or of some images."""

from rich.console import RenderableType

from mnist_cli.formatting import count, loss, percent, seconds
from mnist_cli.report import layout
from mnist_cli.results import (
    EvalResult,
    SamplesResult,
    SummaryResult,
    TrainResult,
)


def training(result: TrainResult) -> list[RenderableType]:
    """A row for each epoch, then where the network was saved."""
    table = layout.table("Epoch", "Train loss", "Test loss", "Test accuracy", "Time")
    for epoch in result.epochs:
        table.add_row(
            str(epoch.epoch),
            loss(epoch.train_loss),
            loss(epoch.test_loss),
            percent(epoch.test_accuracy),
            seconds(epoch.train_seconds),
        )
    return [
        layout.title(f"{result.model} on {layout.dataset(result.dataset)}"),
        f"{layout.protocol(result.protocol)}, {result.precision}, seed {result.seed}, "
        f"{result.parameters:,} parameters",
        table,
        f"Test accuracy {percent(result.test_accuracy)}, loss {loss(result.test_loss)}, "
        f"trained in {seconds(result.train_seconds)} on {layout.machine(result.environment)}.",
        f"Saved as {result.checkpoint}.",
    ]


def evaluation(result: EvalResult) -> list[RenderableType]:
    """Accuracy and loss, a row for each class, and the confusion matrix."""
    classes = layout.table("Class", "Precision", "Recall", "F1", "Images")
    for row in result.per_class:
        ratios = (percent(ratio) for ratio in (row.precision, row.recall, row.f1))
        classes.add_row(str(row.label), *ratios, f"{row.support:,}")
    labels = [str(row.label) for row in result.per_class]
    confusion = layout.table("Truth", *labels)
    for truth, counts in enumerate(result.confusion_matrix):
        cells = (str(number) if number else "." for number in counts)
        confusion.add_row(labels[truth], *cells)
    return [
        layout.title(f"{result.checkpoint} on {layout.dataset(result.dataset)}"),
        f"{result.model}, trained on {result.trained_on}: {layout.protocol(result.protocol)}, "
        f"{result.precision}, seed {result.seed}",
        f"Test accuracy {percent(result.test_accuracy)}, loss {loss(result.test_loss)}, "
        f"over {result.num_samples:,} images.",
        classes,
        "Confusion matrix: a row is the truth, a column what was predicted.",
        confusion,
    ]


def summary(result: SummaryResult) -> list[RenderableType]:
    """A row for each network."""
    models = result.models
    table = layout.table("Network", "Layers", "Parameters", "Mult-adds", "Weights", "Total")
    for model in models:
        weighted = [layer.type for layer in model.layers if layer.parameters]
        kinds = dict.fromkeys(weighted)
        table.add_row(
            model.model,
            ", ".join(f"{weighted.count(kind)} {kind}" for kind in kinds),
            f"{model.parameters:,}",
            count(model.mult_adds),
            f"{model.parameter_megabytes:.2f} MB",
            f"{model.total_megabytes:.2f} MB",
        )
    return [
        table,
        "Total is weights, input and activations, forward and backward; it and the mult-adds are "
        f"for a batch of {models[0].batch_size} images.",
        "mnist-cli summary MODEL shows one layer by layer.",
    ]


def samples(result: SamplesResult, drawn: RenderableType) -> list[RenderableType]:
    """The chosen images, drawn elsewhere, under a line that says what they are."""
    judged = f", judged by {result.checkpoint}" if result.checkpoint else ""
    title = f"From the {result.split} split of {layout.dataset(result.dataset)}"
    return [f"{title}{judged}", drawn]
