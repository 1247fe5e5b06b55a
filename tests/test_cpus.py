"""How many CPUs a process may use, from made-up limits, and what is said on a busy machine."""

import os
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from mnist_cli.schema.events import Event, Notice
from mnist_cli.system import cpus
from mnist_cli.workflows import shared
from tests.conftest import RunCli, run_process, start_python
from tests.made_up import MACHINE

find_free = cpus.find_free
needs_affinity = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="the system has no affinity"
)


@pytest.fixture
def cgroups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine of eight CPUs with an empty tree of cgroups, in which this process is /a/b."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    monkeypatch.setattr(cpus, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(cpus, "OWN_CGROUPS", tmp_path / "own")
    (tmp_path / "own").write_text("12:memory:/m\n3:cpu,cpuacct:/a/b\n0::/a/b\n")
    return tmp_path / "cgroup"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8),
        ({"a/b/cpu.max": "max 100000"}, 8),
        ({"a/b/cpu.max": "300000 100000"}, 3),
        ({"a/b/cpu.max": "399999 100000"}, 3),
        ({"a/b/cpu.max": "50000 100000"}, 1),
        ({"a/cpu.max": "200000 100000", "a/b/cpu.max": "max 100000"}, 2),
        ({"cpu.max": "200000 100000"}, 2),
        ({"a/b/cpu.max": "900000 100000"}, 8),
        ({"a/b/cpu.max": "what is this"}, 8),
        ({"cpu/a/b/cpu.cfs_quota_us": "-1", "cpu/a/b/cpu.cfs_period_us": "100000"}, 8),
        ({"cpu/a/b/cpu.cfs_quota_us": "250000", "cpu/a/b/cpu.cfs_period_us": "50000"}, 5),
        ({"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2),
    ],
)
def test_quotas_of_both_versions_count(cgroups: Path, files: dict[str, str], expected: int) -> None:
    for name, text in files.items():
        (cgroups / name).parent.mkdir(parents=True, exist_ok=True)
        (cgroups / name).write_text(text)
    assert cpus.count_allowed() == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("2", 2), ("99", 8), ("0", 1), ("", 8), ("2(x3)", 8)]
)
def test_a_batch_system_may_allow_fewer(
    cgroups: Path, monkeypatch: pytest.MonkeyPatch, value: str, expected: int
) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", value)
    assert cpus.count_allowed() == expected


def test_threads_are_limited_only_where_libraries_would_start_more(
    cgroups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    cpus.limit_threads()
    assert "OMP_NUM_THREADS" not in os.environ
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    cpus.limit_threads()
    assert os.environ["OMP_NUM_THREADS"] == "3"
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    cpus.limit_threads()
    assert os.environ["OMP_NUM_THREADS"] == "5"


@needs_affinity
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one CPU cannot be limited")
def test_a_command_takes_as_many_threads_as_the_batch_system_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    outcome = run_process("train", "mlp", "--dataset", "mnist5k", "--epochs", "1", "--json")
    assert outcome.json["environment"]["threads"] == 1


@pytest.mark.parametrize(
    ("percent", "own_seconds", "expected"),
    [
        (12.5, 1.0, (0.0, 8)),  # this process alone
        (20.0, 1.0, (0.6, 7)),
        (12.5, 3.0, (0.0, 8)),  # the two clocks may differ
        (37.5, 1.0, (2.0, 6)),
        (100.0, 0.0, (8.0, 1)),
    ],
)
def test_other_programs_are_all_but_this_process(
    cgroups: Path,
    monkeypatch: pytest.MonkeyPatch,
    percent: float,
    own_seconds: float,
    expected: tuple[float, int],
) -> None:
    monkeypatch.setattr(psutil, "cpu_percent", lambda: percent)
    clock = {"perf_counter": 100.0, "process_time": 5.0}
    monkeypatch.setattr(time, "perf_counter", lambda: clock["perf_counter"])
    monkeypatch.setattr(time, "process_time", lambda: clock["process_time"])
    cpus.start_watching()
    clock |= {"perf_counter": 101.0, "process_time": 5.0 + own_seconds}
    busy, free = find_free()
    assert (round(busy, 6), free) == expected


def test_nothing_is_known_before_the_start_or_with_some_of_the_cpus(
    cgroups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "cpu_percent", lambda: 100.0)
    monkeypatch.setattr(cpus, "_began", (float("inf"), float("inf")))
    assert find_free() == (0.0, 8)
    cpus.start_watching()
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "2")
    assert find_free() == (0.0, 8)


@pytest.mark.parametrize(
    ("device", "threads", "free", "told"),
    [
        ("cpu", 2, (1.0, 1), True),
        ("cpu", 1, (1.0, 1), False),
        ("cpu", 4, (1.0, 7), False),  # as with two hardware threads a core
        ("cpu", 8, (1.0, 7), True),
        ("cpu", 8, (0.5, 8), False),
        ("cuda:0", 8, (1.0, 7), False),
    ],
)
def test_a_notice_only_where_threads_would_wait(
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    threads: int,
    free: tuple[float, int],
    told: bool,
) -> None:
    monkeypatch.setattr(cpus, "find_free", lambda: free)
    seen: list[Event] = []
    shared.warn_of_busy_cpus(replace(MACHINE, device=device, threads=threads), seen.append)
    assert len(seen) == told
    if told:
        assert isinstance(seen[0], Notice)
        assert f"give --threads {free[1]} while they run" in seen[0].text


@pytest.mark.parametrize("command", ["train", "compare"])
def test_both_commands_ask(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr(cpus, "find_free", lambda: (1.3, 1))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    arguments = (command, "mlp", "--dataset", "mnist5k", "--epochs", "1")
    expected = (
        "notice: other programs keep 1.3 CPUs busy: 2 threads may take several times as "
        "long as usual; give --threads 1 while they run"
    )
    assert run_cli(*arguments).err.splitlines().count(expected) == 1


def test_a_process_that_computes_is_seen() -> None:
    """All CPUs are busy then, whatever else the machine does."""
    for _ in range(os.cpu_count() or 1):
        start_python("-c", "while True: pass")
    time.sleep(0.3)  # until they have started
    cpus.start_watching()
    time.sleep(0.5)
    busy, free = find_free()
    if cpus.count_allowed() == os.cpu_count():
        assert busy > cpus.BUSY
        assert free < (os.cpu_count() or 1) or free == 1
