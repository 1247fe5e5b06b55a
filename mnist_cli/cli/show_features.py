"""`mnist-cli show-features`."""

from pathlib import Path
from typing import Annotated

import typer

from mnist_cli.cli import parameters as p
from mnist_cli.cli.outputs import Output, check_outputs
from mnist_cli.cli.working import working
from mnist_cli.errors import UsageError
from mnist_cli.report import console
from mnist_cli.schema.options import DataOptions, FeaturesOptions

EXAMPLES = """
mnist-cli show-features cnn.safetensors --index 7
mnist-cli show-features cnn.safetensors three.png --output features.png
"""


def show_features(
    checkpoint: p.CheckpointFile,
    image: Annotated[
        Path | None,
        typer.Argument(
            metavar="IMAGE", help="A picture, instead of a test image.", show_default="--index 0"
        ),
    ] = None,
    index: Annotated[
        int | None,
        p.data_option(parser=p.whole_number(0), metavar="N", help="This test image, from 0 on."),
    ] = None,
    shift: Annotated[
        int,
        p.data_option(
            parser=p.whole_number(-27, 27), metavar="N", help="Move it N pixels to the right."
        ),
    ] = FeaturesOptions.shift,
    raw: p.Raw = False,
    dataset: p.Dataset = DataOptions.dataset,  # type: ignore[assignment]
    as_digits: p.AsDigits = DataOptions.as_digits,
    data_dir: p.DataDir = None,
    model: p.Code = None,
    output: Annotated[
        Path | None, p.file_option(help="Draw a page into FILE.png, .svg or .pdf instead.")
    ] = None,
    device: p.Device = FeaturesOptions.device,
    json: p.Json = False,
    quiet: p.Quiet = False,
) -> None:
    """Draw what each layer of a network makes of an image, and where the network looks."""
    if image and index is not None:
        raise UsageError("give an image or --index, not both")
    if raw and not image:
        raise UsageError("--raw needs an image")
    if output:
        inputs = {"CHECKPOINT": checkpoint, "IMAGE": image}
        check_outputs([Output("--output", output, "picture")], inputs)
    options = FeaturesOptions(
        checkpoint=checkpoint,
        picture=image,
        index=index or 0,
        raw=raw,
        shift=shift,
        output=output,
        model=model,
        data=p.data_options(dataset, data_dir, as_digits=as_digits),
        device=device,
    )
    from mnist_cli.workflows.show_features import find_features

    with working(quiet) as on_event:
        result, features = find_features(options, on_event)
    if output:
        from mnist_cli.report.pictures.features import save_features

        save_features(output, result, features)
    if json:
        console.show_json(result)
    elif output:
        console.show(f"Saved as {output}.")
    else:
        from mnist_cli.report.pictures.small_features import draw_features

        console.show(draw_features(console.stdout_console(), result, features))
