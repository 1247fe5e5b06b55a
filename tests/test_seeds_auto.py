"""`compare --seeds auto`, as it is typed: it ends by itself, by a limit or by a signal."""

import json
import re
import signal
import time
from pathlib import Path

import pytest

from mnist_cli.cli.parameters import duration
from mnist_cli.errors import ExitCode
from mnist_cli.schema.comparison import LOOKS
from tests.conftest import RunCli, start

TINY = """
import torch
from torch import nn


def pooled(size=14):
    layer = nn.Linear((28 // size) ** 2, 10)
    return nn.Sequential(nn.AvgPool2d(size), nn.Flatten(), layer)


def unlucky():
    if torch.initial_seed() == 2:
        raise RuntimeError("the third seed")
    return pooled()
"""
DATA = ("--dataset", "mnist5k", "--epochs", 1, "--lr", 0.1)
CLEAR = ("own.py:pooled(14)", "own.py:pooled(4)")  # 4 and 49 inputs


@pytest.fixture(autouse=True)
def own() -> None:
    Path("own.py").write_text(TINY)


def settle(run_cli: RunCli, *arguments: object, exit_code: int = ExitCode.OK) -> str:
    outcome = run_cli("compare", *map(str, arguments), *map(str, DATA), "--seeds", "auto")
    assert outcome.code == exit_code, outcome.err
    return outcome.out + outcome.err


def test_a_clear_difference_ends_at_the_first_look(run_cli: RunCli) -> None:
    shown = settle(run_cli, *CLEAR, "--export-json", "a.json", "--journal", "runs.jsonl")
    assert "own.py:pooled(4) beats own.py:pooled(14) by " in shown
    assert "(8 of 8 runs)" in shown
    assert " left to the look at 4 seeds)" in shown
    assert "points (4 seeds, 99.5 % interval)" in shown
    document = json.loads(Path("a.json").read_text(encoding="utf-8"))
    assert [len(row["runs"]) for row in document["models"]] == [4, 4]
    assert [row["settled"] for row in document["models"]] == [True, True]
    assert document["settling"] == {"max_seeds": 40, "looks": list(LOOKS), "find_best": False}
    [verdict] = document["verdicts"]
    assert (verdict["outcome"], verdict["difference"]["n"]) == ("better", 4)

    again = settle(run_cli, *CLEAR, "--journal", "runs.jsonl")
    assert "8 of 8 runs are in runs.jsonl; nothing is left to train" in again
    assert "points (4 seeds, 99.5 % interval)" in again


@pytest.mark.full  # it takes five seconds
def test_the_best_of_several_settings_is_found(run_cli: RunCli) -> None:
    settings = ("mlp", "--vary", "lr=0.0003,0.003,0.01,0.02", "--dataset", "mnist5k", "--epochs", 1)
    search = ("compare", *settings, "--seeds", "auto", "--max-seeds", 10, "--journal", "runs.jsonl")
    limited = run_cli(*map(str, search), "--find-best", "--time-limit", "0.001s")
    assert "--time-limit leaves no time for another run: some runs were left" in limited.err
    files = ("--report", "a.html", "--plot", "a.svg", "--export-json", "a.json")
    outcome = run_cli(*map(str, search), "--find-best", *files)
    assert outcome.code == ExitCode.OK, outcome.err
    dropped = "mlp lr=0.0003 was dropped after 4 seeds, behind mlp lr=0.0"
    assert dropped in outcome.err and dropped in outcome.out
    assert re.match(r"mlp lr=0\.0\d+ is best|The best is among mlp lr=0\.0", outcome.out)
    assert "beats" not in outcome.out
    document = json.loads(Path("a.json").read_text(encoding="utf-8"))
    assert document["verdicts"] == []
    assert [len(row["runs"]) for row in document["models"]] == [
        each["n"] for each in document["contenders"]
    ]
    assert document["contenders"][0]["n"] == 4 < max(each["n"] for each in document["contenders"])
    assert "--seeds auto --find-best" in Path("a.html").read_text(encoding="utf-8")
    merged = run_cli("compare", "a.json", "--json")
    assert merged.json["contenders"] == document["contenders"]
    assert (
        "without --target and --find-best"
        in run_cli("compare", "a.json", "--baseline", "a.json").err
    )

    several = run_cli(*map(str, search), "--export-json", "b.json")
    assert several.code == ExitCode.USAGE
    assert "until the best is found from 0 on, now until settled from 0 on" in several.err


def test_a_margin_may_be_too_fine_for_the_best(run_cli: RunCli) -> None:
    twins = ("compare", "mlp", "--vary", "dropout=1,0", *DATA, "--seeds", "auto", "--find-best")
    fine = run_cli(*map(str, twins), "--margin", "0.001")
    assert "notice: --margin 0.001 is unlikely to be met with 1,000 test images" in fine.err
    assert fine.out.startswith("mlp dropout=1 is the best, or within 0.1 points of it.")
    assert "notice" not in run_cli(*map(str, twins), "--margin", "0.01").err


def test_journals_of_the_two_kinds_are_not_mixed(run_cli: RunCli) -> None:
    settle(run_cli, *CLEAR, "--journal", "settled.jsonl", "--quiet")
    data = map(str, DATA)
    fixed = run_cli("compare", *CLEAR, *data, "--journal", "settled.jsonl", "--seeds", "5")
    assert fixed.code == ExitCode.USAGE
    assert "(number of seeds until settled from 0 on, now fixed)" in fixed.err
    shown = settle(run_cli, *CLEAR, "--journal", "settled.jsonl", "--seed", 1, exit_code=2)
    assert "number of seeds until settled from 0 on, now until settled from 1 on" in shown


def test_equal_networks_are_equivalent_or_set_aside(run_cli: RunCli) -> None:
    twins = ("mlp", "--vary", "dropout=1,0")
    shown = settle(run_cli, *twins, "--margin", 0.001)
    assert (
        "mlp dropout=1 and mlp dropout=0 are equivalent within 0.1 points (mlp dropout=1" in shown
    )
    assert "notice: --margin 0.001 is unlikely to be met with 1,000 test images" in shown
    aside = settle(run_cli, *twins)
    assert (
        "are not distinguishable: 40 seeds are unlikely to decide (mlp dropout=1 - mlp dropout=0: "
        "0.00 ±" in aside
    )
    assert "notice" not in settle(run_cli, *twins, "--margin", 0.05, "--max-seeds", 10)


def test_it_ends_at_the_most_seeds(run_cli: RunCli) -> None:
    alike = ("own.py:pooled(14)", "own.py:pooled(13)")  # the same four parts of an image, nearly
    shown = settle(run_cli, *alike, "--max-seeds", 6)
    assert "tested after 4 or 5 seeds" in shown
    assert "seeds 0 to 4" in shown


def test_a_time_limit_loses_nothing(run_cli: RunCli) -> None:
    limited = (*CLEAR, "--journal", "runs.jsonl")
    shown = settle(run_cli, *limited, "--time-limit", "0.001s")
    assert "--time-limit leaves no time for another run" in shown
    assert "the same command continues" in shown
    assert "have no verdict: too few seeds yet" in shown
    assert len(Path("runs.jsonl").read_text(encoding="utf-8").splitlines()) == 1
    assert "beats" in settle(run_cli, *limited, "--time-limit", "10m")


def test_a_network_that_fails_midway(run_cli: RunCli) -> None:
    shown = settle(run_cli, *CLEAR, "own.py:unlucky", exit_code=ExitCode.FAILURE)
    assert "own.py:unlucky failed: seed 2:" in shown
    assert "own.py:pooled(14) and own.py:unlucky have no verdict: own.py:unlucky failed" in shown
    assert "points (4 seeds, 99.83 % interval)" in shown  # one of three pairs, as at the start


@pytest.mark.full  # it takes four seconds
def test_gates_and_plots(run_cli: RunCli) -> None:
    files = ("--plot", "a.svg", "--export-json", "before.json")
    shown = settle(run_cli, *CLEAR, "--min-accuracy", 0.99, *files, exit_code=3)
    assert "own.py:pooled(4): test accuracy" in shown
    bound = r"\(4 seeds, one-sided 99\.75 % bound \d+\.\d\d %\) is below --min-accuracy 0\.99"
    assert re.search(bound, shown)
    plot = Path("a.svg").read_text(encoding="utf-8")
    assert "1 of 1 pairs settled, tested after 4, 5, 7, 10" in plot
    assert "own.py:pooled(4) (n = 4)" in plot
    run_cli("compare", *CLEAR, *map(str, DATA), "--seeds", "5", "--export-json", "five.json")
    shown = settle(run_cli, *CLEAR, "--baseline", "five.json")
    assert "own.py:pooled(4): the same accuracy with each of 5 seeds" in shown
    assert "paired by seed" in shown


@pytest.mark.full  # it takes eight seconds
def test_ctrl_c_and_on() -> None:
    command = (
        "compare",
        *CLEAR,
        "cnn",
        *map(str, DATA),
        "--seeds",
        "auto",
        "--journal",
        "runs.jsonl",
    )
    process = start(*command)
    journal = Path("runs.jsonl")
    deadline = time.monotonic() + 60
    while not journal.exists() or journal.read_bytes().count(b"\n") < 4:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert "the same command continues" in err
    done = journal.read_bytes().count(b"\n")
    out, err = start(*command).communicate(timeout=100)
    assert " runs are in " in err
    assert journal.read_bytes().count(b"\n") > done
    assert "own.py:pooled(4) beats own.py:pooled(14) by" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mlp", "cnn", "--max-seeds", 10), "--max-seeds needs --seeds auto"),
        (("mlp", "cnn", "--time-limit", "10m"), "--time-limit needs --seeds auto"),
        (("mlp", "cnn", "--find-best"), "--find-best needs --seeds auto"),
        (("--find-best", "--seeds=auto", "--target", 0.9), "--target and --seeds auto do not go"),
        (
            ("--find-best", "--seeds=auto", "--baseline", "b.json"),
            "--find-best gives few runs to those that are not the best; drop one",
        ),
        (("a.json", "--find-best"), "--find-best is for training; exports are not trained"),
        (("mlp", "--seeds=auto"), "name two or more"),
        (("--seeds", "all"), "'all' is neither auto nor a number from 1 to 1000"),
        (("--seeds=auto", "--target", 0.9), "--target and --seeds auto do not go together"),
        (("--margin", 0.01), "--margin needs verdicts"),
        (("--margin", 0.01, "--seeds", 5, "--target", 0.9), "--margin compares accuracies"),
        (("--margin", 0), "must be a positive number"),
        (("--margin", 1.5), "must be a fraction, 1 at most"),
        (("--seeds=auto", "--max-seeds", 3), "--max-seeds"),
        (("--seeds=auto", "--max-seeds", 4, "--baseline", "b.json"), "--max-seeds 5 or more"),
        (("--seeds=auto", "--time-limit", "soon"), "'soon' is not a time such as 90s, 10m"),
        (("a.safetensors", "b.safetensors", "--seeds=auto"), "--seeds is for training"),
    ],
)
def test_options_that_do_not_fit(
    run_cli: RunCli, arguments: tuple[object, ...], message: str
) -> None:
    outcome = run_cli("compare", *map(str, arguments))
    assert outcome.code == ExitCode.USAGE
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("1H30M", 5400), ("2h", 7200), ("1.5m", 90)],
)
def test_times(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "m", "10x", "-5", "1m1h", "1..5s", "nan", "9" * 400])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time such as"):
        duration(text)
