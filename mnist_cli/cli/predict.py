"""`mnist-cli predict`."""

from pathlib import Path
from typing import Annotated

import typer

from mnist_cli.cli import parameters as p
from mnist_cli.cli.working import working
from mnist_cli.errors import ExitCode
from mnist_cli.report import console
from mnist_cli.report.network_tables import prediction_tables
from mnist_cli.schema.options import TrainOptions
from mnist_cli.system.streams import say

EXAMPLES = """
mnist-cli predict cnn.safetensors three.png
mnist-cli predict cnn.safetensors scans/ --json
"""


def predict(
    checkpoint: p.CheckpointFile,
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE", help="Pictures, folders of them, or - for standard input."),
    ],
    raw: p.Raw = False,
    model: p.Code = None,
    device: p.Device = TrainOptions.device,
    json: p.Json = False,
    quiet: p.Quiet = False,
) -> int:
    """Predict the classes of your own pictures, with probabilities."""
    from mnist_cli.report.pictures import terminal
    from mnist_cli.workflows.predict import predict_pictures

    with working(quiet) as on_event:
        result, seen = predict_pictures(checkpoint, images, model, device, on_event, raw=raw)
    if json:
        console.show_json(result)
    elif len(seen):
        captions = [
            terminal.picture_caption(picture, result.classes)
            for picture in result.pictures
            if not picture.failure
        ]
        drawn = terminal.draw(console.stdout_console(), seen, captions)
        console.show(*prediction_tables(result, drawn))
    failures = [picture.failure for picture in result.pictures if picture.failure]
    for failure in failures:
        say(f"error: {' '.join(failure.split())}")
    return ExitCode.FAILURE if failures else ExitCode.OK
