"""`mnist-cli compare`: networks that are trained, or checkpoints as they are."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

from mnist_cli.cli import parameters as p
from mnist_cli.cli.compare_checkpoints import compare_checkpoints
from mnist_cli.cli.compare_exports import compare_exports
from mnist_cli.cli.compare_networks import compare_networks
from mnist_cli.cli.vary import KEYS, entries, parsed
from mnist_cli.errors import UsageError
from mnist_cli.networks import registry
from mnist_cli.schema.options import (
    CheckpointsOptions,
    CompareOptions,
    DataOptions,
    ExecutionOptions,
    ExportOptions,
    GateOptions,
    SettleOptions,
)
from mnist_cli.schema.protocol import Settings

DISAGREEMENTS_SHOWN = 9


def compare(
    context: typer.Context,
    models: p.Models = None,
    vary: p.Vary = None,
    recipe: p.RecipeOption = Settings.recipe,
    epochs: p.Epochs = None,
    batch_size: p.BatchSize = None,
    lr: p.LearningRate = None,
    seed: p.Seed = CompareOptions.seed,
    seeds: p.Seeds = CompareOptions.seeds,
    until_settled: p.UntilSettled = False,
    max_seeds: p.MaxSeeds = SettleOptions.max_seeds,
    time_limit: p.TimeLimit = None,
    margin: p.Margin = None,
    target: p.Target = None,
    journal: p.JournalFile = None,
    export_json: p.ExportJson = None,
    export_csv: p.ExportCsv = None,
    export_markdown: p.ExportMarkdown = None,
    export_latex: p.ExportLatex = None,
    plot: p.CostPlot = None,
    report: p.ReportFile = None,
    min_accuracy: p.MinAccuracy = None,
    max_seconds: p.MaxSeconds = None,
    baseline: p.BaselineFile = None,
    fail_on_regression: p.FailOnRegression = GateOptions.fail_on_regression,
    from_exports: p.FromExports = False,
    show_disagreements: p.ShowDisagreements = False,
    model: p.Codes = None,
    dataset: p.Dataset = DataOptions.dataset,
    data_dir: p.DataDir = None,
    device: p.Device = CompareOptions.device,
    precision: p.PrecisionOption = Settings.precision,
    threads: p.Threads = None,
    jobs: p.Jobs = None,
    cluster: p.Cluster = None,
    run_limit: p.RunLimit = None,
    json: p.Json = False,
    quiet: p.Quiet = False,
) -> int:
    """Train several networks alike, or take checkpoints: which is better, and how surely?"""
    data = DataOptions(dataset, data_dir)
    gates = GateOptions(min_accuracy, max_seconds, fail_on_regression)
    files = ExportOptions(
        export_json, export_csv, export_markdown, export_latex, plot=plot, report=report
    )
    if from_exports:
        _check_given(context)
        paths = list(map(Path, models or ()))
        return compare_exports(paths, data, baseline, gates, files, json=json, quiet=quiet)
    names = models or list(registry.MODELS)
    if any(map(is_checkpoint, names)):
        networks = [name for name in names if not is_checkpoint(name)]
        if networks:
            raise UsageError(
                f"{networks[0]} is no checkpoint: compare checkpoints with each other, or train "
                "networks"
            )
        refuse(
            context, {p.TRAINING, p.FILES, p.GATES}, "training; checkpoints are taken as they are"
        )
        checkpoints = CheckpointsOptions(
            checkpoints=tuple(map(Path, names)),
            models=tuple(map(registry.resolve, model or ())),
            data=data,
            device=device,
            seed=seed,
            show_disagreements=DISAGREEMENTS_SHOWN if show_disagreements else 0,
        )
        return compare_checkpoints(checkpoints, json=json, quiet=quiet)
    refuse(context, {p.CHECKPOINTS}, "checkpoints; name two or more files from train")
    specs = [registry.resolve(name) for name in names]
    twice = [spec.name for spec in specs if specs.count(spec) > 1]
    if twice:
        raise UsageError(f"{twice[0]} is named twice; name each network once")
    varied = parsed(vary or ())
    flags = {parameter.name: parameter.opts[0] for parameter in given(context)}
    for key in varied:
        if KEYS[key] in flags:
            raise UsageError(f"{flags[KEYS[key]]} and --vary set the same; drop one")
    for name in ("seeds", "target") if until_settled else ("max_seeds", "time_limit"):
        if name in flags and until_settled:
            raise UsageError(f"{flags[name]} and --until-settled do not go together; drop one")
        if name in flags:
            raise UsageError(f"{flags[name]} needs --until-settled")
    settings = Settings(recipe, epochs, batch_size, lr, precision=precision)
    options = CompareOptions(
        entries=entries(specs, settings, varied),
        data=data,
        device=device,
        seed=seed,
        seeds=seeds,
        settle=SettleOptions(max_seeds, time_limit) if until_settled else None,
        margin=margin,
        target=target,
        journal=journal,
        baseline=baseline,
        execution=ExecutionOptions(
            ExecutionOptions.jobs if jobs is None else jobs, threads, cluster, run_limit
        ),
    )
    return compare_networks(options, gates, files, json=json, quiet=quiet)


def _check_given(context: typer.Context) -> None:
    """Raise UsageError where --from has no files, or an option that is for training."""
    # The folder is looked into for the images of a report.
    others = {"from_exports", "models", "baseline", "data_dir", "json", "quiet"}
    for parameter in given(context):
        panel = getattr(parameter, "rich_help_panel", None)
        if panel not in {p.FILES, p.GATES} and parameter.name not in others:
            raise UsageError(f"{parameter.opts[0]} is for training; exports are taken as they are")
    if not context.params["models"]:
        raise UsageError("--from needs the files of --export-json that are to be put together")


def is_checkpoint(name: str) -> bool:
    """Whether an argument of `compare` is a file from `train` rather than a network."""
    if name.lower() in registry.MODELS or name.endswith(".py"):
        return False
    with suppress(OSError):  # it is too long for a file
        return name.endswith(".safetensors") or Path(name).is_file()
    return False


def refuse(context: typer.Context, panels: set[str], purpose: str) -> None:
    """Raise UsageError where an option under one of the headings `panels` of --help was given."""
    for parameter in given(context):
        if getattr(parameter, "rich_help_panel", None) in panels:
            raise UsageError(f"{parameter.opts[0]} is for {purpose}")


def given(context: typer.Context) -> list[Any]:
    """The parameters that stand on the command line."""
    return [
        parameter
        for parameter in context.command.params
        if (source := context.get_parameter_source(parameter.name or ""))
        and source.name == "COMMANDLINE"
    ]
