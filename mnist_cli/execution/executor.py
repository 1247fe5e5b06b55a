"""Chooses the executor that trains the runs of a comparison: this process, or worker processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import torch

from mnist_cli.execution.trainer import Trainer
from mnist_cli.formatting import plural
from mnist_cli.schema.datasets import NUM_CLASSES
from mnist_cli.schema.events import OnEvent, Waiting
from mnist_cli.schema.options import CompareOptions

if TYPE_CHECKING:
    from mnist_cli.execution.workers import Workers

Executor: TypeAlias = "Trainer | Workers"


@contextmanager
def executing(
    options: CompareOptions, on_event: OnEvent, num_classes: int = NUM_CLASSES
) -> Iterator[Executor]:
    """Yield the executor that `options` select; its processes end with the context."""
    execution, threads = options.execution, options.execution.run_threads
    if execution.in_process:
        yield Trainer(options.device, threads, num_classes)
        return
    from mnist_cli.execution.engine import cluster_client, count_jobs_that_fit, local_client
    from mnist_cli.execution.workers import Workers

    threads = threads or torch.get_num_threads()
    if execution.cluster is not None:
        jobs, connected = 1, cluster_client(execution.cluster)
        on_event(Waiting(f"connecting to {execution.cluster}"))
    else:
        jobs = execution.jobs or count_jobs_that_fit(options.device, threads)
        connected = local_client(jobs, threads)
        on_event(Waiting(f"starting {plural(jobs, 'worker')}"))
    with connected as client:
        yield Workers(client, options, threads, on_event, jobs, num_classes)
