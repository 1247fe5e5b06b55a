"""`mnist-cli eval`."""

from pathlib import Path
from typing import Annotated

import typer

from mnist_cli import registry
from mnist_cli.commands import gate
from mnist_cli.commands.parameters import (
    Code,
    DataDir,
    Dataset,
    Device,
    Json,
    MinAccuracy,
    Quiet,
)
from mnist_cli.config import (
    DataOptions,
    EvalOptions,
    check_fraction,
)
from mnist_cli.gates import unmet_by_one
from mnist_cli.progress import reporter
from mnist_cli.report import console, single


def evaluate(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="A file from train.")],
    min_accuracy: MinAccuracy = None,
    model: Code = None,
    dataset: Dataset = DataOptions.dataset,
    data_dir: DataDir = None,
    device: Device = EvalOptions.device,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Measure a checkpoint on the test images, class by class."""
    check_fraction(min_accuracy, "--min-accuracy")
    options = EvalOptions(
        checkpoint=checkpoint,
        model=registry.resolve(model) if model else None,
        data=DataOptions(dataset, data_dir),
        device=device,
    )
    from mnist_cli.runs import evaluate as evaluating

    with reporter(quiet) as on_event:
        result = evaluating.evaluate(options, on_event)
    console.emit(result, single.evaluation, as_json=json)
    return gate.passed(unmet_by_one(result.test_accuracy, min_accuracy))
