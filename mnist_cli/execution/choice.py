"""Choosing who trains the runs."""

from collections.abc import Iterator
from contextlib import contextmanager

from mnist_cli.execution.executor import Executor
from mnist_cli.execution.in_process import InProcess
from mnist_cli.schema.options import ExecutionOptions


@contextmanager
def executing(options: ExecutionOptions, device: str) -> Iterator[Executor]:
    """Whoever trains runs as `options` say; all its processes are gone when the context ends.

    Raises:
        UsageError: the device is not on this machine.
        MnistCliError: workers cannot be started or reached.
    """
    if options.in_process:
        yield InProcess(device, options.run_threads)
        return
    raise NotImplementedError
