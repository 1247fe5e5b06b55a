"""What a worker process runs: `answer` measures networks and trains runs.

Its arguments are pickled bytes, because Dask would never end a run whose arguments a worker cannot
unpickle. Its answers are JSON, which the main process checks.
"""

import os
import pickle
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import torch
from distributed import get_worker

from mnist_cli.data import datasets
from mnist_cli.data.dataset import Dataset
from mnist_cli.errors import MnistCliError, Terminated
from mnist_cli.execution.trainer import Trainer
from mnist_cli.networks.identity import Bundle, unpack
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.datasets import NUM_CLASSES, DatasetInfo, DatasetName
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.options import DataOptions, Entry
from mnist_cli.schema.record import to_json
from mnist_cli.schema.runs import RunTask, WorkerAnswer
from mnist_cli.training.device import use_threads

SENT_SECONDS = 0.005  # so that a report is sent before the code of a run may end the process

ImageBytes = bytes
"""A pickled dataset."""


@dataclass(frozen=True)
class Job:
    """What all runs of a comparison share; `topic` names the comparison and its events."""

    topic: str
    device: str
    threads: int
    data_dir: str | None
    models: dict[str, tuple[ModelSpec, Bundle]]
    """Each network and its code files, by the name of the network."""
    num_classes: int = NUM_CLASSES


def answer(job: bytes, question: bytes, images: ImageBytes | None) -> str:
    """Describe this machine, measure an entry, or train a run, as the question says.

    Raises MnistCliError if the device does not exist or code cannot be imported.
    """
    shared: Job = pickle.loads(job)
    _send_report(shared.topic)  # the work on the question begins
    trainer = _make_trainer(job)
    use_threads(shared.threads)  # this setting belongs to the thread, not to the process
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


@lru_cache(maxsize=1)  # a process has one job at a time
def _make_trainer(job: bytes) -> Trainer:
    shared: Job = pickle.loads(job)
    device = choose_device(shared.device, get_worker().name)
    trainer = Trainer(device, shared.threads, shared.num_classes)
    folder = Path(get_worker().local_directory) / "mnist-cli"
    for name, (model, bundle) in shared.models.items():
        trainer.copies[name] = unpack(model, bundle, folder)
    return trainer


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
    return pickle.loads(images) if images else None


def _send_report(topic: str, *steps: int) -> None:
    """Report progress to the main process; raises Terminated if the run was cancelled."""
    worker = get_worker()
    key = worker.get_current_task()
    state = worker.state.tasks.get(key)
    if state is None or state.state == "cancelled":
        raise Terminated
    name = str(worker.name).rpartition("://")[2]  # 0 with --jobs, 10.0.0.7:41233 in a cluster
    worker.log_event(topic, {"key": key, "name": name, "steps": steps})
    if not steps:
        time.sleep(SENT_SECONDS)
