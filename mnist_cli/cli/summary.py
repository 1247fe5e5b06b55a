"""`mnist-cli summary`."""

from pathlib import Path
from typing import Annotated

import typer

from mnist_cli.cli import parameters as p
from mnist_cli.cli.outputs import Output, check_outputs
from mnist_cli.cli.working import working
from mnist_cli.errors import UsageError
from mnist_cli.report import console
from mnist_cli.report.network_tables import summary_table
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.protocol import MAX_BATCH_SIZE, Protocol

EXAMPLES = """
mnist-cli summary
mnist-cli summary cnn
mnist-cli summary cnn --diagram cnn.svg
"""


def summary(
    model: Annotated[
        ModelSpec | None, p.model_argument(help=f"{p.MODEL_HELP} All if omitted.")
    ] = None,
    batch_size: Annotated[
        int,
        typer.Option(
            parser=p.whole_number(1, MAX_BATCH_SIZE),
            metavar="N",
            help="Images for which operations and memory are counted.",
        ),
    ] = Protocol.batch_size,
    diagram: Annotated[
        Path | None,
        p.file_option(help="Draw the network's layers into FILE.svg, .png or .pdf."),
    ] = None,
    json: p.Json = False,
) -> None:
    """Show the layers, parameters and operations of one network, or the sizes of all."""
    if diagram:
        if model is None:
            raise UsageError("--diagram draws one network; name it")
        check_outputs([Output("--diagram", diagram, "picture")], {}, [model])
    from mnist_cli.workflows.summary import summarize_networks

    with working():
        result, tables = summarize_networks(model, batch_size)
    if diagram:
        from mnist_cli.report.pictures.diagram import save_diagram

        save_diagram(diagram, result.models[0])
    if json:
        console.show_json(result)
    elif diagram:
        console.show(f"Saved as {diagram}.")
    elif model:
        console.show_verbatim(tables[0])
    else:
        console.show(*summary_table(result))
