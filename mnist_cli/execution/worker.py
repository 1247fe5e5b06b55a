"""The functions that a worker process runs: they measure networks and train runs.

Their arguments are pickled bytes, because Dask would never end a run whose arguments a worker
cannot unpickle. Their answers are JSON, which the main process checks.
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
from mnist_cli.training.examples import Examples, to_device

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
    """The networks by the names of their entries."""
    num_classes: int = NUM_CLASSES


class _Comparison:
    """What this process keeps between runs."""

    def __init__(self, job: Job) -> None:
        self.topic = job.topic
        device = choose_device(job.device, get_worker().name)
        self.trainer = Trainer(device, job.threads, job.num_classes)
        self.examples: tuple[Examples, Examples] | None = None
        folder = Path(get_worker().local_directory) / "mnist-cli"
        self._models = {
            name: unpack(spec, bundle, folder) for name, (spec, bundle) in job.models.items()
        }

    def localize(self, entry: Entry) -> Entry:
        """Replace the network of `entry` by the copy of its code that this machine has."""
        return replace(entry, model=self._models[entry.name])


_current: _Comparison | None = None


def environment(job: bytes) -> str:
    """The machine of this process."""
    comparison = _get_comparison(job)
    return to_json(WorkerAnswer(environment=comparison.trainer.environment))


def measure(job: bytes, entry: bytes) -> str:
    """Measure the cost of an entry; raises MnistCliError if its code cannot be imported."""
    comparison = _get_comparison(job)
    local = comparison.localize(pickle.loads(entry))
    return to_json(WorkerAnswer(measurement=comparison.trainer.measure(local)))


def train(job: bytes, task: bytes, info: bytes, images: ImageBytes | None) -> str:
    """Train a run; the answer is the run, why it failed, or that the images are missing."""
    comparison = _get_comparison(job)
    run: RunTask = pickle.loads(task)
    if comparison.examples is None:
        dataset = _find_dataset(pickle.loads(job), pickle.loads(info), images)
        if dataset is None:
            return to_json(WorkerAnswer(needs_images=True))
        device = comparison.trainer.device
        comparison.examples = to_device(dataset.train, device), to_device(dataset.test, device)
    outcome = comparison.trainer.train(
        replace(run, entry=comparison.localize(run.entry)),
        *comparison.examples,
        lambda *steps: _send_report(comparison.topic, *steps),
    )
    if isinstance(outcome, Run):
        return to_json(WorkerAnswer(run=outcome))
    return to_json(WorkerAnswer(failure=outcome))


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


def _get_comparison(job: bytes) -> _Comparison:
    """The comparison of a job, made when its first question arrives."""
    global _current  # noqa: PLW0603 - a worker process has one comparison at a time
    shared: Job = pickle.loads(job)
    _send_report(shared.topic)  # the work on a question begins
    if _current is None or _current.topic != shared.topic:
        _current = _Comparison(shared)
    use_threads(shared.threads)  # this setting belongs to the thread, not to the process
    return _current


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
    worker.log_event(topic, {"key": key, "name": shorten_name(worker.name), "steps": steps})
    if not steps:
        time.sleep(SENT_SECONDS)
