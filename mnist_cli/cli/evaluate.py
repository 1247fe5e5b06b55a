"""`mnist-cli eval`."""

from mnist_cli.cli import parameters as p
from mnist_cli.cli.working import judge_accuracy, report_gates, working
from mnist_cli.report import console
from mnist_cli.report.network_tables import evaluation_tables
from mnist_cli.schema.options import DataOptions, TrainOptions

EXAMPLES = """
mnist-cli eval cnn.safetensors
mnist-cli eval cnn.safetensors --dataset scans/ --as-digits
mnist-cli eval wide.safetensors --model nets.py:wide --min-accuracy 0.97
"""


def evaluate(
    checkpoint: p.CheckpointFile,
    model: p.Code = None,
    dataset: p.Dataset = DataOptions.dataset,  # type: ignore[assignment]
    as_digits: p.AsDigits = DataOptions.as_digits,
    data_dir: p.DataDir = None,
    min_accuracy: p.MinAccuracy = None,
    device: p.Device = TrainOptions.device,
    json: p.Json = False,
    quiet: p.Quiet = False,
) -> int:
    """Evaluate a checkpoint on the test images, class by class."""
    data = p.data_options(dataset, data_dir, as_digits=as_digits)
    from mnist_cli.data.datasets import prefetch

    prefetch(data, test_only=True)
    from mnist_cli.workflows.evaluate import evaluate_checkpoint

    with working(quiet) as on_event:
        result = evaluate_checkpoint(checkpoint, model, data, device, on_event)
    console.emit(result, evaluation_tables, as_json=json)
    return report_gates(judge_accuracy(result.test_accuracy, min_accuracy), quiet=quiet)
