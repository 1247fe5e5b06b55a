"""Files are read within limits, written whole, and are those that a person meant."""

import errno
import io
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from mnist_cli.cli.outputs import Output, check_outputs
from mnist_cli.comparison import journal
from mnist_cli.comparison.baseline import load_baseline
from mnist_cli.data.idx import read_idx
from mnist_cli.data.pictures import list_pictures, read_picture
from mnist_cli.errors import ExitCode, MnistCliError, UsageError
from mnist_cli.report.export import Exports
from mnist_cli.schema.options import ExportOptions
from mnist_cli.system import files
from mnist_cli.training import checkpoint
from tests.conftest import RunCli, run_process
from tests.made_up import comparison, network

POSIX = pytest.mark.skipif(os.name == "nt", reason="no pipes, devices and modes there")
CONDITIONS: Any = {"networks": {"mlp": {}}}


def read_journal(path: Path) -> None:
    with journal.opened(path, CONDITIONS, (0,), print):
        pass


READERS = (
    load_baseline,
    checkpoint.load,
    read_picture,
    read_journal,
    lambda path: read_idx(path, 3),
)


@POSIX
@pytest.mark.parametrize("reader", READERS)
def test_only_regular_files_are_read(reader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo("pipe")
    Path("folder").mkdir()
    Path("zero").symlink_to("/dev/zero")
    for name in ("pipe", "folder", "zero"):
        with pytest.raises(MnistCliError, match=f"{name}: it is not a regular file; ") as caught:
            reader(Path(name))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("reader", READERS)
def test_large_files_are_not_read(reader: Any) -> None:
    with open("large", "wb") as file:
        file.truncate((1 << 32) + 1)  # without a byte on the disk
    with pytest.raises(MnistCliError, match=r"large: it has more than \d+ MiB; "):
        reader(Path("large"))


def test_a_stream_is_read_up_to_the_limit() -> None:
    assert files.read_all(io.BytesIO(b"123"), 3) == b"123"
    with pytest.raises(OSError, match="it has more than 0 MiB"):
        files.read_all(io.BytesIO(b"1234"), 3)


@POSIX
def test_a_pipe_among_pictures_is_a_failure_of_its_own() -> None:
    Path("scans").mkdir()
    os.mkfifo("scans/a.png")
    [pipe] = list_pictures(Path("scans"))
    with pytest.raises(MnistCliError, match="it is not a regular file"):
        read_picture(pipe)


@POSIX
def test_endless_standard_input_ends(run_cli: RunCli) -> None:
    run_cli("train", "mlp", "--epochs", 1, "--dataset", "mnist5k", "-q")
    with open("/dev/zero", "rb") as zero:
        outcome = run_process("predict", "mlp.safetensors", "-", stdin=zero)
    assert outcome.err == (
        "error: cannot read standard input: it has more than 256 MiB; choose another picture\n"
    )


@POSIX
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_a_file_keeps_its_mode(mode: int) -> None:
    path = Path("a.csv")
    path.write_text("old")
    path.chmod(mode)
    with files.replacing(path) as file:
        [part] = Path().glob(".*.part")
        assert stat.S_IMODE(part.stat().st_mode) == mode  # before anything is in it
        file.write(b"new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", mode)


def test_relative_paths_are_those_of_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    for place in (tmp_path, tmp_path / "other"):
        (place / "a.csv").write_text(str(place))
    with files.from_here():
        with journal.opened(Path("j.jsonl"), CONDITIONS, (0,), print) as kept:
            monkeypatch.chdir(tmp_path / "other")
            assert files.read(Path("a.csv"), "") == str(tmp_path).encode()
            files.write(Path("a.csv"), b"new")
            check_outputs([Output("--journal", Path("k"), "journal")], {})
            kept.finish()
        assert files.absolute(Path("a.csv")) == tmp_path / "a.csv"
    assert sorted(path.name for path in Path().iterdir()) == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "new"
    assert (tmp_path / "j.jsonl").read_text().count("\n") == 2
    assert files.absolute(Path("a.csv")) == tmp_path / "other" / "a.csv"


def test_a_network_that_changes_the_folder_moves_nothing(run_cli: RunCli, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    (away / "res.json").write_text("of others")
    Path("nets.py").write_text(
        f"import os\nfrom torch import nn\ndef net():\n    os.chdir({str(away)!r})\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))\n"
    )
    written = ("res.json", "a.csv", "a.md", "p.svg", "r.html", "j.jsonl")
    options = ("--export-json", "--export-csv", "--export-markdown", "--plot", "--report")
    pairs = zip((*options, "--journal"), written, strict=True)
    outcome = run_cli(
        *("compare", "nets:net", "--epochs", 1, "--dataset", "mnist5k", "-q"),
        *(word for pair in pairs for word in pair),
    )
    os.chdir(tmp_path)
    assert (outcome.code, outcome.err) == (ExitCode.OK, "")
    assert {path.name for path in away.iterdir()} == {"res.json"}
    assert (away / "res.json").read_text() == "of others"
    assert all((tmp_path / name).exists() for name in written)


@POSIX
@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", "mlp", "--export-json", "a\udcff.json"),
        ("compare", "mlp", "--journal", "a\udcff"),
        ("eval", "a\udcff"),
        ("predict", "a.safetensors", "\udcff.png"),
        ("summary", "\udcff.py:net"),
    ],
)
def test_names_that_are_not_utf8_are_refused_in_one_line(
    run_cli: RunCli, arguments: tuple[str, ...]
) -> None:
    outcome = run_cli(*arguments)
    assert outcome.code == ExitCode.USAGE
    assert outcome.err.count("\n") == 1
    assert r"\udcff" in outcome.err
    assert "is not UTF-8; rename the file" in outcome.err


@POSIX
def test_folders_that_are_not_utf8(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = ("--epochs", 1, "--dataset", "mnist5k", "-q")
    state = {"MNIST_CLI_STATE_DIR": str(Path("\udcff").resolve())}
    outcome = run_process("compare", "mlp", "--json", *map(str, fast[:-1]), env=state)
    assert (outcome.code, outcome.json["journal"]) == (ExitCode.OK, None)
    assert "its name is not UTF-8; name another folder in MNIST_CLI_STATE_DIR" in outcome.err
    run_cli("train", "mlp", *fast)
    Path("scans").mkdir()
    Path("scans/\udcff.png").write_bytes(b"no picture")
    outcome = run_cli("predict", "mlp.safetensors", "scans", "--json")
    assert outcome.code == ExitCode.FAILURE
    [picture] = outcome.json["pictures"]
    assert picture["picture"] == f"scans{os.sep}\\udcff.png"
    Path("here\udcff").mkdir()
    monkeypatch.chdir("here\udcff")
    outcome = run_cli("compare", "mlp", "--export-json", "a.json", *fast)
    assert (outcome.code, outcome.err) == (ExitCode.OK, "")


# Exports


def exports_of(*names: str) -> tuple[Exports, list[Path]]:
    paths = [Path(name) for name in names]
    return Exports(ExportOptions(json=paths[0], csv=paths[1])), paths


NO_RUN = comparison(network("mlp", ()))
ONE_RUN = comparison(network("mlp", (0.9,)))


def test_an_earlier_export_is_replaced_once_and_a_new_one_each_time() -> None:
    Path("old.json").write_text("old")
    written, (old, new) = exports_of("old.json", "new.csv")
    written.write(NO_RUN)
    assert (old.read_text(), new.read_text()) == ("old", "")
    written.write(ONE_RUN)
    assert old.read_text() == "old"
    assert "0.9" in new.read_text()
    written.write(ONE_RUN, last=True)
    assert "0.9" in old.read_text()


def test_a_result_without_a_run_replaces_nothing() -> None:
    Path("old.json").write_text("old")
    written, (old, new) = exports_of("old.json", "new.csv")
    written.write(NO_RUN, last=True)
    assert (old.read_text(), new.exists()) == ("old", True)


def test_a_full_disk_says_where_the_runs_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    Path("old.csv").write_text("old")
    written, (new, old) = exports_of("new.json", "old.csv")
    monkeypatch.setattr(os, "fsync", full)
    kept = comparison(network("mlp", (0.9,)), journal="runs.jsonl")
    for result, advice in (
        (ONE_RUN, "choose another file"),
        (kept, "choose another file; runs.jsonl holds the runs, and the same command continues"),
    ):
        with pytest.raises(MnistCliError, match=f"new.json: No space left on device; {advice}"):
            written.write(result, last=True)
    assert (new.exists(), old.read_text()) == (False, "old")


# One file by several names


@POSIX
def test_a_hard_link_is_the_file_it_is_linked_to() -> None:
    Path("base.json").touch()
    for name in ("one.json", "two.csv"):
        Path(name).hardlink_to("base.json")
    one, two = (
        Output("--export-json", Path("one.json"), "JSON export"),
        Output("--export-csv", Path("two.csv"), "CSV export"),
    )
    with pytest.raises(UsageError, match=r"--export-json cannot replace one\.json, the file of"):
        check_outputs([one], {"--baseline": Path("base.json")})
    with pytest.raises(UsageError, match="--export-json and --export-csv cannot both write"):
        check_outputs([one, two], {})


def test_names_of_one_file_on_the_disk_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a disk that tells no capitals from small letters."""
    monkeypatch.setattr(os.path, "normcase", lambda path: str(path).lower())
    outputs = [Output("--export-json", Path("a"), "JSON export")]
    outputs += [Output("--export-csv", Path("A"), "CSV export")]
    with pytest.raises(UsageError, match="cannot both write A"):
        check_outputs(outputs, {})


@POSIX
def test_is_own_refuses_links_and_files_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("own").touch()
    Path("link").symlink_to("own")
    Path("folder").mkdir()
    assert [files.is_own(Path(name)) for name in ("own", "link", "folder", "gone")] == [
        *(True, False, False, False)
    ]
    monkeypatch.setattr(os, "getuid", lambda: Path("own").stat().st_uid + 1)
    assert not files.is_own(Path("own"))
