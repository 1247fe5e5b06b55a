"""`eval`: a checkpoint on a test set."""

from mnist_cli import engine
from mnist_cli.checkpoint import load
from mnist_cli.config import (
    EvalOptions,
)
from mnist_cli.data import datasets
from mnist_cli.device import environment, resolve_device
from mnist_cli.events import OnEvent
from mnist_cli.metrics import per_class
from mnist_cli.results import (
    EvalResult,
)
from mnist_cli.runs.common import data_of, on_device, restored, warn_of_leak


def evaluate(options: EvalOptions, on_event: OnEvent) -> EvalResult:
    """Measure a checkpoint on a test set, by default that of its own dataset.

    Raises:
        UsageError: the network is a custom one and was not named, or there is no such device.
        MnistCliError: the file or the data are damaged, or do not fit the network.
    """
    device = resolve_device(options.device)
    saved = load(options.checkpoint)
    model = restored(saved, options.model)
    dataset = datasets.load(data_of(options.data, saved), on_event)
    warn_of_leak(saved.record, dataset, on_event)
    evaluation = engine.evaluate(engine.place(model, device), on_device(dataset.test, device))
    figures = vars(saved.record) | {
        "dataset": dataset.info,
        "environment": environment(device),
        "test_accuracy": evaluation.test_accuracy,
        "test_loss": evaluation.test_loss,
        "checkpoint": str(options.checkpoint),
    }
    return EvalResult(
        **figures,
        trained_on=saved.record.dataset.name,
        trained_in=saved.record.environment,
        num_samples=evaluation.num_samples,
        per_class=per_class(evaluation.confusion_matrix),
        confusion_matrix=evaluation.confusion_matrix,
    )
