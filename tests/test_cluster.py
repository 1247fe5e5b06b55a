"""`compare --cluster` on a scheduler and workers that are started as a person would."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mnist_cli.errors import ExitCode, MnistCliError, UsageError
from mnist_cli.execution import engine
from mnist_cli.execution.engine import cluster_client
from tests.conftest import RunCli, run_process, start, write_dataset
from tests.test_jobs import SHADES, lines, wait_for

NET = "from shades import linear\n\n\ndef net():\n    return linear()\n"
Begin = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Start `dask ...` in a folder of its own, where no images and no networks are."""
    begun: list[subprocess.Popen[bytes]] = []
    far = tmp_path / "far"
    far.mkdir()

    def start_dask(*arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        environment = {
            **{key: value for key, value in os.environ.items() if key != "MNIST_CLI_DATA_DIR"},
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "XDG_CACHE_HOME": str(far),
            **variables,
        }
        command = [sys.executable, "-m", "dask", *arguments, "--no-dashboard"]
        with open(far / f"{len(begun)}.log", "wb") as log:
            process = subprocess.Popen(command, cwd=far, env=environment, stdout=log, stderr=log)
        begun.append(process)
        return process

    yield start_dask
    for process in begun:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with all that it started."""
    if process.poll() is None:
        family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        for child in family:
            child.kill()
    process.wait(10)


def scheduler(begin: Begin) -> tuple[subprocess.Popen[bytes], Path]:
    file = Path("far/scheduler.json").absolute()
    local = ("--host", "127.0.0.1", "--port", "0")
    process = begin("scheduler", *local, "--scheduler-file", str(file))
    wait_for(file.exists)
    return process, file


def worker(begin: Begin, file: Path, threads: int = 1, **variables: str) -> Any:
    return begin(
        *("worker", "--scheduler-file", str(file), "--host", "127.0.0.1", "--nworkers", "1"),
        *("--nthreads", str(threads)),
        **variables,
    )


@pytest.mark.full  # it takes half a minute
def test_a_comparison_on_workers_that_come_and_go(
    begin: Begin, run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("own.py").write_text(NET)
    Path("shades.py").write_text(SHADES)
    monkeypatch.delenv("MNIST_CLI_DATA_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_dataset(tmp_path / "cache" / "mnist-cli" / "FashionMNIST")
    command = ("compare", "mlp", "own.py:net", "--dataset", "fashion-mnist", "--epochs", "100")
    seeds = ("--seeds", "3", "--threads", "1")
    here = run_cli(*command, *seeds, "--journal", "here.jsonl")
    assert here.code == ExitCode.OK, here.err

    # The images and a network with its neighbour are not there: both travel.
    first, file = scheduler(begin)
    steady, other = worker(begin, file), worker(begin, file)
    # One worker process is killed, the other leaves for good, and a third comes.
    process = start(*command, *seeds, "--cluster", str(file), "--journal", "moved.jsonl")
    wait_for(lambda: Path("moved.jsonl").exists() and runs("moved.jsonl") >= 1)
    [killed] = psutil.Process(steady.pid).children(recursive=False)[-1:]
    killed.kill()
    end(other)
    worker(begin, file)
    out, err = process.communicate(timeout=100)
    assert process.returncode == ExitCode.OK, err
    assert "own.py:net" in out
    assert lines("here.jsonl") == lines("moved.jsonl")

    # The scheduler is lost: one line, soon, and the same command goes on without it.
    process = start(*command, *seeds, "--cluster", str(file), "--journal", "lost.jsonl")
    wait_for(lambda: Path("lost.jsonl").exists() and runs("lost.jsonl") >= 1)
    killed_at = time.monotonic()
    end(first)
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - killed_at < 10
    assert (process.returncode, out) == (ExitCode.FAILURE, "")
    assert err.splitlines()[-1].startswith("error: lost the scheduler at ")
    assert "Traceback" not in err
    assert 1 <= runs("lost.jsonl") < 6
    again = run_cli(*command, *seeds, "--journal", "lost.jsonl")
    assert again.code == ExitCode.OK, again.err
    assert " runs are in " in again.err
    assert lines("here.jsonl") == lines("lost.jsonl")


def runs(path: str) -> int:
    return Path(path).read_bytes().count(b'"run"')


@pytest.mark.full  # it takes nine seconds
def test_workers_that_do_not_fit_are_named(begin: Begin, tmp_path: Path) -> None:
    older = tmp_path / "older" / "mnist_cli"
    older.mkdir(parents=True)
    (older / "__init__.py").write_text('__version__ = "0.0.1"\n')
    _, file = scheduler(begin)
    command = ("compare", "mlp", "--dataset", "mnist5k", "--cluster", str(file))
    process = start(*command)
    assert process.stderr is not None
    assert process.stderr.readline() == f"connecting to {file}\n"
    assert "no worker is connected to" in process.stderr.readline()
    late = worker(begin, file, PYTHONPATH=str(older.parent))
    _, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.FAILURE
    [line] = err.splitlines()
    assert line.startswith("error: the worker tcp://127.0.0.1:")
    assert "has mnist_cli 0.0.1, not " in line
    end(late)
    worker(begin, file, threads=2)
    several = run_process(*command, "--quiet")
    assert several.code == ExitCode.FAILURE
    assert "would train several runs in one process: start it with --nthreads 1" in several.err


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nofile.json", "there is no file nofile.json; name one that dask scheduler"),
        ("n" * 300, "there is no file nnn"),
        ("own.py", "own.py is not a scheduler file; name the one written by: dask scheduler"),
        ("list.json", "list.json is not a scheduler file"),
        ("bytes.json", "bytes.json is not a scheduler file"),
    ],
)
def test_what_is_no_scheduler_is_named(place: str, message: str) -> None:
    Path("own.py").write_text(NET)
    Path("list.json").write_text("[1]")
    Path("bytes.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=re.escape(message)), cluster_client(place):
        pass


@pytest.mark.parametrize("place", ["http://x:1", "tcp://:::", "a:b:c", "tcp://127.0.0.1:x"])
def test_odd_addresses_are_one_line(place: str) -> None:
    with pytest.raises(MnistCliError, match="no scheduler answers at"), cluster_client(place):
        pass


def test_somebody_else_who_listens_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        place = f"tcp://127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(MnistCliError, match=place), cluster_client(place):
            pass


@pytest.mark.full  # it takes eight seconds
def test_a_scheduler_that_does_not_answer_is_named() -> None:
    outcome = run_process("compare", "mlp", "--cluster", "tcp://127.0.0.1:9")
    assert outcome.code == ExitCode.FAILURE
    [_, line] = outcome.err.splitlines()
    assert (
        line == "error: no scheduler answers at tcp://127.0.0.1:9; start one with: dask scheduler"
    )
