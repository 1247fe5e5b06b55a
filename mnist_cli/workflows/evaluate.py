"""`eval`: evaluates a checkpoint on test images."""

from pathlib import Path

from mnist_cli.comparison.statistics import sampling_error
from mnist_cli.data import datasets
from mnist_cli.schema.events import OnEvent
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.options import DataOptions
from mnist_cli.schema.results import EvalResult
from mnist_cli.training.checkpoint import load
from mnist_cli.training.device import environment, place, resolve_device
from mnist_cli.training.evaluation import evaluate, per_class
from mnist_cli.training.examples import to_device
from mnist_cli.workflows.shared import choose_data, restore_network, warn_of_leak


def evaluate_checkpoint(
    path: Path, custom: ModelSpec | None, data: DataOptions, device_name: str, on_event: OnEvent
) -> EvalResult:
    """Evaluate a checkpoint on test images, by default those of its own dataset.

    `custom` names the code of a custom network.
    """
    device = resolve_device(device_name)
    saved = load(path)
    model = restore_network(saved, custom, on_event)
    record = saved.record
    dataset, test = datasets.load_test(choose_data(data, saved), on_event, record.dataset)
    warn_of_leak(record, dataset, on_event)
    evaluation = evaluate(place(model, device), to_device(test, device))
    where = {"dataset": dataset, "environment": environment(device), "checkpoint": str(path)}
    return EvalResult(
        **(vars(record) | vars(evaluation) | where),
        trained_on=record.dataset.name,
        trained_in=record.environment,
        per_class=per_class(evaluation.confusion_matrix),
        sampling_error=sampling_error(evaluation.test_accuracy, evaluation.num_samples),
    )
