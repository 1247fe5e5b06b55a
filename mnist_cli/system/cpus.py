"""The CPUs that this process may use, and how many of them other programs keep busy."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from math import ceil, floor, inf
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
BUSY = 0.5  # CPUs; background services of an idle machine use less

_began = inf, inf  # seconds of the clock, and CPU seconds of this process


def count_allowed() -> int:
    """How many CPUs affinity, cgroup quotas and SLURM_CPUS_PER_TASK allow; 1 at least.

    A quota is rounded down, as the system stops threads that exceed it.
    """
    slurm = os.environ.get("SLURM_CPUS_PER_TASK", "")
    limits = [_count_affine(), *_quotas(), int(slurm) if slurm.isdecimal() else inf]
    return max(1, floor(min(limits)))


def limit_threads() -> None:
    """Have libraries use `count_allowed()` threads by default; they know the affinity themselves.

    Call it before they are imported. OMP_NUM_THREADS, if it is set, decides.
    """
    allowed = count_allowed()
    if allowed < _count_affine():
        os.environ.setdefault("OMP_NUM_THREADS", str(allowed))


def start_watching() -> None:
    """Begin to measure the CPU time of other programs, for `find_free`."""
    global _began  # noqa: PLW0603 - a process has one clock
    import psutil

    psutil.cpu_percent()
    _began = time.perf_counter(), time.process_time()


def find_free() -> tuple[float, int]:
    """How many CPUs other programs have kept busy since `start_watching`, and how many they left.

    A busy machine has one free CPU at least. If this process may use only some CPUs, as in many
    containers, the figures of the machine mean nothing, and none is busy.
    """
    import psutil

    total, seconds = os.cpu_count() or 1, time.perf_counter() - _began[0]
    if count_allowed() < total or seconds <= 0:
        return 0.0, total
    own = (time.process_time() - _began[1]) / seconds
    busy = max(0.0, psutil.cpu_percent() / 100 * total - own)
    return busy, max(1, total - ceil(busy - BUSY))


def _count_affine() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas() -> Iterator[float]:
    """The CPU quotas of this process's cgroup and of those above it, in CPUs."""
    lines = OWN_CGROUPS.read_text().splitlines() if OWN_CGROUPS.exists() else []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = CGROUPS / "cpu" if controllers else CGROUPS  # version 1 names controllers
        folder = root / path.strip("/")
        for place in (folder, *folder.parents):
            with suppress(OSError, ValueError):  # no such file, or no limit, which is "max"
                if controllers:
                    files = place / "cpu.cfs_quota_us", place / "cpu.cfs_period_us"
                    quota, period = (int(file.read_text()) for file in files)
                else:
                    quota, period = map(int, (place / "cpu.max").read_text().split())
                if quota > 0:  # -1 is no limit in version 1
                    yield quota / period
            if place == root:
                break
