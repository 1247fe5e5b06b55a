"""`mnist-cli summary`."""

from typing import Annotated

import typer

from mnist_cli import registry
from mnist_cli.commands.parameters import (
    Json,
    OptionalModel,
)
from mnist_cli.config import (
    SummaryOptions,
)
from mnist_cli.progress import reporter
from mnist_cli.report import console, single


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
