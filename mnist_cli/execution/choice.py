"""Choosing who trains the runs."""

from collections.abc import Iterator
from contextlib import contextmanager

from mnist_cli.execution.executor import Executor
from mnist_cli.execution.in_process import InProcess
from mnist_cli.schema.events import OnEvent
from mnist_cli.schema.options import CompareOptions


@contextmanager
def executing(options: CompareOptions, on_event: OnEvent) -> Iterator[Executor]:
    """Whoever trains runs as `options` say; all processes that it started end with the context.

    Raises:
        UsageError: the device is not on this machine.
        MnistCliError: no scheduler answers.
    """
    execution = options.execution
    if execution.in_process:
        yield InProcess(options.device, execution.run_threads)
        return
    from mnist_cli.execution.workers import cluster_workers, local_workers

    workers = cluster_workers if execution.cluster else local_workers
    with workers(options, on_event) as executor:
        yield executor
