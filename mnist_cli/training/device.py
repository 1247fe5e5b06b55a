"""The device of a computation, its threads and its memory."""

import ctypes
import platform
import sys

import torch
from torch import nn

from mnist_cli import __version__
from mnist_cli.errors import UsageError
from mnist_cli.schema.results import Environment

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h of glibc


def resolve_device(name: str) -> torch.device:
    """The device of this name; `auto` is an accelerator if there is one, else the CPU.

    Raises UsageError if this machine does not have the device.
    """
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if name == "cpu" or (name == "auto" and accelerator is None):
        return torch.device("cpu")
    wanted = torch.device(accelerator if name == "auto" and accelerator else name)
    count = torch.accelerator.device_count()
    if accelerator is None or accelerator.type != wanted.type or (wanted.index or 0) >= count:
        kind = accelerator.type if accelerator else ""
        there = ["cpu", *(f"{kind}:{index}" for index in range(count))]
        raise UsageError(f"device {name} is not available; use {' or '.join(there)}")
    if wanted.index is None and wanted.type != "mps":
        wanted = torch.device(wanted.type, torch.accelerator.current_device_index())
    if wanted.type == "cuda":  # cuDNN's fastest convolutions are not deterministic
        torch.backends.cudnn.deterministic = True
    return wanted


def use_threads(count: int | None) -> None:
    """Compute with `count` threads from now on; None changes nothing.

    The number changes the last bits of results, because each thread sums a part of a batch.
    """
    if count is not None:
        torch.set_num_threads(count)


def _keep_freed() -> None:
    """Make glibc keep freed memory for the next allocation; with another C library, do nothing.

    By default, it may return the memory of large activations to the system in each step and get it
    back page by page. Without this, a training of StrongCNN had 1.5 million page faults; with it,
    0.3 million.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def place(model: nn.Module, device: torch.device) -> nn.Module:
    """Move `model` to `device`; on a CPU, use the channels-last layout, which is faster.

    From then on, the process keeps freed memory.
    """
    _keep_freed()
    if device.type == "cpu":
        return model.to(memory_format=torch.channels_last)
    return model.to(device)


def environment(device: torch.device) -> Environment:
    """Describe the machine for a result computed on `device`."""
    return Environment(
        device=str(device),
        processor=_processor(device),
        threads=torch.get_num_threads(),
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        torch=torch.__version__,
        python=platform.python_version(),
        platform=platform.platform(terse=True),
        mnist_cli=__version__,
    )


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished all its work."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _processor(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return str(torch.cpu.get_capabilities().get("cpu_name") or platform.machine())
