"""What a person writes on the command line, and what its help says."""

import re
import shlex
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import typer

from mnist_cli.cli import compare
from mnist_cli.cli import parameters as p
from mnist_cli.cli.app import app
from mnist_cli.cli.compare_networks import _check_options
from mnist_cli.errors import UsageError
from mnist_cli.networks.registry import MODELS, resolve
from mnist_cli.schema.augmentation import Augmentation
from mnist_cli.schema.comparison import Settling
from mnist_cli.schema.datasets import DatasetName
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.options import (
    AUTO,
    CompareOptions,
    DataOptions,
    Entry,
    ExecutionOptions,
    ExportOptions,
    GateOptions,
)
from mnist_cli.schema.protocol import (
    Optimizer,
    Precision,
    Protocol,
    Recipe,
    Schedule,
    Settings,
)
from mnist_cli.training.recipes import protocol_of
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
    with pytest.raises(ValueError, match=r"is not a time such as 90s, 10m or 1h30m$"):
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
        (1, 2**63 - 80, True),  # there is always room for the 80 of --seeds auto
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
        _check_options(options)


@pytest.mark.parametrize(("count", "allowed"), [(256, True), (257, False)])
def test_as_many_networks_as_a_file_may_hold_are_compared(count: int, allowed: bool) -> None:
    options = CompareOptions((Entry(resolve("mlp"), Protocol()),) * count)
    refused = pytest.raises(UsageError, match="at most 256 networks can be compared")
    with nullcontext() if allowed else refused:
        _check_options(options)


def test_every_option_of_compare_arrives(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[CompareOptions] = []
    monkeypatch.setattr(compare, "compare_networks", lambda given, **flags: seen.append(given))
    exports = [f"--export-{kind}={kind}" for kind in ("json", "csv", "markdown", "latex")]
    run_cli(
        *("compare", "mlp", "--dataset=kmnist", "--data-dir=data", "--recipe=fast", "--epochs=7"),
        *("--batch-size=32", "--lr=0.5", "--vary=dropout=0.5", "--seed=3", "--seeds=auto"),
        *("--max-seeds=10", "--time-limit=2m", "--margin=0.01", *exports, "--plot=p.svg"),
        *("--report=r.html", "--min-accuracy=0.9", "--max-seconds=8", "--baseline=b.json"),
        *("--fail-on-regression", "--device=cuda:1", "--precision=bf16", "--threads=2"),
        *("--jobs=4", "--cluster=tcp://a:1", "--run-timeout=10s", "--journal=j"),
    )
    run_cli("compare", "mlp", "--seeds=4", "--target=0.97", "--data-dir=data")
    settings = Settings(Recipe.FAST, 7, 32, 0.5, dropout=0.5)
    entry = Entry(
        resolve("mlp"), protocol_of(settings, resolve("mlp")), Precision.BF16, {"dropout": 0.5}
    )
    data = DataOptions(DatasetName.KMNIST, Path("data"))
    execution = ExecutionOptions(4, 2, "tcp://a:1", 10)
    paths = map(Path, ("json", "csv", "markdown", "latex", "p.svg", "r.html"))
    options = CompareOptions(
        *((entry,), data, "cuda:1", 3, AUTO, Settling(10), 120, 0.01, None, Path("j")),
        *(Path("b.json"), execution, GateOptions(0.9, 8, True), ExportOptions(*paths)),
    )
    assert seen[0] == options
    entry = Entry(resolve("mlp"), Protocol())
    data = DataOptions(data_dir=Path("data"))
    assert seen[1] == CompareOptions((entry,), data, seeds=4, target=0.97)


@pytest.mark.parametrize("command", ["train", "compare"])
def test_every_setting_arrives(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    seen: list[Settings] = []

    def note(settings: Settings, _: ModelSpec) -> Protocol:
        seen.append(settings)
        raise UsageError("enough")

    for module in ("train", "vary"):
        monkeypatch.setattr(f"mnist_cli.cli.{module}.protocol_of", note)
    settings = Settings(
        recipe=Recipe.FAST,
        epochs=7,
        batch_size=32,
        lr=0.5,
        optimizer=Optimizer.SGD,
        momentum=0.8,
        nesterov=True,
        weight_decay=0.1,
        schedule=Schedule.COSINE,
        warmup=0.2,
        augment=Augmentation(shift=2),
        shuffle_pixels=True,
        precision=Precision.BF16,
    )
    options = []
    for key, value in vars(settings).items():
        flag = f"--{key.replace('_', '-')}"
        if value is not None:  # --vary alone sets the dropout
            options.append(flag if value is True else f"{flag}={value}")
    assert run_cli(command, "mlp", *options).err == "error: enough\n"
    assert run_cli(command, "mlp").err == "error: enough\n"
    assert seen == [settings, Settings()]


@pytest.mark.parametrize("execution", [ExecutionOptions(cluster="a"), ExecutionOptions(jobs=2)])
@pytest.mark.parametrize("option", ["--target", "--max-seconds"])
def test_times_are_not_asked_of_runs_that_share_a_machine(
    execution: ExecutionOptions, option: str
) -> None:
    target, seconds = (0.9, None) if option == "--target" else (None, 8.0)
    entry = Entry(resolve("mlp"), Protocol())
    gates = GateOptions(max_seconds=seconds)
    options = CompareOptions((entry,), target=target, execution=execution, gates=gates)
    with pytest.raises(UsageError, match=f"^{option} needs times"):
        _check_options(options)


def test_the_shell_completes_names_and_then_arguments() -> None:
    assert p.complete_model("M") == ["mlp"]
    assert p.complete_model("") == list(MODELS)
    assert p.complete_model("cnn(") == ["cnn(channels=", "cnn(hidden="]
    assert p.complete_model("nets.py:Net(") == []


COMMANDS = [
    *("train", "eval", "summary", "compare", "show-samples", "show-features", "predict", "export"),
]


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
        *("Arguments", "Networks and data", "Training", "Optimizer"),
        *("Seeds and verdicts", "Output"),
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
