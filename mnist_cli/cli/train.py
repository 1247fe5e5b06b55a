"""`mnist-cli train`."""

import os
from pathlib import Path
from typing import Annotated

from mnist_cli.cli import parameters as p
from mnist_cli.cli.outputs import Output, check_outputs
from mnist_cli.cli.working import judge_accuracy, report_gates, working
from mnist_cli.report import console
from mnist_cli.report.network_tables import training_table
from mnist_cli.report.progress import show_sign_of_life
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.options import DataOptions, TrainOptions
from mnist_cli.schema.protocol import Protocol
from mnist_cli.system.cpus import start_watching
from mnist_cli.training.recipes import protocol_of

EXAMPLES = """
mnist-cli train cnn
mnist-cli train mlp --recipe fast --plot curve.png
mnist-cli train nets.py:wide --epochs 3 --output wide.safetensors
"""


def train(
    model: Annotated[ModelSpec, p.model_argument(help=p.MODEL_HELP)],
    dataset: p.Dataset = DataOptions.dataset,  # type: ignore[assignment]
    as_digits: p.AsDigits = DataOptions.as_digits,
    data_dir: p.DataDir = None,
    hold_out: p.HoldOut = None,
    augment: p.Augment = None,
    shuffle_pixels: p.ShufflePixels = None,
    recipe: p.RecipeOption = Protocol.recipe,
    epochs: p.Epochs = None,
    batch_size: p.BatchSize = None,
    lr: p.LearningRate = None,
    optimizer: p.OptimizerOption = None,
    momentum: p.Momentum = None,
    nesterov: p.Nesterov = None,
    weight_decay: p.WeightDecay = None,
    schedule: p.ScheduleOption = None,
    warmup: p.Warmup = None,
    resume: Annotated[
        Path | None,
        p.training_option(metavar="FILE", help="Checkpoint to continue, up to --epochs in all."),
    ] = None,
    seed: Annotated[
        int, p.seed_option(help=p.SEED_HELP, rich_help_panel=p.TRAINING)
    ] = TrainOptions.seed,
    output: Annotated[
        Path | None,
        p.file_option(
            help="Checkpoint to write, after every epoch.",
            show_default="the network's name, e.g. mlp.safetensors",
        ),
    ] = None,
    plot: Annotated[
        Path | None, p.file_option(help="Draw the learning curve in FILE.png, .svg or .pdf.")
    ] = None,
    json: p.Json = False,
    quiet: p.Quiet = False,
    min_accuracy: p.MinAccuracy = None,
    device: p.Device = TrainOptions.device,
    precision: p.PrecisionOption = TrainOptions.precision,
    threads: Annotated[int | None, p.threads_option(show_default="all cores")] = None,
) -> int:
    """Train one network and save it as a checkpoint."""
    options = TrainOptions(
        model=model,
        protocol=protocol_of(p.settings_from(locals()), model),
        data=p.data_options(dataset, data_dir, hold_out=hold_out, as_digits=as_digits),
        device=device,
        precision=precision,
        seed=seed,
        output=output,
        resume=resume,
        threads=threads,
    )
    outputs = [Output("--plot", plot, "picture")] if plot else []
    # Replacing a resumed file is intended, and reading it checks it.
    if resume is None or os.path.realpath(options.checkpoint) != os.path.realpath(resume):
        outputs.append(Output("--output", options.checkpoint, "checkpoint"))
    check_outputs(outputs, {"--resume": resume}, [model])
    show_sign_of_life(quiet)
    start_watching()
    from mnist_cli.data.datasets import prefetch

    prefetch(options.data)
    from mnist_cli.workflows.train import train_network

    with working(quiet) as on_event:
        result = train_network(options, on_event)
    console.emit(result, training_table, as_json=json)
    if plot:
        from mnist_cli.report.pictures.plots import plot_training

        plot_training(plot, result)
    gates = judge_accuracy(result.test_accuracy, min_accuracy, result.dataset.evaluated_on)
    return report_gates(gates, quiet=quiet)
