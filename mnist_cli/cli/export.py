"""`mnist-cli export`."""

from pathlib import Path
from typing import Annotated

from mnist_cli.cli import parameters as p
from mnist_cli.cli.outputs import NETWORK_KINDS, Output, check_outputs
from mnist_cli.cli.working import working
from mnist_cli.errors import UsageError
from mnist_cli.report import console
from mnist_cli.report.network_tables import export_lines
from mnist_cli.schema.options import DataOptions

EXAMPLES = """
mnist-cli export cnn.safetensors --output cnn.onnx
mnist-cli export wide.safetensors --model nets.py:wide --output wide.pt2
"""


def export(
    checkpoint: p.CheckpointFile,
    output: Annotated[Path, p.file_option(help="File to write: .onnx, .pt2 or .safetensors.")],
    model: p.Code = None,
    dataset: p.Dataset = DataOptions.dataset,  # type: ignore[assignment]
    as_digits: p.AsDigits = DataOptions.as_digits,
    data_dir: p.DataDir = None,
    json: p.Json = False,
    quiet: p.Quiet = False,
) -> None:
    """Write a trained network as a file that other programs load, and check it."""
    kind = NETWORK_KINDS.get(output.suffix.lower())
    if kind is None:
        raise UsageError(f"--output {output} must end in {', '.join(NETWORK_KINDS)}")
    check_outputs([Output("--output", output, kind)], {"CHECKPOINT": checkpoint})
    data = p.data_options(dataset, data_dir, as_digits=as_digits)
    from mnist_cli.data.datasets import prefetch

    prefetch(data, test_only=True)
    from mnist_cli.workflows.export import export_network

    with working(quiet) as on_event:
        result = export_network(checkpoint, output, model, data, on_event)
    console.emit(result, export_lines, as_json=json)
