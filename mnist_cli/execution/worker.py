"""What a worker process runs: `answer` measures networks and trains runs.

Its arguments are pickled bytes, because Dask would never end a run whose arguments a worker cannot
unpickle. Its answers are JSON, which the main process checks.
"""

import os
import pickle
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from distributed import get_worker

from mnist_cli.data import datasets
from mnist_cli.data.dataset import Dataset, from_bytes
from mnist_cli.errors import MnistCliError, Terminated
from mnist_cli.execution.trainer import Trainer
from mnist_cli.networks.bundle import Bundle, unpack
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.datasets import NUM_CLASSES, DatasetInfo, DatasetName
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.options import DataOptions, Entry
from mnist_cli.schema.record import to_json
from mnist_cli.schema.runs import RunTask, WorkerAnswer
from mnist_cli.training.device import use_threads

SENT_SECONDS = 0.005  # so that a report is sent before the code of a run may end the process

ImageBytes = tuple[bytes, bytes, bytes, bytes]
"""A dataset, as `dataset.to_bytes` returns it."""


@dataclass(frozen=True)
class Job:
    """What all runs of a comparison share; `topic` names the comparison and its events."""

    topic: str
    device: str
    threads: int
    data_dir: str | None
    models: dict[str, tuple[ModelSpec, Bundle]]
    """The networks by name."""
    num_classes: int = NUM_CLASSES


class _JobTrainer(Trainer):
    """The trainer of a job; this process keeps it between runs."""

    def __init__(self, job: Job) -> None:
        super().__init__(choose_device(job.device, get_worker().name), job.threads, job.num_classes)
        self.topic = job.topic
        folder = Path(get_worker().local_directory) / "mnist-cli"
        self._models = {
            name: unpack(spec, bundle, folder) for name, (spec, bundle) in job.models.items()
        }

    def import_factory(self, model: ModelSpec) -> Callable[[], Any]:
        """Import the copy of its code that this machine has."""
        return super().import_factory(self._models[model.name])


_current: _JobTrainer | None = None


def answer(job: bytes, question: bytes, images: ImageBytes | None) -> str:
    """Describe this machine, measure an entry, or train a run, as the question says.

    Raises MnistCliError if the device does not exist or code cannot be imported.
    """
    shared: Job = pickle.loads(job)
    trainer = _get_trainer(shared)
    asked, info = pickle.loads(question)
    match asked:
        case RunTask():
            return to_json(_train(shared, trainer, asked, info, images))
        case Entry():
            return to_json(WorkerAnswer(measurement=trainer.measure(asked)))
        case _:
            return to_json(WorkerAnswer(environment=trainer.environment()))


def hold(images: ImageBytes) -> ImageBytes:
    """Return the images, so that Dask can send them to other workers."""
    return images


def choose_device(device: str, worker: int | str) -> str:
    """Choose the device of a worker: `device`, or one of several accelerators.

    The workers of --jobs have the names 0, 1, ...: with two GPUs, the first worker takes cuda:0 and
    the second cuda:1. The name of a worker of a cluster is a string; it takes `device`.
    """
    kind = torch.accelerator.current_accelerator(check_available=True)
    if isinstance(worker, int) and kind and device in {"auto", kind.type} and kind.type != "mps":
        return f"{kind.type}:{worker % torch.accelerator.device_count()}"
    return device


def shorten_name(name: int | str) -> str:
    """Shorten the name of a worker: `0` with --jobs, `10.0.0.7:41233` in a cluster."""
    return str(name).rpartition("://")[2]


def _get_trainer(job: Job) -> _JobTrainer:
    """The trainer of a job, made when its first question arrives."""
    global _current  # noqa: PLW0603 - a worker process has one job at a time
    _send_report(job.topic)  # the work on a question begins
    if _current is None or _current.topic != job.topic:
        _current = _JobTrainer(job)
    use_threads(job.threads)  # this setting belongs to the thread, not to the process
    return _current


def _train(
    job: Job, trainer: Trainer, task: RunTask, info: DatasetInfo, images: ImageBytes | None
) -> WorkerAnswer:
    """Train a run; the answer is the run, why it failed, or that the images are missing."""
    if trainer.examples is None:
        dataset = _find_dataset(job, info, images)
        if dataset is None:
            return WorkerAnswer(needs_images=True)
        trainer.hand_over(dataset)
    outcome = trainer.train(task, partial(_send_report, job.topic))
    if isinstance(outcome, Run):
        return WorkerAnswer(run=outcome)
    return WorkerAnswer(failure=outcome)


def _find_dataset(job: Job, info: DatasetInfo, images: ImageBytes | None) -> Dataset | None:
    """The dataset with the hash in `info`, from the disk of this machine, else from `images`."""
    places = (job.data_dir, os.environ.get("MNIST_CLI_DATA_DIR"), None)
    for folder in places if info.is_published else ():
        options = DataOptions(
            DatasetName(info.name), Path(folder) if folder else None, info.hold_out or None
        )
        with suppress(MnistCliError):  # a damaged copy counts as missing
            dataset = datasets.load_local(options)
            if dataset and dataset.info == info:
                return dataset
    return from_bytes(info, images) if images else None


def _send_report(topic: str, *steps: int) -> None:
    """Report progress to the main process; raises Terminated if the run was cancelled."""
    worker = get_worker()
    key = worker.get_current_task()
    state = worker.state.tasks.get(key)
    if state is None or state.state == "cancelled":
        raise Terminated
    worker.log_event(topic, {"key": key, "name": shorten_name(worker.name), "steps": steps})
    if not steps:
        time.sleep(SENT_SECONDS)
