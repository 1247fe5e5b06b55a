"""What all tests share: a command line that reaches no network and writes nowhere else."""

import gc
import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mnist_cli.cli import app
from mnist_cli.system import cpus
from tests.idx_format import idx_bytes
from tests.mirror import Mirror

# On a busy machine, threads that wait for each other make a small network a hundred times slower.
os.environ["OMP_NUM_THREADS"] = "1"

# A background job of a shell ignores Ctrl-C, and so would the processes that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A worker a core and one more, as each uses one thread and some tests wait for processes.

    The full tests use all threads themselves.
    """
    return 1 if config.option.markexpr == "full" else min(os.cpu_count() or 1, 4) + 1


def pytest_collection_finish() -> None:
    """Leave what was imported out of garbage collection, as the command itself does."""
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


RunCli = Callable[..., Outcome]
_started: list[subprocess.Popen[Any]] = []


@pytest.fixture(autouse=True)
def isolated(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """An empty working directory and data folder, and mirrors where nothing listens."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNIST_CLI_DATA_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("MNIST_CLI_STATE_DIR", str(tmp_path_factory.mktemp("state")))
    monkeypatch.setenv("MNIST_CLI_MIRROR", "http://127.0.0.1:9/")
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cpus, "find_free", lambda: (0.0, os.cpu_count()))  # tests keep all busy
    # The same result when a test imports a custom network from the working directory.
    monkeypatch.setattr(sys, "path", sys.path.copy())
    yield
    while _started:  # a test that failed may have left its process behind
        process = _started.pop()
        process.kill()
        process.wait(10)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:  # not read to its end, as a process that it started may hold it open
                pipe.close()


@pytest.fixture
def run_cli(capsys: pytest.CaptureFixture[str]) -> RunCli:
    """Run a command line in this process."""

    def run(*arguments: str | Path) -> Outcome:
        capsys.readouterr()
        code = app.run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return run


def start_python(*arguments: str, **options: Any) -> subprocess.Popen[Any]:
    """Start a process of this Python, which ends with the test at the latest."""
    process = subprocess.Popen([sys.executable, *arguments], **options)
    _started.append(process)
    return process


def start(*arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    """Start the real command as a process of its own."""
    environment = os.environ | options.pop("env", {})
    return start_python(
        *("-m", "mnist_cli", *map(str, arguments)),
        stdout=options.pop("stdout", subprocess.PIPE),
        stderr=options.pop("stderr", subprocess.PIPE),
        text=True,
        encoding="utf-8",
        env=environment,
        **options,
    )


def run_process(*arguments: str | Path, **options: Any) -> Outcome:
    """Run the real command to its end."""
    process = start(*arguments, **options)
    out, err = process.communicate(timeout=100)
    return Outcome(process.returncode, out, err)


def made_images(count: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Random pixels and every label in turn."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    return pixels, (np.arange(count) % 10).astype(np.uint8)


def write_files(files: dict[str, str]) -> None:
    """Write texts by path, below the working directory."""
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def write_dataset(folder: Path, compress: bool = False) -> None:
    """A small dataset in torchvision's layout: 40 images to train with, 20 to test with."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    for prefix, count in (("train", 40), ("t10k", 20)):
        images, labels = made_images(count)
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            content = idx_bytes(array)
            path = raw / f"{prefix}-{name}-ubyte{'.gz' if compress else ''}"
            path.write_bytes(gzip.compress(content, mtime=0) if compress else content)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    """A loopback HTTP server that can misbehave."""
    with Mirror() as server:
        yield server
