"""`mnist-cli summary`."""

from mnist_cli.cli import parameters as p
from mnist_cli.cli.working import working
from mnist_cli.networks import registry
from mnist_cli.report import console
from mnist_cli.report.network_tables import summary_table
from mnist_cli.schema.protocol import Protocol


def summary(
    model: p.OptionalModel = None,
    batch_size: p.SummaryBatchSize = Protocol.batch_size,
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
