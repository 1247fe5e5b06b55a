"""What a worker process does when it is asked: it measures networks and trains runs.

This program pickles the arguments, as Dask would let a run wait for ever if a worker cannot
unpickle them. Answers are JSON, so that they can be checked.
"""

import os
import pickle
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from distributed import get_worker

from mnist_cli.data import datasets
from mnist_cli.data.datasets import Dataset
from mnist_cli.errors import MnistCliError, Terminated
from mnist_cli.execution.trainer import Trainer
from mnist_cli.networks.bundle import Bundle, unpack
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.datasets import DatasetInfo, DatasetName
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.options import DataOptions, Entry
from mnist_cli.schema.record import to_json
from mnist_cli.schema.runs import RunTask, WorkerAnswer
from mnist_cli.training.device import use_threads
from mnist_cli.training.examples import Examples, to_device

SENT_SECONDS = 0.005  # so that a run is known to have begun before its code may end the process

ImageBytes = tuple[bytes, bytes, bytes, bytes]
"""A dataset as `datasets.to_bytes` packs it."""


@dataclass(frozen=True)
class Job:
    """What all runs of a comparison share; `topic` names it, and the events that it sends."""

    topic: str
    device: str
    threads: int
    data_dir: str | None
    models: dict[str, tuple[ModelSpec, Bundle]]
    """By the names of the entries."""


class _Comparison:
    """What this process keeps from run to run."""

    def __init__(self, job: Job) -> None:
        self.topic = job.topic
        self.trainer = Trainer(device_of(job.device, get_worker().name), job.threads)
        self.examples: tuple[Examples, Examples] | None = None
        folder = Path(get_worker().local_directory) / "mnist-cli"
        self._models = {
            name: unpack(spec, bundle, folder) for name, (spec, bundle) in job.models.items()
        }

    def in_place(self, entry: Entry) -> Entry:
        """The entry with its code where this process can import it."""
        return replace(entry, model=self._models[entry.name])


_current: _Comparison | None = None


def environment(job: bytes) -> str:
    """The machine of this process."""
    comparison = _comparison(job)
    return to_json(WorkerAnswer(environment=comparison.trainer.environment))


def measure(job: bytes, entry: bytes) -> str:
    """What an entry costs; raises MnistCliError where its code cannot be imported."""
    comparison = _comparison(job)
    measured = comparison.in_place(pickle.loads(entry))
    return to_json(WorkerAnswer(measurement=comparison.trainer.measure(measured)))


def train(job: bytes, task: bytes, info: bytes, images: ImageBytes | None) -> str:
    """Train a run; the answer is the run, why it failed, or that the images are missing."""
    comparison = _comparison(job)
    asked: RunTask = pickle.loads(task)
    if comparison.examples is None:
        dataset = _images(pickle.loads(job), pickle.loads(info), images)
        if dataset is None:
            return to_json(WorkerAnswer(needs_images=True))
        device = comparison.trainer.device
        comparison.examples = to_device(dataset.train, device), to_device(dataset.test, device)
    outcome = comparison.trainer.train(
        replace(asked, entry=comparison.in_place(asked.entry)),
        *comparison.examples,
        lambda *steps: _report(comparison.topic, *steps),
    )
    if isinstance(outcome, Run):
        return to_json(WorkerAnswer(run=outcome))
    return to_json(WorkerAnswer(failure=outcome))


def hold(images: ImageBytes) -> ImageBytes:
    """Return the images; Dask sends them to other workers, or calls this again."""
    return images


def device_of(device: str, worker: int | str) -> str:
    """Which device a worker trains on: `device` as it was asked for, or one accelerator of several.

    Workers that this program starts have the numbers 0, 1, ... as names: of two GPUs, the first
    worker takes cuda:0 and the second cuda:1. A worker of a cluster has a text as its name, and
    sees the GPUs that CUDA_VISIBLE_DEVICES leaves it.
    """
    kind = torch.accelerator.current_accelerator(check_available=True)
    if isinstance(worker, int) and kind and device in {"auto", kind.type} and kind.type != "mps":
        return f"{kind.type}:{worker % torch.accelerator.device_count()}"
    return device


def label(name: int | str) -> str:
    """`0` for the first worker that this program starts, `10.0.0.7:41233` for one of others."""
    return str(name).rpartition("://")[2]


def _comparison(job: bytes) -> _Comparison:
    """The comparison of a job; its code is imported when the first question arrives."""
    global _current  # noqa: PLW0603 - a worker process works for one at a time
    shared: Job = pickle.loads(job)
    _report(shared.topic)  # that it begins
    if _current is None or _current.topic != shared.topic:
        _current = _Comparison(shared)
    use_threads(shared.threads)  # of the thread that computes, not of the process
    return _current


def _images(job: Job, info: DatasetInfo, images: ImageBytes | None) -> Dataset | None:
    """The dataset with the right hash: from the disk of this machine, else from `images`."""
    for folder in (job.data_dir, os.environ.get("MNIST_CLI_DATA_DIR"), None):
        options = DataOptions(DatasetName(info.name), Path(folder) if folder else None)
        with suppress(MnistCliError):  # a damaged copy counts as missing
            dataset = datasets.load_local(options)
            if dataset and dataset.info == info:
                return dataset
    return datasets.from_bytes(info, images) if images else None


def _report(topic: str, *steps: int) -> None:
    """Report what this process does. Raises Terminated if the run was cancelled."""
    worker = get_worker()
    key = worker.get_current_task()
    state = worker.state.tasks.get(key)
    if state is None or state.state == "cancelled":
        raise Terminated
    worker.log_event(topic, {"key": key, "name": label(worker.name), "steps": steps})
    if not steps:
        time.sleep(SENT_SECONDS)
