"""What a person writes on the command line, and what its help says."""

import re
import shlex
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import typer

from mnist_cli.cli import parameters as p
from mnist_cli.cli.app import app
from mnist_cli.cli.compare_networks import _check
from mnist_cli.errors import UsageError
from mnist_cli.networks.registry import resolve
from mnist_cli.schema.options import CompareOptions, Entry, ExportOptions, GateOptions
from mnist_cli.schema.protocol import Protocol
from tests.conftest import RunCli


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("0.5", 0.5),
        ("1.5h", 5400),
        ("10m", 600),
        ("1h30m", 5400),
        ("1H30M", 5400),
        ("1h30s", 3630),
        ("1h2m3s", 3723),
        ("2m3.5s", 123.5),
        ("0h1s", 1),
        ("7.", 7),
    ],
)
def test_a_duration_in_seconds(text: str, seconds: float) -> None:
    assert p.duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("1h30", "1m30", "1h2m3", "30 m", "1 h", "m", "s", "", " ", "0", "0s", "0h0m", "-5", "+5"),
        *("1m1h", "1s1m", "1h1h", "1e3", "inf", "nan", ".5h", "1:30", "90sec", "9" * 400, "٣"),
    ],
)
def test_what_is_no_duration_or_could_be_two_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no time such as 90s, 10m or 1h30m$"):
        p.duration(text)


@pytest.mark.parametrize(
    ("parse", "text", "expected"),
    [
        (p.whole_number(1), "1", 1),
        (p.whole_number(1, 80), "80", 80),
        (p.whole_number(1), "0", "must be 1 or more, not 0"),
        (p.whole_number(4, 80), "81", "must be from 4 to 80, not 81"),
        (p.whole_number(4, 80), "3", "must be from 4 to 80, not 3"),
        (p.whole_number(1), "1.5", "'1.5' is not a whole number"),
        (p.whole_number(1), "9" * 5000, "is not a whole number"),
        (p.fraction, "0", 0),
        (p.fraction, "1", 1),
        (p.fraction, "1.01", "must be a fraction from 0 to 1, not 1.01"),
        (p.fraction, "-0.1", "must be a fraction from 0 to 1, not -0.1"),
        (p.fraction, "nan", "must be a fraction from 0 to 1, not nan"),
        (p.fraction, "x", "'x' is not a number"),
        (p.positive_fraction, "0", "must be a positive number, not 0"),
    ],
)
def test_a_number_within_its_range(
    parse: Callable[[str], Any], text: str, expected: float | str
) -> None:
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=re.escape(expected)):
            parse(text)
    else:
        assert parse(text) == expected


@pytest.mark.parametrize(
    ("seeds", "seed", "allowed"),
    [
        (1, 2**63 - 80, True),  # there is always room for the 80 of --until-settled
        (1, 2**63 - 79, False),
        (1000, 2**63 - 1000, True),
        (1000, 2**63 - 999, False),
    ],
)
def test_the_last_seed_is_one_that_torch_takes(seeds: int, seed: int, allowed: bool) -> None:
    entry = Entry(resolve("mlp"), Protocol())
    options = CompareOptions((entry,), seed=seed, seeds=seeds)
    refused = pytest.raises(UsageError, match="--seed and --seeds together must stay below")
    with nullcontext() if allowed else refused:
        _check(options, GateOptions(), ExportOptions(), json=False)


COMMANDS = ["train", "eval", "summary", "compare", "show-samples", "predict", "export"]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_names_what_to_write_and_no_types(run_cli: RunCli, command: str) -> None:
    text = run_cli(*command.split(), "--help").out
    assert not re.findall(r"<[a-z]|\{|\[\[|x<=|<=x|x>=|FLOAT|INTEGER|PATH\b", text)
    assert "Usage:" in text and "--help" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_each_panel_of_help_fits_80_columns_and_24_lines(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = run_cli(command, "--help").out.splitlines()
    assert max(map(len, lines)) <= 80
    starts = [number for number, line in enumerate(lines) if line.startswith("╭")]
    ends = [number for number, line in enumerate(lines) if line.startswith("╰")]
    assert starts and all(end - start < 24 for start, end in zip(starts, ends, strict=True))


def test_the_panels_of_compare_come_in_the_order_of_need(run_cli: RunCli) -> None:
    titles = re.findall("╭─ (.*?) ─", run_cli("compare", "--help").out)
    assert titles == [
        *("Arguments", "Networks and data", "Training", "Seeds and verdicts", "Output"),
        *("Gates for scripts", "Execution", "Checkpoints"),
    ]
    assert re.findall("╭─ (.*?) ─", run_cli("eval", "--help").out) == ["Arguments", "Options"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_examples_that_parse(run_cli: RunCli, command: str) -> None:
    root: Any = typer.main.get_command(app)
    text = run_cli(command, "--help").out.partition("Examples:")[2]
    examples = [line.strip() for line in text.splitlines() if line.strip()]
    assert len(examples) >= 2
    for example in examples:
        program, name, *arguments = shlex.split(example)
        assert (program, name) == ("mnist-cli", command)
        context = root.commands[name].make_context(name, arguments, parent=typer.Context(root))
        assert context.params
