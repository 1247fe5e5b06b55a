"""The command line: parse, run, render, exit code. torch is imported by the commands alone."""

from pathlib import Path
from typing import Annotated

import typer

from mnist_cli import __version__, recipes, registry, report
from mnist_cli.config import (
    CompareOptions,
    DataOptions,
    DatasetName,
    EvalOptions,
    Precision,
    Protocol,
    Recipe,
    SamplesOptions,
    Split,
    SummaryOptions,
    TrainOptions,
)
from mnist_cli.errors import ExitCode, MnistCliError, UsageError
from mnist_cli.progress import reporter
from mnist_cli.streams import say

app = typer.Typer(
    name="mnist-cli",
    help="Train and compare small networks on MNIST: which is better, and at what cost?",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

MODEL_HELP = "mlp, tinycnn, cnn, strongcnn, package.module:Name or path/file.py:Name."


def complete_model(incomplete: str) -> list[str]:
    """Shell completion of registered names."""
    return [name for name in registry.MODELS if name.startswith(incomplete.lower())]


Model = Annotated[
    str, typer.Argument(metavar="MODEL", help=MODEL_HELP, autocompletion=complete_model)
]
OptionalModel = Annotated[
    str | None,
    typer.Argument(
        metavar="[MODEL]", help=f"{MODEL_HELP} All if omitted.", autocompletion=complete_model
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MODELS]...", help=f"{MODEL_HELP} All if omitted.", autocompletion=complete_model
    ),
]
Code = Annotated[
    str | None,
    typer.Option("--model", metavar="TARGET", help="The code of a checkpoint's custom network."),
]
Dataset = Annotated[
    DatasetName,
    typer.Option(
        metavar="NAME",
        help="auto, mnist, mnist5k, fashion-mnist or kmnist. auto is the complete MNIST if it is "
        "on disk or soon fetched, else mnist5k; for a checkpoint, what it was trained on.",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        envvar="MNIST_CLI_DATA_DIR",
        readable=False,  # looked at where it is read, with a better message
        help="Folder with MNIST/raw in it, as torchvision has it.",
        show_default="the user cache",
    ),
]
Device = Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:N, mps or xpu.")]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        metavar="FORMAT",
        help="auto, fp32 or bf16. auto is bf16 for a large network where the device has it.",
    ),
]
RecipeOption = Annotated[
    Recipe,
    typer.Option(
        "--recipe",
        metavar="NAME",
        help="article or fast. fast needs fewer steps for the article's accuracy; "
        "--epochs, --batch-size and --lr override either.",
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        help="Passes over the training images.", show_default=f"{Protocol.epochs}, or the recipe's"
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        help="Images in a training step.", show_default=f"{Protocol.batch_size}, or the recipe's"
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        help="Adam's learning rate, or its peak.", show_default=f"{Protocol.lr}, or the recipe's"
    ),
]
Seed = Annotated[int, typer.Option(help="Decides the first weights and the order of images.")]
MinAccuracy = Annotated[
    float | None,
    typer.Option(
        metavar="FRACTION", help="Exit with code 3 if the test accuracy is lower, e.g. 0.97."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress and no notices on standard error.")
]


@app.command()
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
    min_accuracy: MinAccuracy = None,
    dataset: Dataset = DataOptions.dataset,
    data_dir: DataDir = None,
    device: Device = TrainOptions.device,
    precision: PrecisionOption = TrainOptions.precision,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Train one network and save it as a checkpoint."""
    check_fraction(min_accuracy)
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
    from mnist_cli import runs

    with reporter(quiet) as on_event:
        result = runs.train(options, on_event)
    report.emit(result, report.training, as_json=json)
    return gate(result.test_accuracy, min_accuracy)


@app.command("eval")
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
    check_fraction(min_accuracy)
    options = EvalOptions(
        checkpoint=checkpoint,
        model=registry.resolve(model) if model else None,
        data=DataOptions(dataset, data_dir),
        device=device,
    )
    from mnist_cli import runs

    with reporter(quiet) as on_event:
        result = runs.evaluate(options, on_event)
    report.emit(result, report.evaluation, as_json=json)
    return gate(result.test_accuracy, min_accuracy)


@app.command()
def summary(
    model: OptionalModel = None,
    batch_size: Annotated[
        int, typer.Option(help="Images for which operations and memory are counted.")
    ] = SummaryOptions.batch_size,
    json: Json = False,
) -> None:
    """Show the layers, parameters and operations of one network, or the sizes of all."""
    options = SummaryOptions(registry.resolve(model) if model else None, batch_size)
    from mnist_cli import runs

    with reporter(quiet=True):
        result, tables = runs.summary(options)
    if json:
        report.show_json(result)
    elif model:
        report.show_verbatim(tables[0])
    else:
        report.show(*report.summary(result))


@app.command()
def compare(
    models: Models = None,
    recipe: RecipeOption = Protocol.recipe,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    lr: LearningRate = None,
    seed: Seed = CompareOptions.seed,
    dataset: Dataset = DataOptions.dataset,
    data_dir: DataDir = None,
    device: Device = CompareOptions.device,
    precision: PrecisionOption = CompareOptions.precision,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train several networks alike and compare accuracy, time and size."""
    specs = [registry.resolve(name) for name in models or registry.MODELS]
    options = CompareOptions(
        models={spec: recipes.protocol(recipe, spec, epochs, batch_size, lr) for spec in specs},
        data=DataOptions(dataset, data_dir),
        device=device,
        precision=precision,
        seed=seed,
    )
    from mnist_cli import runs

    with reporter(quiet) as on_event:
        result = runs.compare(options, on_event)
    report.emit(result, report.comparison, as_json=json)


@app.command()
def show_samples(
    count: Annotated[int, typer.Option(help="How many images.")] = SamplesOptions.count,
    split: Annotated[
        Split | None,
        typer.Option(
            help="Which images to choose from.", show_default="train; test with --checkpoint"
        ),
    ] = None,
    label: Annotated[int | None, typer.Option(help="Only images of this class, 0 to 9.")] = None,
    seed: Annotated[int, typer.Option(help="Decides which images.")] = SamplesOptions.seed,
    output: Annotated[
        Path | None, typer.Option(help="Write a grid to FILE.png, .svg or .pdf instead.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Show what this network predicts for each image.")
    ] = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="Only images that the network gets wrong.")
    ] = False,
    model: Code = None,
    dataset: Dataset = DataOptions.dataset,
    data_dir: DataDir = None,
    device: Device = SamplesOptions.device,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw some images with their labels, and what a network makes of them."""
    options = SamplesOptions(
        count=count,
        split=split,
        label=label,
        seed=seed,
        output=output,
        checkpoint=checkpoint,
        errors=errors,
        model=registry.resolve(model) if model else None,
        data=DataOptions(dataset, data_dir),
        device=device,
    )
    from mnist_cli import drawing, runs

    with reporter(quiet) as on_event:
        result, chosen = runs.show_samples(options, on_event)
    if output:
        from mnist_cli.grid import save_grid

        save_grid(output, chosen.images, [drawing.caption(sample) for sample in result.samples])
    if json:
        report.show_json(result)
    elif output:
        report.show(f"Saved as {output}.")
    else:
        drawn = drawing.draw(report.stdout_console(), chosen.images, result.samples)
        report.show(*report.samples(result, drawn))


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Print the version, or the help where there is no command."""
    if version:
        report.show(f"mnist-cli {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        report.show(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


def check_fraction(min_accuracy: float | None) -> None:
    """Raise UsageError unless a threshold is a fraction; 97 for 0.97 would never be met."""
    if min_accuracy is not None and not 0 <= min_accuracy <= 1:
        raise UsageError(f"--min-accuracy is a fraction from 0 to 1, not {min_accuracy}")


def gate(test_accuracy: float, min_accuracy: float | None) -> ExitCode:
    """The exit code for a result that was asked to reach a threshold."""
    if min_accuracy is None or test_accuracy >= min_accuracy:
        return ExitCode.OK
    say(f"test accuracy {test_accuracy:.4f} is below --min-accuracy {min_accuracy:g}")
    return ExitCode.GATE_NOT_MET


def run(arguments: list[str] | None = None) -> int:
    """Run a command line (sys.argv by default) and return its exit code.

    Expected failures become one line on standard error; bugs keep their tracebacks.
    """
    try:
        code: int | None = app(arguments, prog_name="mnist-cli", standalone_mode=False)
    except MnistCliError as error:
        say(f"error: {' '.join(str(error).split())}")
        return error.exit_code
    except typer.TyperException as error:
        context: typer.Context | None = getattr(error, "ctx", None)
        command = context.command_path if context else "mnist-cli"
        say(f"error: {error.format_message().rstrip('.')}; see {command} --help")
        return error.exit_code
    return code or ExitCode.OK
