"""`mnist-cli summary`."""

from typing import Annotated

import typer

from mnist_cli.cli import parameters as p
from mnist_cli.cli.working import working
from mnist_cli.networks import registry
from mnist_cli.report import console
from mnist_cli.report.network_tables import summary_table
from mnist_cli.schema.protocol import MAX_BATCH_SIZE, Protocol

EXAMPLES = """
mnist-cli summary
mnist-cli summary cnn
"""


def summary(
    model: Annotated[str | None, p.model_argument(help=f"{p.MODEL_HELP} All if omitted.")] = None,
    batch_size: Annotated[
        int,
        typer.Option(
            parser=p.whole_number(1, MAX_BATCH_SIZE),
            metavar="N",
            help="Images for which operations and memory are counted.",
        ),
    ] = Protocol.batch_size,
    json: p.Json = False,
) -> None:
    """Show the layers, parameters and operations of one network, or the sizes of all."""
    spec = registry.resolve(model) if model else None
    from mnist_cli.workflows.summary import summarize_networks

    with working():
        result, tables = summarize_networks(spec, batch_size)
    if json:
        console.show_json(result)
    elif model:
        console.show_verbatim(tables[0])
    else:
        console.show(*summary_table(result))
