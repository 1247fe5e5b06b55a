"""Results on standard output: Rich tables for a person, JSON for a script."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mnist_cli.config import Protocol, Schedule
from mnist_cli.formatting import count, epochs, loss, percent, seconds
from mnist_cli.results import (
    CompareResult,
    DatasetInfo,
    Environment,
    EvalResult,
    ModelRuns,
    SamplesResult,
    SummaryResult,
    TrainResult,
)

WIDTH_OF_A_FILE = 200
LEAST_WIDTH = 80  # what the tables need: a narrower terminal breaks lines, but no number is cut

Result = TypeVar("Result")


def stdout_console() -> Console:
    """A console as wide as its terminal; a pipe or a file is wide, so that nothing is cut."""
    fixed = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(
        file=sys.stdout, width=WIDTH_OF_A_FILE if fixed else None, highlight=False, markup=False
    )


def show(*parts: RenderableType) -> None:
    """Print for a person, tables between blank lines."""
    console = stdout_console()
    console.width = max(console.width, LEAST_WIDTH)
    for part in parts:
        console.print(Padding(part, (1, 0), expand=False) if isinstance(part, Table) else part)


def show_verbatim(text: str) -> None:
    """Print text that is laid out already, its tree in ASCII where the stream has nothing else."""
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        text = text.translate(str.maketrans("├└│─", "|`|-"))
    sys.stdout.write(f"{text}\n")


def show_json(result: Any) -> None:
    """Print a result, a dataclass, as one JSON document."""
    sys.stdout.write(json.dumps(asdict(result), indent=2, allow_nan=False) + "\n")


def emit(
    result: Result, render: Callable[[Result], list[RenderableType]], *, as_json: bool
) -> None:
    """Print a result as JSON, or as `render` draws it."""
    if as_json:
        show_json(result)
    else:
        show(*render(result))


def training(result: TrainResult) -> list[RenderableType]:
    """A row for each epoch, then where the network was saved."""
    table = _table("Epoch", "Train loss", "Test loss", "Test accuracy", "Time")
    for epoch in result.epochs:
        table.add_row(
            str(epoch.epoch),
            loss(epoch.train_loss),
            loss(epoch.test_loss),
            percent(epoch.test_accuracy),
            seconds(epoch.train_seconds),
        )
    return [
        _title(f"{result.model} on {_dataset(result.dataset)}"),
        f"{_protocol(result.protocol)}, {result.precision}, seed {result.seed}, "
        f"{result.parameters:,} parameters",
        table,
        f"Test accuracy {percent(result.test_accuracy)}, loss {loss(result.test_loss)}, "
        f"trained in {seconds(result.train_seconds)} on {_machine(result.environment)}.",
        f"Saved as {result.checkpoint}.",
    ]


def evaluation(result: EvalResult) -> list[RenderableType]:
    """Accuracy and loss, a row for each class, and the confusion matrix."""
    classes = _table("Class", "Precision", "Recall", "F1", "Images")
    for row in result.per_class:
        ratios = (percent(ratio) for ratio in (row.precision, row.recall, row.f1))
        classes.add_row(str(row.label), *ratios, f"{row.support:,}")
    labels = [str(row.label) for row in result.per_class]
    confusion = _table("Truth", *labels)
    for truth, counts in enumerate(result.confusion_matrix):
        cells = (str(number) if number else "." for number in counts)
        confusion.add_row(labels[truth], *cells)
    return [
        _title(f"{result.checkpoint} on {_dataset(result.dataset)}"),
        f"{result.model}, trained on {result.trained_on}: {_protocol(result.protocol)}, "
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
    table = _table("Network", "Layers", "Parameters", "Mult-adds", "Weights", "Total")
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


def comparison(result: CompareResult) -> list[RenderableType]:
    """A row for each network; the best value of each column has a star and is bold."""
    table = _table(
        "Network",
        "Params",
        "Mult-adds",
        "Accuracy",
        "Loss",
        "Time",
        "Images/s",
        "Ratio",
    )
    runs = [model.runs[0] for model in result.models]
    rates = [
        result.dataset.num_train * model.protocol.epochs / run.train_seconds
        for model, run in zip(result.models, runs, strict=True)
    ]
    fastest = min(run.train_seconds for run in runs)
    columns = [
        _marked([model.parameters for model in result.models], min, "{:,.0f}".format),
        _marked([model.mult_adds for model in result.models], min, count),
        _marked([run.test_accuracy for run in runs], max, percent),
        _marked([run.test_loss for run in runs], min, loss),
        _marked([run.train_seconds for run in runs], min, seconds),
        _marked(rates, max, "{:,.0f}".format),
        _marked([run.train_seconds / fastest for run in runs], min, "{:,.1f}x".format),
    ]
    for model, *cells in zip(result.models, *columns, strict=True):
        table.add_row(model.model, *cells)
    return [
        _title(_dataset(result.dataset)),
        *_protocols(result.models),
        table,
        "* is the best of a column. Mult-adds are for a batch of 64 images. "
        "Ratio is to the fastest time.",
        f"Trained on {_machine(result.environment)}, in {_precisions(result.models)}.",
        "One run each: differences of a few tenths of a point can be luck.",
    ]


def samples(result: SamplesResult, drawn: RenderableType) -> list[RenderableType]:
    """The chosen images, drawn elsewhere, under a line that says what they are."""
    judged = f", judged by {result.checkpoint}" if result.checkpoint else ""
    title = f"From the {result.split} split of {_dataset(result.dataset)}"
    return [f"{title}{judged}", drawn]


def _title(text: str) -> Text:
    return Text(text, "bold")


def _table(*headers: str) -> Table:
    """The first column is a name, which folds where it must; the others are numbers."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for position, header in enumerate(headers):
        if position:
            table.add_column(header, justify="right", no_wrap=True)
        else:
            table.add_column(header, overflow="fold", min_width=len(header))
    return table


def _marked(
    values: list[float], best: Callable[[list[float]], float], form: Callable[[float], str]
) -> list[Text]:
    """Format a column and mark its best value, or values."""
    target = best(values)
    return [
        Text(f"{form(value)}*", "bold") if value == target else Text(f"{form(value)} ")
        for value in values
    ]


def _dataset(info: DatasetInfo) -> str:
    note = f" ({info.note})" if info.note else ""
    return f"{info.name}, {info.num_train:,} training and {info.num_test:,} test images{note}"


def _protocol(protocol: Protocol) -> str:
    cycle = "" if protocol.schedule == Schedule.CONSTANT else " in one cycle"
    dropout = "" if protocol.dropout == 1 else f", dropout x {protocol.dropout:g}"
    return (
        f"{epochs(protocol.epochs)}, batch size {protocol.batch_size}, "
        f"{protocol.optimizer} at {protocol.lr:g}{cycle}{dropout}"
    )


def _protocols(models: tuple[ModelRuns, ...]) -> list[str]:
    """One line where all networks share a protocol, else one each."""
    seed = f"seed {models[0].runs[0].seed}"
    lines = [f"{_protocol(model.protocol)}, {seed}" for model in models]
    if len(set(lines)) == 1:
        return lines[:1]
    return [f"{model.model}: {line}" for model, line in zip(models, lines, strict=True)]


def _precisions(models: tuple[ModelRuns, ...]) -> str:
    """`fp32`, or `fp32 (mlp, cnn) and bf16 (strongcnn)`."""
    used = sorted({model.precision for model in models}, reverse=True)
    if len(used) == 1:
        return used[0]
    names = {name: [model.model for model in models if model.precision == name] for name in used}
    return " and ".join(f"{name} ({', '.join(names[name])})" for name in used)


def _machine(environment: Environment) -> str:
    threads = "1 thread" if environment.threads == 1 else f"{environment.threads} threads"
    return f"{environment.device} ({environment.processor}, {threads}), torch {environment.torch}"
