"""No command replaces a file that may be of value."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnist_cli.cli.compare_networks import compare_networks
from mnist_cli.cli.outputs import KINDS, Output, check_outputs
from mnist_cli.errors import ExitCode, Terminated, UsageError
from mnist_cli.networks.registry import resolve
from mnist_cli.report.console import json_document
from mnist_cli.report.export import Exports
from mnist_cli.schema.comparison import CompareResult
from mnist_cli.schema.options import CompareOptions, Entry, ExportOptions
from mnist_cli.schema.protocol import Protocol
from tests.conftest import RunCli
from tests.made_up import comparison, network

FAST = ("--epochs", 1, "--dataset", "mnist5k", "--quiet")
OWN = """
from torch import nn

def wide():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
"""
EXPORTS = ("--export-json", "--export-csv", "--export-markdown", "--export-latex")


@pytest.fixture(autouse=True)
def own() -> None:
    for name in ("nets.py", "nets.html"):
        Path(name).write_text(OWN, encoding="utf-8")


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "nets.py:wide", "--output", "nets.py"),
        *[("compare", "nets.py:wide", option, "nets.py") for option in EXPORTS],
        ("compare", "nets.py:wide", "--journal", "nets.py"),
    ],
)
def test_the_source_of_a_network_stays(run_cli: RunCli, arguments: tuple[str, ...]) -> None:
    outcome = run_cli(*arguments, *FAST)
    assert outcome.code == ExitCode.USAGE
    option = arguments[2]
    assert outcome.err == (
        f"error: {option} cannot replace nets.py, a file of nets.py:wide; choose another\n"
    )
    assert Path("nets.py").read_text(encoding="utf-8") == OWN


def test_a_page_of_others_stays(run_cli: RunCli) -> None:
    theirs = f"<!doctype html>{OWN}"
    Path("nets.html").write_text(theirs, encoding="utf-8")
    outcome = run_cli("compare", "mlp", "--report", "nets.html", *FAST)
    assert outcome.code == ExitCode.USAGE
    assert outcome.err.startswith("error: nets.html already exists and is no report of mnist-cli")
    assert Path("nets.html").read_text(encoding="utf-8") == theirs


@pytest.mark.parametrize("option", [*EXPORTS, "--journal"])
def test_an_empty_file_that_a_network_imports_stays(run_cli: RunCli, option: str) -> None:
    Path("pkg").mkdir()
    Path("pkg/__init__.py").touch()
    Path("pkg/net.py").write_text(OWN, encoding="utf-8")
    outcome = run_cli("compare", "mlp", "pkg.net:wide", option, "pkg/__init__.py", *FAST)
    assert outcome.code == ExitCode.USAGE
    assert f"{option} cannot replace pkg/__init__.py, a file of pkg.net:wide" in outcome.err
    assert not Path("pkg/__init__.py").read_bytes()


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("checkpoint", "# a script that reads mnist-cli-checkpoint-1\n"),
        ("journal", "how mnist-cli-journal-2 works\n"),
        ("JSON export", '{"schema_version": 3, "colour": "mine"}\n'),
        ("CSV export", "model,parameters,accuracy\nmine,1,2\n"),
        ("Markdown export", "**Networks**\n"),
    ],
)
def test_what_only_mentions_a_kind_is_not_of_it(kind: str, content: str) -> None:
    Path("mine").write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=f"mine already exists and is no {kind} of mnist-cli"):
        check_outputs([Output("--option", Path("mine"), kind)], {})


def test_the_lock_of_a_journal_replaces_nothing(run_cli: RunCli) -> None:
    Path("uv.lock").write_text("what a project needs", encoding="utf-8")
    outcome = run_cli("compare", "mlp", "--journal", "uv", *FAST)
    assert outcome.code == ExitCode.USAGE
    assert "uv.lock already exists and is no lock of mnist-cli: choose another --journal" in (
        outcome.err
    )
    assert Path("uv.lock").read_text(encoding="utf-8") == "what a project needs"
    outcome = run_cli("compare", "mlp", "--journal", "runs", "--export-csv", "runs.lock", *FAST)
    assert outcome.code == ExitCode.USAGE
    assert "--export-csv and --journal cannot both write" in outcome.err


def test_a_long_name_can_be_written(run_cli: RunCli) -> None:
    name = f"{'n' * 251}.png"  # 255 characters, all that a file system takes
    assert run_cli("show-samples", "--output", name, *FAST[2:]).code == ExitCode.OK
    assert [path.name for path in Path.cwd().glob("*.png")] == [name]


@pytest.mark.full  # it takes four seconds
def test_each_kind_replaces_its_own_kind_only(run_cli: RunCli) -> None:
    run_cli("train", "mlp", "--output", "a.safetensors", "--plot", "a.png", *FAST)
    files = ("a.json", "a.csv", "a.md", "a.tex")
    exports = [part for pair in zip(EXPORTS, files, strict=True) for part in pair]
    exports += ["--report", "a.html"]
    first = run_cli("compare", "mlp", "--journal", "a.jsonl", *exports, *FAST)
    assert first.code == ExitCode.OK
    again = run_cli("train", "mlp", "--output", "a.safetensors", "--plot", "a.png", *FAST)
    assert again.code == ExitCode.OK
    assert run_cli("compare", "mlp", "--journal", "a.jsonl", *exports, *FAST).code == ExitCode.OK
    for file in ("b.pt2", "b.safetensors"):
        for _ in range(2):
            assert run_cli("export", "a.safetensors", "--output", file).code == ExitCode.OK
    Path("b.onnx").write_bytes(b"\x08\x0a\x12\x11mnist-cli-export-1 and a graph")
    networks = ("b.onnx", "b.pt2", "b.safetensors")
    written = ("a.safetensors", "a.jsonl", *files, "a.html", *networks, "a.png")
    kinds = [kind for kind in KINDS if kind != "lock"]
    paths = dict(zip(kinds, written, strict=True))
    for kind, looks_like in KINDS.items():
        for other, path in paths.items():
            assert looks_like(Path(path).read_bytes()) == (kind == other), (kind, path)


def test_two_outputs_of_a_training_are_two_files(run_cli: RunCli) -> None:
    outcome = run_cli("train", "mlp", "--output", "both.png", "--plot", "both.png", *FAST)
    assert outcome.code == ExitCode.USAGE
    assert outcome.err == "error: --plot and --output cannot both write both.png\n"
    assert not Path("both.png").exists()


def test_an_input_is_not_replaced_even_by_its_own_kind(run_cli: RunCli) -> None:
    run_cli("compare", "mlp", "--seeds", 5, "--export-json", "base.json", *FAST)
    before = Path("base.json").read_bytes()
    outcome = run_cli(
        *("compare", "mlp", "--seeds", 5, "--baseline", "base.json"),
        *("--export-json", "./base.json", *FAST),
    )
    assert outcome.code == ExitCode.USAGE
    assert "--export-json cannot replace base.json, the file of --baseline" in outcome.err
    assert Path("base.json").read_bytes() == before


def test_a_resumed_file_may_be_replaced_however_it_is_written(run_cli: RunCli) -> None:
    run_cli("train", "mlp", "--output", "a.safetensors", *FAST)
    resume = ("train", "mlp", "--resume", "a.safetensors", *FAST[2:])
    absolute = Path("a.safetensors").resolve()
    outcome = run_cli(*resume, "--output", absolute, "--epochs", 2)
    assert (outcome.code, outcome.err) == (ExitCode.OK, "")


def test_an_earlier_export_is_replaced_at_the_end_if_any_network_has_a_run() -> None:
    earlier, new = Path("earlier.json"), Path("new.json")
    earlier.write_text("earlier")
    exports = Exports(ExportOptions(json=earlier, csv=new))
    failed = network("b", (), failure="no luck")
    exports.write(comparison(failed), last=True)
    exports.write(comparison(network("a", (0.9,)), failed, seeds=1))
    assert earlier.read_text() == "earlier" and new.exists()
    exports.write(comparison(network("a", (0.9,)), failed, seeds=1), last=True)
    assert '"no luck"' in earlier.read_text()


def test_two_names_of_one_file_are_not_both_written() -> None:
    one, other = Path("one.csv"), Path("other.csv")
    one.write_bytes(b"model,parameters,total_parameters,mult_adds,seed\n")
    os.link(one, other)
    outputs = [Output("--export-csv", one, "CSV export"), Output("--plot", other, "CSV export")]
    with pytest.raises(UsageError, match=r"--export-csv and --plot cannot both write other\.csv"):
        check_outputs(outputs, {})


def test_combined_exports_are_compared_with_the_baseline(run_cli: RunCli) -> None:
    accuracies = {
        "now": (0.95, 0.951, 0.949, 0.952, 0.95),
        "then": (0.97, 0.971, 0.969, 0.972, 0.97),
    }
    for name, values in accuracies.items():
        result = comparison(network("a", values))
        Path(f"{name}.json").write_text(json_document(result), encoding="utf-8")
    combine = ("compare", "now.json", "--quiet")
    outcome = run_cli(*combine, "--baseline", "then.json", "--fail-on-regression")
    assert outcome.code == ExitCode.GATE_NOT_MET
    assert "a: -2.00 ± " in outcome.out
    assert run_cli(*combine).code == ExitCode.OK


@pytest.mark.parametrize("signal", [KeyboardInterrupt, Terminated])
def test_an_interrupted_comparison_shows_the_runs_that_it_has(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], signal: type[BaseException]
) -> None:
    def interrupt(*_: object) -> Iterator[CompareResult]:
        yield comparison(network("a", ()), network("b", ()))
        yield comparison(network("a", (0.9,)), network("b", ()))
        raise signal

    monkeypatch.setattr("mnist_cli.data.datasets.prefetch", lambda *_: None)
    monkeypatch.setattr("mnist_cli.workflows.compare_networks.compare_networks", interrupt)
    files = ExportOptions(csv=Path("a.csv"))
    options = CompareOptions((Entry(resolve("mlp"), Protocol()),), files=files)
    with pytest.raises(signal):
        compare_networks(options, json=False, quiet=True)
    assert "90.00 %" in capsys.readouterr().out
    assert ",0.9," in Path("a.csv").read_text(encoding="utf-8")


def test_a_comparison_interrupted_before_its_first_run_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> Iterator[CompareResult]:
        yield comparison(network("a", ()), network("b", ()))
        raise KeyboardInterrupt

    monkeypatch.setattr("mnist_cli.data.datasets.prefetch", lambda *_: None)
    monkeypatch.setattr("mnist_cli.workflows.compare_networks.compare_networks", interrupt)
    options = CompareOptions((Entry(resolve("mlp"), Protocol()),))
    with pytest.raises(KeyboardInterrupt):
        compare_networks(options, json=False, quiet=True)
    assert capsys.readouterr().out == ""


def test_a_network_that_failed_decides_the_exit_code_before_a_gate(run_cli: RunCli) -> None:
    result = comparison(network("a", (0.9,)), network("b", (), failure="no luck"), seeds=1)
    Path("now.json").write_text(json_document(result), encoding="utf-8")
    outcome = run_cli("compare", "now.json", "--min-accuracy", 0.95)
    assert "gate not met: a: " in outcome.err
    assert outcome.err.endswith("error: b failed: no luck\n")
    assert outcome.code == ExitCode.FAILURE


def test_a_dash_is_no_checkpoint(run_cli: RunCli) -> None:
    outcome = run_cli("train", "mlp", "--output", "-", *FAST)
    assert outcome.err == "error: --output needs a file, not standard output\n"
    assert outcome.code == ExitCode.USAGE


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("one", "loop of links|symbolic links"),
        ("one/x.csv", "loop of links|symbolic links|does not exist"),
        ("n" * 300, "File name too long"),
    ],
)
def test_paths_that_cannot_be(path: str, reason: str) -> None:
    Path("one").symlink_to("two")
    Path("two").symlink_to("one")
    with pytest.raises(UsageError, match=r"cannot read one: .* another --resume"):
        check_outputs([], {"--resume": Path("one")})
    with pytest.raises(UsageError, match=reason) as caught:
        check_outputs([Output("--export-csv", Path(path), "CSV export")], {})
    assert "Errno" not in str(caught.value)


def test_an_empty_file_and_a_link_to_ones_own_kind_may_be_replaced() -> None:
    Path("empty.safetensors").touch()
    check_outputs([Output("--output", Path("empty.safetensors"), "checkpoint")], {})
    Path("real").write_bytes(b"model,parameters,total_parameters,mult_adds,seed\n")
    if os.name != "nt":
        Path("link").symlink_to("real")
        check_outputs([Output("--export-csv", Path("link"), "CSV export")], {})
