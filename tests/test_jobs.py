"""`compare --jobs`, as it is typed: worker processes change nothing but the time it takes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from mnist_cli.cli.parameters import number_or_auto
from mnist_cli.errors import ExitCode
from mnist_cli.execution import worker
from mnist_cli.execution.trainer import Trainer
from mnist_cli.networks.registry import resolve
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.datasets import DatasetName
from mnist_cli.schema.options import CompareOptions, DataOptions, Entry
from mnist_cli.schema.protocol import Settings
from mnist_cli.schema.runs import OnProgress, RunTask
from mnist_cli.training.recipes import protocol_of
from mnist_cli.workflows import compare_networks
from tests.conftest import Outcome, RunCli, run_process, start

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
DATA = ("--dataset", "mnist5k", "--epochs", "1")
MEASURED = {"train_seconds", "cpu_seconds", "runs_at_once"}  # of a run, and different each time

NETS = """
import ctypes, os, signal, threading, time
import torch
from torch import nn
from shades import linear


def net():
    # It must not delay the end of the command; in the process of the tests, it would delay theirs.
    threading.Thread(target=time.sleep, args=(3600,), daemon=os.getpid() == TESTS).start()
    print("printed by a network")
    return linear()


class Bad(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = linear()

    def forward(self, images):
        if self.training:
            self.fail()
        return self.layers(images)


class Hangs(Bad):
    def fail(self):
        time.sleep(3600)


class HoldsPython(Bad):
    # No other thread of its process runs meanwhile.

    def fail(self):
        open(f"held-{os.getpid()}", "w").close()
        ctypes.PyDLL(None).sleep(3600)


class Killed(Bad):
    def fail(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Unlucky(Bad):
    def fail(self):
        if torch.initial_seed() != 1 and os.path.exists("third"):
            raise RuntimeError("out of luck")


def leaves():
    os._exit(3)
"""
SHADES = """
from torch import nn


def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
"""


@pytest.fixture(autouse=True)
def own() -> None:
    Path("own.py").write_text(f"TESTS = {os.getpid()}\n{NETS}")
    Path("shades.py").write_text(SHADES)


def lines(path: str) -> list[Any]:
    """A journal without what a run took."""
    read = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    for line in read[1:-1]:
        for measured in (line["run"], *line["run"]["history"]):
            for key in MEASURED & measured.keys():
                del measured[key]
        del line["checksum"]
    return read


@pytest.mark.full  # it takes five seconds
def test_any_number_of_jobs_gives_the_same(run_cli: RunCli) -> None:
    shown: dict[str, Outcome] = {}
    for jobs, run in (("1", run_cli), ("2", run_process)):
        shown[jobs] = run(
            *("compare", "mlp", "own.py:net", *DATA, "--seeds", "2", "--threads", "1"),
            *("--jobs", jobs, "--journal", f"{jobs}.jsonl", "--json"),
        )
        assert shown[jobs].code == ExitCode.OK, shown[jobs].err
    assert lines("1.jsonl") == lines("2.jsonl")
    one, two = (shown[jobs].json for jobs in ("1", "2"))
    assert one["verdicts"] == two["verdicts"]
    assert [run["runs_at_once"] for row in two["models"] for run in row["runs"]] == [2] * 4
    assert all(row["figures"]["train_seconds_median"] is None for row in two["models"])
    assert all(row["figures"]["train_seconds_median"] for row in one["models"])
    assert "printed by a network" in shown["2"].err
    again = run_cli(
        *("compare", "mlp", "own.py:net", *DATA, "--seeds", "2", "--threads", "1"),
        *("--journal", "2.jsonl"),
    )
    assert "nothing is left to train" in again.err
    assert "The whole comparison took" in again.out


@posix
@pytest.mark.full  # it ends and starts eight workers
def test_networks_that_end_or_hold_their_process_fail_alone() -> None:
    outcome = run_process(
        *("compare", "mlp", "own.py:Killed", "own.py:Hangs", "own.py:leaves", *DATA),
        *("--jobs", "2", "--run-timeout", "2s"),
    )
    assert outcome.code == ExitCode.FAILURE
    assert "own.py:Killed failed: seed 0: its worker process was ended (SIGKILL) in each of 4" in (
        outcome.out
    )
    assert "own.py:Hangs failed: seed 0: it took longer than --run-timeout" in outcome.out
    assert "own.py:leaves cannot be created: SystemExit: it called os._exit(3) (" in outcome.out
    assert "mlp: test loss" in outcome.err
    assert "No times, as the runs shared their machine: --jobs 1 measures them." in outcome.out
    assert "Traceback" not in outcome.err


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def begun(*arguments: str) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """A comparison whose workers hang, and its processes but for the first."""
    command = ("compare", "own.py:Hangs", "mlp", *DATA, "--seeds", "2", "--jobs", "2")
    process = start(*command, *arguments, "--journal", "runs.jsonl")
    assert process.stderr is not None
    assert process.stderr.readline() == "starting 2 workers\n"
    assert "mlp seed 0" in process.stderr.readline()
    return process, psutil.Process(process.pid).children(recursive=True)


def gone_within(seconds: float, processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, seconds)
    for process in alive:
        process.kill()
    return not alive


@pytest.mark.full  # it takes five seconds for each signal
@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_is_left_whatever_ends_the_command(number: signal.Signals) -> None:
    process, children = begun()
    try:
        ports = [
            connection.laddr.ip
            for each in (psutil.Process(process.pid), *children)
            for connection in each.net_connections()
            if connection.status == psutil.CONN_LISTEN
        ]
    finally:
        process.send_signal(number)
    assert ports
    assert set(ports) == {"127.0.0.1"}
    _, err = process.communicate(timeout=30)
    assert gone_within(10, children)
    assert Path("runs.jsonl").read_bytes().count(b"\n") >= 2
    if number != signal.SIGKILL:
        assert process.returncode == 128 + number
        assert "the same command continues" in err
        assert "Traceback" not in err


@pytest.mark.full  # it takes six seconds for each signal
@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_network_that_lets_no_thread_run_ends_with_the_command(number: signal.Signals) -> None:
    process = start("compare", "own.py:HoldsPython", "mlp", *DATA, "--jobs", "2", "--json")
    [held] = wait_for(lambda: list(Path().glob("held-*")))
    if number == signal.SIGTERM:
        assert process.stderr is not None
        while "mlp" not in process.stderr.readline():
            pass
    child = psutil.Process(int(held.name.removeprefix("held-")))
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert gone_within(10, [child])
    if number == signal.SIGTERM:  # what is known is printed
        assert process.returncode == 128 + number
        assert err.endswith("terminated\n")
        assert [len(row["runs"]) for row in json.loads(out)["models"]] == [0, 1]


@posix
@pytest.mark.full  # it takes five seconds
def test_a_worker_that_is_killed_while_it_starts() -> None:
    process = start("compare", "mlp", *DATA, "--jobs", "2")
    family = psutil.Process(process.pid)

    def starting() -> list[psutil.Process]:
        found = []
        for child in family.children(recursive=True):
            with suppress(psutil.Error):  # it has just ended
                found += [child] if "spawn_main" in " ".join(child.cmdline()) else []
        return found

    wait_for(starting)
    starting()[0].kill()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (ExitCode.FAILURE, "")
    [_, line] = err.splitlines()
    assert line.startswith("error: worker processes did not start (")


@pytest.mark.full  # it takes eight seconds
def test_seeds_are_added_by_several_workers_too(run_cli: RunCli) -> None:
    command = ("compare", "mlp", "own.py:net", *DATA, "--seeds", "auto", "--max-seeds", "5")
    alone = run_cli(*command, "--threads", "1", "--journal", "1.jsonl")
    several = run_process(*command, "--jobs", "2", "--journal", "2.jsonl")
    assert alone.code == several.code == ExitCode.OK
    assert lines("1.jsonl") == lines("2.jsonl")


def test_one_job_imports_no_engine() -> None:
    code = (
        "import sys; from mnist_cli.cli.app import run;"
        "run(['compare', 'mlp', *sys.argv[1:]]); sys.exit('distributed' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *DATA], check=False, capture_output=True)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--jobs", "0"), "'0' is neither auto nor a number from 1"),
        (("--jobs", "x"), "'x' is neither auto nor a number from 1"),
        (("--threads", "0"), "--threads"),
        (("--jobs", "2", "--target", "0.9"), "--target needs times, which are not measured"),
        (("--jobs", "auto", "--max-seconds", "3"), "--max-seconds needs times"),
        (("--cluster", "tcp://127.0.0.1:9", "--jobs", "2"), "drop --jobs"),
        (("--cluster", ""), "--cluster needs the address of a scheduler, or the file that it"),
    ],
)
def test_options_that_do_not_fit(run_cli: RunCli, arguments: tuple[str, ...], message: str) -> None:
    outcome = run_cli("compare", "mlp", *arguments)
    assert outcome.code == ExitCode.USAGE
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_jobs_are_counted() -> None:
    assert list(map(number_or_auto(64), ("AUTO", "64"))) == [0, 64]


@pytest.mark.parametrize(
    ("device", "name", "expected"),
    [
        ("auto", 0, "cuda:0"),
        ("cuda", 3, "cuda:1"),
        ("cuda:1", 0, "cuda:1"),
        ("cpu", 1, "cpu"),
        ("cuda", "tcp://other:1", "cuda"),
    ],
)
def test_workers_share_the_accelerators_out(
    device: str, name: int | str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule alone: no GPU takes part."""
    import torch

    there = torch.device("cuda")
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: there)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    assert worker.choose_device(device, name) == expected


class Leaving(Trainer):
    """An executor whose only worker is away each time that a run has finished."""

    slots = 0

    def train_all(
        self, tasks: Sequence[RunTask], on_progress: OnProgress
    ) -> list[tuple[RunTask, Run | str]]:
        self.slots = 0 if tasks else 1
        return super().train_all(tasks, on_progress)


def test_runs_wait_for_a_worker_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    leaving = nullcontext(Leaving("cpu", 1))
    monkeypatch.setattr(compare_networks, "executing", lambda *options: leaving)
    spec = resolve("mlp")
    entry = Entry(spec, protocol_of(Settings(epochs=1), spec))
    options = CompareOptions((entry,), DataOptions(DatasetName.MNIST5K), seeds=2)
    *_, result = compare_networks.compare_networks(options, print)
    assert len(result.models[0].runs) == 2


@posix
def test_ctrl_c_while_workers_start_is_quiet() -> None:
    process = start(
        *("compare", "mlp", *DATA, "--epochs", "500", "--seeds", "50", "--jobs", "2"),
        start_new_session=True,
    )
    family = psutil.Process(process.pid)
    wait_for(lambda: len(family.children(recursive=True)) > 1)
    children = family.children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    _, err = process.communicate(timeout=30)
    assert gone_within(10, children)
    assert (process.returncode, err) == (128 + signal.SIGINT, "starting 2 workers\ninterrupted\n")
