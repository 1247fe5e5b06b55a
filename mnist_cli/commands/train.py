"""`mnist-cli train`."""

from pathlib import Path
from typing import Annotated

import typer

from mnist_cli import recipes, registry
from mnist_cli.commands import gate
from mnist_cli.commands.parameters import (
    BatchSize,
    DataDir,
    Dataset,
    Device,
    Epochs,
    Json,
    LearningRate,
    MinAccuracy,
    Model,
    PrecisionOption,
    Quiet,
    RecipeOption,
    Seed,
)
from mnist_cli.config import (
    DataOptions,
    Protocol,
    TrainOptions,
    check_fraction,
    check_picture,
)
from mnist_cli.gates import unmet_by_one
from mnist_cli.progress import reporter
from mnist_cli.report import console, single


def train(
    model: Model,
    recipe: RecipeOption = Protocol.recipe,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    lr: LearningRate = None,
    seed: Seed = TrainOptions.seed,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoint to write, after every epoch.", show_default="MODEL.safetensors"
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Checkpoint to continue, up to --epochs in all.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the learning curve in FILE.png, .svg or .pdf."),
    ] = None,
    min_accuracy: MinAccuracy = None,
    dataset: Dataset = DataOptions.dataset,
    data_dir: DataDir = None,
    device: Device = TrainOptions.device,
    precision: PrecisionOption = TrainOptions.precision,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Train one network and save it as a checkpoint."""
    check_fraction(min_accuracy, "--min-accuracy")
    if plot:
        check_picture(plot, "--plot")
    spec = registry.resolve(model)
    options = TrainOptions(
        model=spec,
        protocol=recipes.protocol(recipe, spec, epochs, batch_size, lr),
        data=DataOptions(dataset, data_dir),
        device=device,
        precision=precision,
        seed=seed,
        output=output,
        resume=resume,
    )
    from mnist_cli.runs import train as training

    with reporter(quiet) as on_event:
        result = training.train(options, on_event)
    console.emit(result, single.training, as_json=json)
    if plot:
        from mnist_cli.pictures.plots import plot_training

        plot_training(plot, result)
    return gate.passed(unmet_by_one(result.test_accuracy, min_accuracy))
