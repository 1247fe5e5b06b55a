"""`mnist-cli compare`: trains and compares networks, or compares checkpoints or exports."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mnist_cli.cli import parameters as p
from mnist_cli.cli.compare_networks import compare_exports, compare_networks
from mnist_cli.cli.vary import KEYS, Values, combine, parse_varied
from mnist_cli.cli.working import working
from mnist_cli.errors import ExitCode, UsageError
from mnist_cli.networks import registry
from mnist_cli.report import console
from mnist_cli.report.comparison_tables import checkpoint_tables
from mnist_cli.schema.comparison import LOOKS, Settling
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.options import (
    AUTO,
    MAX_JOBS,
    MAX_SEEDS,
    CheckpointsOptions,
    CompareOptions,
    DataOptions,
    ExecutionOptions,
    ExportOptions,
    GateOptions,
)
from mnist_cli.schema.protocol import Settings

DISAGREEMENTS_SHOWN = 9


class Kind(StrEnum):
    """What the arguments of `compare` are."""

    NETWORKS = "networks"
    CHECKPOINTS = "checkpoints"
    EXPORTS = "exports"


SUFFIXES = {".safetensors": Kind.CHECKPOINTS, ".json": Kind.EXPORTS}
# The panels of --help, and the single parameters, that apply without training. With exports, the
# report reads test images from the data folder.
ALLOWED = {
    Kind.CHECKPOINTS: {
        p.CHECKPOINTS,
        "models",
        "dataset",
        "as_digits",
        "data_dir",
        "seed",
        "device",
        "json",
        "quiet",
    },
    Kind.EXPORTS: {p.OUTPUT, p.GATES, "models", "data_dir"},
}
EXAMPLES = """
mnist-cli compare --seeds 5
mnist-cli compare mlp cnn --seeds auto --report report.html
mnist-cli compare mlp --vary lr=0.001,0.003 --seeds 5 --plot lr.svg
mnist-cli compare mlp --vary lr=0.001,0.004 --seeds auto --find-best
mnist-cli compare mlp --seeds 5 --baseline main.json --fail-on-regression
mnist-cli compare a.json b.json
mnist-cli compare mlp.safetensors cnn.safetensors --show-disagreements
"""


def compare(
    context: typer.Context,
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODELS",
            autocompletion=p.complete_model,
            help=f"{p.MODEL_HELP} All if omitted. Or checkpoints, FILE.safetensors; or exports of "
            "one comparison with different seeds, FILE.json.",
        ),
    ] = None,
    dataset: p.Dataset = DataOptions.dataset,  # type: ignore[assignment]
    as_digits: p.AsDigits = DataOptions.as_digits,
    data_dir: p.DataDir = None,
    hold_out: p.HoldOut = None,
    augment: p.Augment = None,
    shuffle_pixels: p.ShufflePixels = None,
    recipe: p.RecipeOption = Settings.recipe,
    epochs: p.Epochs = None,
    batch_size: p.BatchSize = None,
    lr: p.LearningRate = None,
    optimizer: p.OptimizerOption = None,
    momentum: p.Momentum = None,
    nesterov: p.Nesterov = None,
    weight_decay: p.WeightDecay = None,
    schedule: p.ScheduleOption = None,
    warmup: p.Warmup = None,
    vary: Annotated[
        list[str] | None,
        p.training_option(
            metavar="SETTING=...",
            help="Compare settings as well, e.g. lr=0.001,0.003: training options, precision and "
            "dropout (multiplies the network's own). Repeat it for all combinations; verdicts "
            "are then on pairs that differ in one thing.",
        ),
    ] = None,
    target: Annotated[
        float | None,
        p.training_option(
            parser=p.fraction,
            metavar="FRACTION",
            help="Train each network until it has this accuracy, and rank by time.",
        ),
    ] = None,
    seed: Annotated[
        int, p.seed_option(help=f"First seed. {p.SEED_HELP}", rich_help_panel=p.SEEDS)
    ] = CompareOptions.seed,
    seeds: Annotated[
        int,
        p.seeds_option(
            parser=p.number_or_auto(MAX_SEEDS),
            metavar="N|auto",
            help="Runs of each network, from --seed on; auto adds runs until each pair has a "
            "verdict.",
        ),
    ] = CompareOptions.seeds,
    max_seeds: Annotated[
        int,
        p.seeds_option(
            parser=p.whole_number(LOOKS[0], LOOKS[-1]),
            metavar="N",
            help="Maximum number of runs of each network with --seeds auto, which tests each pair "
            f"after {', '.join(map(str, LOOKS))} runs. A pair that N runs are unlikely to decide "
            "gets no more.",
        ),
    ] = 40,
    find_best: Annotated[
        bool,
        p.seeds_option(
            "--find-best",
            help="With --seeds auto, look for the best network only: one that is surely not the "
            "best gets no more runs.",
        ),
    ] = False,
    time_limit: Annotated[
        float | None,
        p.seeds_option(
            parser=p.duration,
            metavar="TIME",
            help="Stop --seeds auto after about this long, e.g. 90s, 10m or 1h30m.",
        ),
    ] = None,
    margin: Annotated[
        float | None,
        p.seeds_option(
            parser=p.positive_fraction,
            metavar="FRACTION",
            help="Two networks are equivalent if the interval of their difference lies within "
            "this, e.g. 0.002. With --find-best, find the best or one within this of it.",
        ),
    ] = None,
    export_json: Annotated[
        Path | None,
        p.file_option(help="Write all figures as JSON, after each run; - is standard output."),
    ] = None,
    export_csv: Annotated[
        Path | None,
        p.file_option(help="Write all runs as CSV, after each run; - is standard output."),
    ] = None,
    export_markdown: Annotated[
        Path | None,
        p.file_option(help="Write tables as Markdown, after each run; - is standard output."),
    ] = None,
    export_latex: Annotated[
        Path | None,
        p.file_option(help="Write a table for LaTeX, after each run; - is standard output."),
    ] = None,
    plot: Annotated[
        Path | None,
        p.file_option(help="Plot accuracy, cost and learning curves in FILE.png, .svg or .pdf."),
    ] = None,
    report: Annotated[
        Path | None, p.file_option(help="Write a self-contained HTML report, FILE.html.")
    ] = None,
    json: p.Json = False,
    quiet: p.Quiet = False,
    min_accuracy: Annotated[
        float | None,
        p.min_accuracy_option(
            help="Exit with code 3 if a network's test accuracy is lower, or with several seeds "
            "significantly lower, e.g. 0.97.",
        ),
    ] = None,
    max_seconds: Annotated[
        float | None,
        p.gate_option(
            parser=p.positive_number,
            metavar="SECONDS",
            help="Exit with code 3 if a network's training time is significantly longer.",
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        p.gate_option(metavar="FILE", help="Show what changed since this file of --export-json."),
    ] = None,
    fail_on_regression: Annotated[
        bool,
        p.gate_option(
            "--fail-on-regression",
            help="Exit with code 3 if an accuracy is significantly lower than in --baseline.",
        ),
    ] = GateOptions.fail_on_regression,
    device: p.Device = CompareOptions.device,
    precision: p.PrecisionOption = Settings.precision,
    threads: Annotated[
        int | None, p.threads_option(show_default="all cores; 1 with --jobs")
    ] = None,
    jobs: Annotated[
        int,
        p.execution_option(
            parser=p.number_or_auto(MAX_JOBS),
            metavar="N|auto",
            help="Worker processes that train at the same time; auto is as many as fit. Times are "
            "not reported for runs that shared a machine.",
        ),
    ] = ExecutionOptions.jobs,
    cluster: Annotated[
        str | None,
        p.execution_option(
            metavar="ADDRESS|FILE",
            help="Train on the workers of this Dask scheduler, e.g. tcp://node1:8786.",
        ),
    ] = None,
    run_timeout: Annotated[
        float | None,
        p.execution_option(
            parser=p.duration,
            metavar="TIME",
            help="Kill a run after this long, e.g. 10m; it counts as failed.",
        ),
    ] = None,
    journal: Annotated[
        Path | None,
        p.execution_option(
            metavar="FILE",
            help="Keep finished runs in FILE; the same command continues from there.",
            show_default="in the user state folder",
        ),
    ] = None,
    show_disagreements: Annotated[
        bool,
        p.checkpoint_option(
            "--show-disagreements",
            help="Draw images that only some checkpoints classify correctly.",
        ),
    ] = False,
    model: Annotated[
        list[ModelSpec] | None, p.code_option(help=f"{p.CODE_HELP} Repeatable.")
    ] = None,
) -> int:
    """Compare networks or trained checkpoints: which is better, and is it significant?"""
    names = models or list(registry.MODELS)
    kind = find_kind(names)
    varied = parse_varied(vary or ())
    _check_options(context, kind, varied)
    data = p.data_options(dataset, data_dir, hold_out=hold_out, as_digits=as_digits)
    if kind == Kind.CHECKPOINTS:
        checkpoints = CheckpointsOptions(
            checkpoints=tuple(map(Path, names)),
            models=tuple(model or ()),
            data=data,
            device=device,
            seed=seed,
            show_disagreements=DISAGREEMENTS_SHOWN if show_disagreements else 0,
        )
        return _compare_checkpoints(checkpoints, json=json, quiet=quiet)
    networks = _resolve_networks(names) if kind == Kind.NETWORKS else []
    options = CompareOptions(
        entries=combine(networks, p.settings_from(locals()), varied),
        data=data,
        device=device,
        seed=seed,
        seeds=seeds,
        settle=Settling(max_seeds, find_best=find_best) if seeds == AUTO else None,
        time_limit=time_limit,
        margin=margin,
        target=target,
        journal=journal,
        baseline=baseline,
        execution=ExecutionOptions(jobs, threads, cluster, run_timeout),
        gates=GateOptions(min_accuracy, max_seconds, fail_on_regression),
        files=ExportOptions(export_json, export_csv, export_markdown, export_latex, plot, report),
    )
    if kind == Kind.EXPORTS:
        return compare_exports(list(map(Path, names)), options, json=json, quiet=quiet)
    return compare_networks(options, json=json, quiet=quiet)


def _compare_checkpoints(options: CheckpointsOptions, *, json: bool, quiet: bool) -> int:
    """Evaluate checkpoints on the same images, show how they differ, and return the exit code."""
    if len(set(options.checkpoints)) < max(2, len(options.checkpoints)):
        raise UsageError("name two or more checkpoints to compare, each once")
    from mnist_cli.data.datasets import prefetch

    prefetch(options.data, test_only=True)
    from mnist_cli.report.pictures import terminal
    from mnist_cli.workflows import compare_checkpoints as workflow

    with working(quiet) as on_event:
        result, images = workflow.compare_checkpoints(options, on_event)
    if json:
        console.show_json(result)
        return ExitCode.OK
    captions = [terminal.disputed_caption(each, result.dataset.classes) for each in result.disputed]
    drawn = terminal.draw(console.stdout_console(), images.images, captions) if captions else None
    console.show(*checkpoint_tables(result, drawn))
    return ExitCode.OK


def find_kind(names: list[str]) -> Kind:
    """What the arguments of `compare` are; raises UsageError if they are of several kinds."""
    kinds = {SUFFIXES.get(Path(name).suffix.lower(), Kind.NETWORKS): name for name in names[::-1]}
    if len(kinds) > 1:
        mixed = " and ".join(f"{name} ({kind})" for kind, name in kinds.items())
        raise UsageError(f"cannot compare {mixed}; give arguments of one kind")
    return next(iter(kinds))


def _resolve_networks(names: list[str]) -> list[ModelSpec]:
    specs = list(map(registry.resolve, names))
    for spec in specs:
        if specs.count(spec) > 1:
            raise UsageError(f"{spec.name} is named twice; name each network once")
    return specs


def _check_options(context: typer.Context, kind: Kind, varied: Mapping[str, Values]) -> None:
    """Raise UsageError for options that do not fit the arguments or each other."""
    flags: dict[str, str] = {}  # the options that are given, by the name of the parameter
    for parameter in context.command.params:
        name, panel = parameter.name, getattr(parameter, "rich_help_panel", None)
        source = context.get_parameter_source(name)
        if source is None or source.name != "COMMANDLINE":
            continue
        flags[name] = flag = parameter.opts[0]
        if kind == Kind.NETWORKS and panel == p.CHECKPOINTS:
            raise UsageError(f"{flag} is for checkpoints; name two or more files from train")
        if kind != Kind.NETWORKS and not ALLOWED[kind] & {name, panel}:
            raise UsageError(f"{flag} is for training; {kind} are not trained")
    for key in varied:
        if KEYS[key] in flags:
            raise UsageError(f"--{key} and --vary {key} conflict; drop one")
    is_auto = context.params["seeds"] == AUTO
    if is_auto and "target" in flags:
        raise UsageError("--target and --seeds auto do not go together; drop one")
    if "baseline" in flags and "find_best" in flags:
        raise UsageError(
            "--baseline tells how each network changed, but --find-best gives few runs to those "
            "that are not the best; drop one"
        )
    for name in ("max_seeds", "find_best", "time_limit"):
        if name in flags and not is_auto:
            raise UsageError(f"{flags[name]} needs --seeds auto")
