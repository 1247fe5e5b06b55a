"""The command line: parse, run, render, exit code. torch is imported by the commands alone."""

from pathlib import Path
from typing import Annotated

import typer

from mnist_cli import __version__, recipes, registry
from mnist_cli.config import (
    CheckpointsOptions,
    CompareOptions,
    DataOptions,
    EvalOptions,
    ExportOptions,
    GateOptions,
    Protocol,
    SamplesOptions,
    Split,
    SummaryOptions,
    TrainOptions,
    check_fraction,
    check_picture,
)
from mnist_cli.errors import ExitCode, MnistCliError, UsageError
from mnist_cli.gates import unmet
from mnist_cli.parameters import (
    BatchSize,
    Code,
    Codes,
    DataDir,
    Dataset,
    Device,
    Epochs,
    Export,
    Json,
    LearningRate,
    MinAccuracy,
    Model,
    Models,
    OptionalModel,
    PrecisionOption,
    Quiet,
    RecipeOption,
    Seed,
)
from mnist_cli.progress import reporter
from mnist_cli.report import comparison, console, export, single
from mnist_cli.streams import say

app = typer.Typer(
    name="mnist-cli",
    help="Train and compare small networks on MNIST: which is better, and at what cost?",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

DISAGREEMENTS_SHOWN = 9


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
    plot: Annotated[
        Path | None, typer.Option(help="Draw the learning curve in FILE.png, .svg or .pdf.")
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
    if plot:
        from mnist_cli.plots import plot_training

        plot_training(plot, result)
    console.emit(result, single.training, as_json=json)
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
    from mnist_cli.runs import summary as summarizing

    with reporter(quiet=True):
        result, tables = summarizing.summary(options)
    if json:
        console.show_json(result)
    elif model:
        console.show_verbatim(tables[0])
    else:
        console.show(*single.summary(result))


@app.command()
def compare(
    context: typer.Context,
    models: Models = None,
    recipe: RecipeOption = Protocol.recipe,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    lr: LearningRate = None,
    seed: Seed = CompareOptions.seed,
    seeds: Annotated[
        int, typer.Option(help="Runs of each network, from --seed on; verdicts need 2, better 5.")
    ] = CompareOptions.seeds,
    target: Annotated[
        float | None,
        typer.Option(
            metavar="FRACTION",
            help="Train each network until it has this test accuracy, and rank by time.",
        ),
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(
            help="Keep finished runs in FILE; the same command goes on from there.",
            show_default="a new one in the user state folder",
        ),
    ] = None,
    export_json: Export = None,
    export_csv: Export = None,
    export_markdown: Export = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw accuracy against size and time in FILE.png, .svg or .pdf."),
    ] = None,
    min_accuracy: MinAccuracy = None,
    max_seconds: Annotated[
        float | None,
        typer.Option(help="Exit with code 3 if a network's training time is surely longer."),
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="Show what changed since this file of --export-json.")
    ] = None,
    fail_on_regression: Annotated[
        bool,
        typer.Option(
            "--fail-on-regression",
            help="Exit with code 3 if an accuracy is surely lower than in --baseline.",
        ),
    ] = GateOptions.fail_on_regression,
    show_disagreements: Annotated[
        bool,
        typer.Option(
            "--show-disagreements", help="Draw images that not all checkpoints get right or wrong."
        ),
    ] = False,
    model: Codes = None,
    dataset: Dataset = DataOptions.dataset,
    data_dir: DataDir = None,
    device: Device = CompareOptions.device,
    precision: PrecisionOption = CompareOptions.precision,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Train several networks alike, or take checkpoints: which is better, and how surely?"""
    data = DataOptions(dataset, data_dir)
    names = models or list(registry.MODELS)
    if any(map(is_checkpoint, names)):
        check_mode(context, names)
        return compare_checkpoints(
            CheckpointsOptions(
                checkpoints=tuple(map(Path, names)),
                models=tuple(map(registry.resolve, model or ())),
                data=data,
                device=device,
                seed=seed,
                show_disagreements=DISAGREEMENTS_SHOWN if show_disagreements else 0,
            ),
            json=json,
            quiet=quiet,
        )
    if show_disagreements or model:
        option = "--show-disagreements" if show_disagreements else "--model"
        raise UsageError(f"{option} is for checkpoints; name two or more files from train")
    specs = [registry.resolve(name) for name in names]
    options = CompareOptions(
        models={spec: recipes.protocol(recipe, spec, epochs, batch_size, lr) for spec in specs},
        data=data,
        device=device,
        precision=precision,
        seed=seed,
        seeds=seeds,
        target=target,
        journal=journal,
        baseline=baseline,
    )
    gates = GateOptions(min_accuracy, max_seconds, fail_on_regression)
    if fail_on_regression and not baseline:
        raise UsageError("--fail-on-regression needs --baseline FILE.json")
    files = ExportOptions(export_json, export_csv, export_markdown, plot)
    if json and files.to_stdout:
        raise UsageError("--json and an export to - cannot both have standard output")
    from mnist_cli.runs import compare as comparing

    with reporter(quiet) as on_event:
        for result in comparing.compare(options, on_event):
            export.write(result, files)
    if plot:
        from mnist_cli.plots import plot_comparison

        plot_comparison(plot, result)
    if files.to_stdout:
        export.write_stdout(result, files)
    else:
        console.emit(result, comparison.comparison, as_json=json)
    reasons = unmet(result, gates)
    if reasons:
        say(f"gate: {'; '.join(reasons)}")
    if any(row.failure for row in result.models):
        return ExitCode.FAILURE
    return ExitCode.GATE_NOT_MET if reasons else ExitCode.OK


def compare_checkpoints(options: CheckpointsOptions, *, json: bool, quiet: bool) -> int:
    """`compare` with files from `train`."""
    from mnist_cli import drawing
    from mnist_cli.runs import checkpoints

    with reporter(quiet) as on_event:
        result, images = checkpoints.compare_checkpoints(options, on_event)
    if json:
        console.show_json(result)
        return ExitCode.OK
    captions = [drawing.disputed_caption(image) for image in result.disputed]
    drawn = drawing.draw(console.stdout_console(), images.images, captions) if captions else None
    console.show(*comparison.checkpoints(result, drawn))
    return ExitCode.OK


def is_checkpoint(name: str) -> bool:
    """Whether an argument of `compare` is a file from `train` rather than a network."""
    if name.lower() in registry.MODELS or name.endswith(".py"):
        return False
    return name.endswith(".safetensors") or Path(name).is_file()


def check_mode(context: typer.Context, names: list[str]) -> None:
    """Refuse what does not go with checkpoints: networks to train, and options of training."""
    others = [name for name in names if not is_checkpoint(name)]
    if others:
        raise UsageError(
            f"{others[0]} is no checkpoint: compare checkpoints with each other, or train networks"
        )
    fit = {"models", "seed", "show_disagreements", "model", "dataset", "data_dir", "device"}
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        given = source is not None and source.name == "COMMANDLINE"
        if given and parameter.name not in fit | {"json", "quiet"}:
            raise UsageError(
                f"{parameter.opts[0]} is for training; checkpoints are taken as they are"
            )


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
    from mnist_cli import drawing
    from mnist_cli.runs import samples

    with reporter(quiet) as on_event:
        result, chosen = samples.show_samples(options, on_event)
    captions = [drawing.caption(sample) for sample in result.samples]
    if output:
        from mnist_cli.grid import save_grid

        save_grid(output, chosen.images, captions)
    if json:
        console.show_json(result)
    elif output:
        console.show(f"Saved as {output}.")
    else:
        drawn = drawing.draw(console.stdout_console(), chosen.images, captions)
        console.show(*single.samples(result, drawn))


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Print the version, or the help where there is no command."""
    if version:
        console.show(f"mnist-cli {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        console.show(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


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
