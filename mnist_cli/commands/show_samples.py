"""`mnist-cli show-samples`."""

from pathlib import Path
from typing import Annotated

import typer

from mnist_cli import registry
from mnist_cli.commands.parameters import (
    Code,
    DataDir,
    Dataset,
    Device,
    Json,
    Quiet,
)
from mnist_cli.config import (
    DataOptions,
    SamplesOptions,
    Split,
)
from mnist_cli.progress import reporter
from mnist_cli.report import console, single


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
    from mnist_cli.pictures import terminal
    from mnist_cli.runs import samples

    with reporter(quiet) as on_event:
        result, chosen = samples.show_samples(options, on_event)
    captions = [terminal.caption(sample) for sample in result.samples]
    if output:
        from mnist_cli.pictures.grid import save_grid

        save_grid(output, chosen.images, captions)
    if json:
        console.show_json(result)
    elif output:
        console.show(f"Saved as {output}.")
    else:
        drawn = terminal.draw(console.stdout_console(), chosen.images, captions)
        console.show(*single.samples(result, drawn))
