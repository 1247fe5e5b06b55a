"""`mnist-cli compare`: networks that are trained, or checkpoints as they are."""

from pathlib import Path
from typing import Annotated

import typer

from mnist_cli import recipes, registry
from mnist_cli.commands import gate
from mnist_cli.commands.parameters import (
    BatchSize,
    Codes,
    DataDir,
    Dataset,
    Device,
    Epochs,
    Json,
    LearningRate,
    MinAccuracy,
    Models,
    PrecisionOption,
    Quiet,
    RecipeOption,
    Seed,
)
from mnist_cli.config import (
    CheckpointsOptions,
    CompareOptions,
    DataOptions,
    ExportOptions,
    GateOptions,
    Protocol,
)
from mnist_cli.errors import ExitCode, UsageError
from mnist_cli.gates import unmet
from mnist_cli.progress import reporter
from mnist_cli.report import comparison, console, export, phrases
from mnist_cli.streams import say

DISAGREEMENTS_SHOWN = 9


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
            metavar="FILE",
            help="Keep finished runs in FILE; the same command goes on from there.",
            show_default="a new one in the user state folder",
        ),
    ] = None,
    export_json: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write all figures as JSON, after each run; - is standard output."
        ),
    ] = None,
    export_csv: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write all runs as CSV, after each run; - is standard output."
        ),
    ] = None,
    export_markdown: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write tables as Markdown, after each run; - is standard output."
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Draw accuracy against size and time in FILE.png, .svg or .pdf."
        ),
    ] = None,
    min_accuracy: MinAccuracy = None,
    max_seconds: Annotated[
        float | None,
        typer.Option(help="Exit with code 3 if a network's training time is surely longer."),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Show what changed since this file of --export-json."),
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
    twice = [spec.name for spec in specs if specs.count(spec) > 1]
    if twice:
        raise UsageError(f"{twice[0]} is named twice; name each network once")
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
    files.check_apart(journal, "--journal")
    files.check_apart(baseline, "--baseline")
    if json and files.to_stdout:
        raise UsageError("--json and an export to - cannot both have standard output")
    from mnist_cli.runs import compare as comparing

    with reporter(quiet) as on_event:
        for result in comparing.compare(options, on_event):
            export.write(result, files)
    try:
        if files.to_stdout:
            export.write_stdout(result, files)
        else:
            console.emit(result, comparison.comparison, as_json=json)
    finally:  # each of the two may fail, and the other be wanted all the more
        if plot and any(row.figures for row in result.models):
            from mnist_cli.pictures.plots import plot_comparison

            plot_comparison(plot, result)
    code = gate.passed(unmet(result, gates))
    failures = phrases.failures(result)
    if failures:
        say(f"error: {'; '.join(failures)}")
        return ExitCode.FAILURE
    return code


def compare_checkpoints(options: CheckpointsOptions, *, json: bool, quiet: bool) -> int:
    """`compare` with files from `train`."""
    from mnist_cli.pictures import terminal
    from mnist_cli.runs import checkpoints

    with reporter(quiet) as on_event:
        result, images = checkpoints.compare_checkpoints(options, on_event)
    if json:
        console.show_json(result)
        return ExitCode.OK
    captions = [terminal.disputed_caption(image) for image in result.disputed]
    drawn = terminal.draw(console.stdout_console(), images.images, captions) if captions else None
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
