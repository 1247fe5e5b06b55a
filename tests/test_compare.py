"""`compare` with networks, as it is typed: figures, verdicts, exports, gates."""

import csv
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from scipy.stats import t

from mnist_cli.errors import ExitCode
from mnist_cli.schema.comparison import CompareResult
from mnist_cli.schema.record import adapter
from tests.conftest import RunCli
from tests.made_up import comparison, network, resealed

FAST = ("--epochs", 1, "--dataset", "mnist5k", "--quiet")
SCHEMA = adapter(CompareResult).json_schema(mode="serialization")

OWN = """
import random
import numpy
import torch
from torch import nn


def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


a_linear = linear


def drawn():
    scale = random.random() + numpy.random.random()
    model = linear()
    torch.nn.init.constant_(model[1].weight, scale / 784)
    return model


class Raises(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = linear()

    def forward(self, images):
        if self.training:
            raise RuntimeError("out of luck")
        return self.layers(images)


class Diverges(Raises):
    def forward(self, images):
        return self.layers(images) * (float("nan") if self.training else 1)


class Huge(Raises):
    moved = 0

    def forward(self, images):
        return self.layers(images)

    def to(self, *arguments, **options):
        Huge.moved += 1
        if Huge.moved > 1:
            raise MemoryError("no room")
        return super().to(*arguments, **options)


class Unmeasured(Huge):
    def to(self, *arguments, **options):
        raise MemoryError("no room at all")


def broken():
    raise ValueError("no luck")


ONE = linear()


def same():
    return ONE
"""


@pytest.fixture(autouse=True)
def own() -> None:
    Path("own.py").write_text(OWN)


def accuracies(result: Any) -> dict[tuple[str, int], tuple[float, float]]:
    return {
        (model["model"], run["seed"]): (run["test_accuracy"], run["test_loss"])
        for model in result["models"]
        for run in model["runs"]
    }


# What is trained


def test_compare_trains_what_train_trains(run_cli: RunCli) -> None:
    models = ("mlp", "own.py:linear")
    result = run_cli("compare", *models, "--seed", 3, "--seeds", 2, "--json", *FAST).json
    assert [model["model"] for model in result["models"]] == list(models)
    assert result["seeds"] == [3, 4]
    for model in result["models"]:
        alone = run_cli("train", model["model"], "--seed", 4, "--json", *FAST).json
        run = model["runs"][1]
        assert run["seed"] == 4
        assert run["test_accuracy"] == alone["test_accuracy"]
        assert run["test_loss"] == alone["test_loss"]
        assert run["epochs"] == 1


@pytest.mark.full  # it takes four seconds
def test_neither_order_nor_company_changes_a_result(run_cli: RunCli) -> None:
    one = run_cli("compare", "mlp", "own.py:drawn", "tinycnn", "--seeds", 2, "--json", *FAST).json
    other = run_cli("compare", "tinycnn", "own.py:drawn", "--seeds", 2, "--json", *FAST).json
    assert accuracies(other).items() <= accuracies(one).items()
    assert len(accuracies(other)) == 4
    assert accuracies(one) == accuracies(
        run_cli("compare", "tinycnn", "mlp", "own.py:drawn", "--seeds", 2, "--json", *FAST).json
    )


def test_runs_are_interleaved_by_seed_and_progress_counts_them(run_cli: RunCli) -> None:
    command = ("compare", "mlp", "own.py:linear", "--seeds", 2, *FAST[:-1])
    lines = run_cli(*command).err.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "mlp seed 0",
        "own.py",
        "mlp seed 1",
        "own.py",
    ]
    assert "(1 of 4 runs, at least " in lines[0]
    assert "(2 of 4 runs, about " in lines[1]
    assert lines[3].endswith("(4 of 4 runs)")


# What is printed


def test_the_tables_have_what_they_must(run_cli: RunCli) -> None:
    outcome = run_cli("compare", "mlp", "tinycnn", "--seeds", 3, *FAST)
    result = run_cli("compare", "mlp", "tinycnn", "--seeds", 3, "--json", *FAST).json
    rows = [line.split() for line in outcome.out.splitlines()]
    [learned] = [row for row in rows if row[:1] == ["mlp"] and row[2] == "±"]
    [cost] = [row for row in rows if row[:1] == ["mlp"] and row[1].startswith("25,450")]
    value = result["models"][0]["figures"]["test_accuracy"]
    assert learned[1:6] == [
        f"{value['mean'] * 100:.2f}",
        "±",
        f"{value['half_width'] * 100:.2f}",
        "%",
        "3",
    ]
    assert "●" in learned[-1]
    assert cost[1:5] == ["25,450", "*", "1.63", "M"]
    assert "(min-max)" in outcome.out
    assert "seeds 0 to 2" in outcome.out
    assert "Journal: " in outcome.out
    assert "The finite test set of 1,000 images adds an uncertainty: accuracies ±" in outcome.out


def test_one_seed_has_no_interval_and_cannot_rank(run_cli: RunCli) -> None:
    outcome = run_cli("compare", "mlp", "tinycnn", *FAST)
    assert "±" not in outcome.out.split("The finite test set")[0]
    assert "One seed cannot rank" in outcome.out
    assert "distinguishable" not in outcome.out
    alone = run_cli("compare", "mlp", *FAST).out
    assert "cannot rank" not in alone


def test_a_star_is_a_network_that_no_other_beats_at_its_cost(run_cli: RunCli) -> None:
    files = ("--export-json", "a.json", "--batch-size", 200, "--lr", 0.003)
    out = run_cli("compare", "mlp", "cnn", "tinycnn", *files, *FAST).out
    assert "4,266 *" in out
    assert "batch size 200, Adam, learning rate 0.003" in out
    result = json.loads(Path("a.json").read_text(encoding="utf-8"))
    for mark, cost in (("pareto_parameters", "parameters"), ("pareto_seconds", None)):
        points = {
            model["model"]: (
                model["figures"]["test_accuracy"]["mean"],
                model[cost] if cost else model["figures"]["train_seconds_median"],
            )
            for model in result["models"]
        }
        for model in result["models"]:
            accuracy, own_cost = points.pop(model["model"])
            beaten = any(a > accuracy and c < own_cost for a, c in points.values())
            assert model["figures"][mark] == (not beaten)
            points[model["model"]] = accuracy, own_cost


def test_a_narrow_terminal_cuts_no_number(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out = run_cli("compare", "mlp", "--seeds", 2, *FAST).out
    rows = [line for line in out.splitlines() if line.startswith("mlp ")]
    assert "25,450 " in rows[-1]
    assert "1.63 M" in rows[-1]
    assert all(len(line) <= 80 for line in out.splitlines())


# Verdicts


def test_verdicts_are_paired_by_seed(run_cli: RunCli) -> None:
    models = ("mlp", "own.py:linear", "tinycnn")
    result = run_cli("compare", *models, "--seeds", 3, "--json", *FAST).json
    runs = accuracies(result)
    pairs = [(verdict["first"], verdict["second"]) for verdict in result["verdicts"]]
    assert pairs == list(combinations(models, 2))
    for verdict in result["verdicts"]:
        first, second = verdict["first"], verdict["second"]
        differences = [runs[first, seed][0] - runs[second, seed][0] for seed in range(3)]
        assert verdict["difference"]["mean"] == pytest.approx(sum(differences) / 3)
        assert verdict["difference"]["n"] == 3
        assert (verdict["better"] is None) == (verdict["adjusted_p"] >= 0.05)
        assert verdict["better"] in {first, second, None}
    out = run_cli("compare", *models, "--seeds", 3, *FAST).out
    assert "3 seeds fixed in advance, simultaneous 95 % confidence intervals:" in out
    assert "± is the 95 % t-interval over seeds." in out
    said = out.count(" beats ") + out.count("are not distinguishable with n = 3")
    assert said == 3


def test_a_clear_difference_is_a_verdict(run_cli: RunCli) -> None:
    Path("bad.py").write_text(
        "from torch import nn\n"
        "def narrow(): return nn.Sequential(nn.Flatten(), nn.Linear(784, 1), nn.Linear(1, 10))\n"
    )
    out = run_cli("compare", "bad.py:narrow", "mlp", "--seeds", 4, *FAST).out
    assert "mlp beats bad.py:narrow by " in out


# Target


def test_a_target_ranks_by_time(run_cli: RunCli) -> None:
    command = ("compare", "own.py:linear", "mlp", "--target", 0.86, "--seeds", 2)
    options = ("--dataset", "mnist5k", "--quiet", "--epochs", 9)
    result = run_cli(*command, "--json", *options).json
    for model in result["models"]:
        for run in model["runs"]:
            assert run["reached_target"]
            assert run["test_accuracy"] >= 0.86
            assert run["epochs"] < 9
    # One epoch less is not enough.
    run = result["models"][0]["runs"][0]
    before = run_cli("compare", "own.py:linear", "--json", *options[:-1], run["epochs"] - 1).json[
        "models"
    ][0]["runs"][0]
    assert before["test_accuracy"] < 0.86
    assert {verdict["measure"] for verdict in result["verdicts"]} == {"train_seconds"}
    out = run_cli(*command, *options).out
    names = [line.split()[0] for line in out.splitlines() if " 2/2 " in line]
    median = {m["model"]: m["figures"]["train_seconds_median"] for m in result["models"]}
    assert sorted(names) == sorted(median)
    assert "Training time to a test accuracy of 86 %" in out


def test_a_target_that_is_not_reached_is_said(run_cli: RunCli) -> None:
    outcome = run_cli("compare", "mlp", "tinycnn", "--target", 0.99, "--seeds", 2, *FAST)
    assert outcome.code == ExitCode.OK
    rows = [line.split() for line in outcome.out.splitlines() if " 0/2 " in line]
    assert [(row[0], row[2]) for row in rows] == [("mlp", "-"), ("tinycnn", "-")]
    assert "is faster than" not in outcome.out
    assert "tinycnn never reached 99 % within 1 epoch" in outcome.out


def test_bars_of_times_leave_out_who_never_arrived(run_cli: RunCli) -> None:
    out = run_cli("compare", "mlp", "tinycnn", "--target", 0.75, *FAST).out
    first, second = (line for line in out.splitlines() if "/1 " in line)
    assert first.split()[:2] == ["mlp", "1/1"]
    assert second.split()[:2] == ["tinycnn", "0/1"]
    assert first.endswith("████")


# Failures


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Raises", "RuntimeError: out of luck"),
        ("Diverges", "the training loss is not finite at epoch 1, step 1"),
        ("broken", "ValueError: no luck"),
        ("Huge", "MemoryError: no room"),
        ("Unmeasured", "MemoryError: no room at all"),
        ("same", "returns the same weights or buffers each time"),
    ],
)
def test_a_failing_network_is_a_row_and_the_others_go_on(
    run_cli: RunCli, name: str, reason: str
) -> None:
    models = (f"own.py:{name}", "mlp")
    outcome = run_cli("compare", *models, "--seeds", 2, *FAST)
    assert outcome.code == ExitCode.FAILURE
    row = next(line for line in outcome.out.splitlines() if line.startswith(f"own.py:{name} "))
    assert row.split()[1] == "failed"
    assert f"own.py:{name} " in outcome.out
    assert reason in outcome.out
    [line] = outcome.err.splitlines()  # even with --quiet
    assert line.startswith(f"error: own.py:{name} ")
    assert reason in line
    result = run_cli("compare", *models, "--seeds", 2, "--json", *FAST).json
    failed, fine = result["models"]
    assert reason in failed["failure"]
    assert failed["figures"] is None
    assert len(fine["runs"]) == 2
    assert result["verdicts"] == []
    jsonschema.validate(result, SCHEMA)


def test_what_cannot_be_trained_is_told_before_the_others_are(run_cli: RunCli) -> None:
    told, *_, error = run_cli("compare", "own.py:broken", "mlp", *FAST[:-1]).err.splitlines()
    assert told.startswith("notice: own.py:broken cannot be created: ValueError: no luck (")
    assert told.endswith("own.py:57); it is not trained")
    assert error.startswith("error: own.py:broken ")


def test_what_cannot_be_imported_fails_before_anything_is_trained(run_cli: RunCli) -> None:
    outcome = run_cli("compare", "mlp", "own.py:absent", *FAST[:-1])
    assert outcome.code == ExitCode.FAILURE
    assert outcome.err == "error: own.py has no 'absent'; give own.py:NAME\n"


# Exports


def test_exports_hold_every_run(run_cli: RunCli) -> None:
    files = ("--export-json", "a.json", "--export-csv", "a.csv", "--export-markdown", "a.md")
    outcome = run_cli("compare", "mlp", "own.py:a_linear", "--seeds", 2, *files, *FAST)
    assert "Parameters" in outcome.out
    document = json.loads(Path("a.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, SCHEMA)
    assert document["schema_version"] == 2
    with open("a.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    for row in rows:
        accuracy, loss = accuracies(document)[row["model"], int(row["seed"])]
        assert (float(row["test_accuracy"]), float(row["test_loss"])) == (accuracy, loss)
        assert row["dataset_sha256"] == document["dataset"]["sha256"]
        assert row["environment_torch"] == document["environment"]["torch"]
        assert row["protocol_batch_size"] == "64"
    markdown = Path("a.md").read_text(encoding="utf-8")
    table = [line for line in markdown.splitlines() if line.startswith("|")]
    assert [line.count("|") for line in table] == [9] * 4 + [7] * 6
    assert document["dataset"]["sha256"] in markdown
    for line in document["models"]:
        name = line["model"].replace("_", "\\_")
        for run in line["runs"]:
            accuracy, loss = run["test_accuracy"], run["test_loss"]
            assert (
                f"| {name} | {run['seed']} | 1 | {accuracy * 100:.2f} % | {loss:.4f} |" in markdown
            )
        assert f"| {name} | {line['figures']['test_accuracy']['mean'] * 100:.2f} ± " in (markdown)


def test_every_shape_of_result_fits_the_schema(run_cli: RunCli) -> None:
    run_cli("compare", "mlp", "--seeds", 5, "--export-json", "base.json", *FAST)
    for arguments in (
        ("mlp",),
        ("mlp", "own.py:linear", "--target", 0.9, "--seeds", 2),
        ("mlp", "--seeds", 5, "--baseline", "base.json"),
        ("mlp", "own.py:linear", "--recipe", "fast", "--seeds", 2),
    ):
        result = run_cli("compare", *arguments, "--json", *FAST).json
        jsonschema.validate(result, SCHEMA)
        assert result.keys() == SCHEMA["properties"].keys() == set(SCHEMA["required"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(result | {"target": 1.5}, SCHEMA)


@pytest.mark.parametrize(
    ("form", "start"),
    [("json", "{"), ("csv", "model,"), ("markdown", "**"), ("latex", "% A comparison")],
)
def test_a_dash_is_standard_output_and_nothing_else_is_printed(
    run_cli: RunCli, form: str, start: str
) -> None:
    out = run_cli("compare", "mlp", f"--export-{form}", "-", *FAST).out
    assert out.startswith(start)
    assert "Network" not in out
    assert not Path("-").exists()


def test_exports_are_rewritten_after_each_run(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnist_cli.report.export import Exports

    seen = []
    write = Exports.write

    def watched(*arguments: Any, **options: Any) -> None:
        write(*arguments, **options)
        document = json.loads(Path("a.json").read_text(encoding="utf-8"))
        jsonschema.validate(document, SCHEMA)
        seen.append(len(accuracies(document)))

    monkeypatch.setattr(Exports, "write", watched)
    run_cli("compare", "mlp", "own.py:linear", "--seeds", 2, "--export-json", "a.json", *FAST)
    assert seen == [0, 1, 2, 3, 4, 4]


# Gates


@pytest.mark.parametrize(
    ("gate", "code", "reason"),
    [
        (("--min-accuracy", 0.1), ExitCode.OK, "is above --min-accuracy 0.1"),
        (("--min-accuracy", 0.99), ExitCode.GATE_NOT_MET, "is below --min-accuracy 0.99"),
        (("--max-seconds", 1000), ExitCode.OK, "is below --max-seconds 1000"),
        (("--max-seconds", 0.0001), ExitCode.GATE_NOT_MET, "is above --max-seconds 0.0001"),
    ],
)
@pytest.mark.parametrize("seeds", [1, 6])
def test_gates(
    run_cli: RunCli, gate: tuple[str, float], code: ExitCode, reason: str, seeds: int
) -> None:
    command = ("compare", "mlp", "--seeds", seeds, *gate, *FAST[:-1])
    outcome = run_cli(*command)
    assert outcome.code == code
    assert "mlp" in outcome.out
    line = outcome.err.splitlines()[-1]
    assert line.startswith("gate not met: mlp: " if code else "gate met: mlp: ")
    assert line.endswith(reason)
    quiet = run_cli(*command, "--quiet").err
    assert quiet.startswith("gate not met: mlp: ") and quiet.count("\n") == 1 if code else not quiet


def test_a_gate_fails_only_where_the_interval_clears_it(run_cli: RunCli) -> None:
    base = ("compare", "mlp", "--seeds", 3, *FAST)
    value = run_cli(*base, "--json").json["models"][0]["figures"]["test_accuracy"]
    # One-sided at 5 %, where the half-width is that of a two-sided interval.
    half = value["half_width"] * t.ppf(0.95, 2) / t.ppf(0.975, 2)
    within, beyond = value["mean"] + half * 0.99, value["mean"] + half * 1.01
    assert run_cli(*base, "--min-accuracy", within).code == ExitCode.OK
    assert run_cli(*base, "--min-accuracy", beyond).code == ExitCode.GATE_NOT_MET


def shifted(points: float) -> None:
    """Write base.json anew as better.json, with every accuracy so much higher."""
    document = json.loads(Path("base.json").read_text(encoding="utf-8"))
    for model in document["models"]:
        for run in model["runs"]:
            run["test_accuracy"] = min(max(run["test_accuracy"] + points / 100, 0.0), 1.0)
    Path("better.json").write_text(resealed(document), encoding="utf-8")


@pytest.mark.full  # it takes five seconds
def test_a_baseline_shows_changes_and_fails_on_sure_ones_only(run_cli: RunCli) -> None:
    base = ("compare", "mlp", "--seeds", 5, *FAST)
    run_cli(*base, "--export-json", "base.json")
    check = (*base, "--seed", 10, "--fail-on-regression", "--baseline")
    same = run_cli(*check, "base.json")
    assert same.code == ExitCode.OK
    assert "not distinguishable from no change" in same.out
    shifted(1e-4)
    assert run_cli(*check, "better.json").code == ExitCode.OK
    shifted(15)
    worse = run_cli(*check, "better.json")
    assert worse.code == ExitCode.GATE_NOT_MET
    assert worse.err.startswith("gate not met: mlp: test accuracy changed by -")
    assert worse.err.count("\n") == 1
    assert "seeds unpaired" in worse.out
    shown = run_cli(*base, "--baseline", "better.json")
    assert shown.code == ExitCode.OK
    assert "paired by seed" in shown.out
    other = run_cli(*base, "--lr", 0.002, "--baseline", "base.json")
    assert (
        "Since base.json (different settings: mlp lr 0.001, now 0.002), 95 % confidence interval:"
        in other.out
    )
    shifted(-50)
    assert run_cli(*check, "better.json").code == ExitCode.OK


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--seeds", 0), "'--seeds': '0' is neither auto nor a number from 1 to 1000;"),
        (("--target", 98), "'--target': must be a fraction from 0 to 1, not 98;"),
        (("--max-seconds", -1), "'--max-seconds': must be a positive number, not -1"),
        (("--fail-on-regression",), "--fail-on-regression needs --baseline FILE.json"),
        (("--baseline", "base.json"), "--baseline needs --seeds 5 or more"),
        (("--target", 0.9, "--recipe", "fast"), "use --recipe article"),
        (("--plot", "a.gif"), "--plot a.gif must end in .png, .svg or .pdf"),
        (("--export-json", "absent/a.json"), "cannot write absent/a.json: the folder"),
        (
            ("--export-json", "-", "--export-csv", "-"),
            "two exports cannot both go to standard output",
        ),
        (("--export-json", "-", "--json"), "cannot both go to standard output"),
        (("mlp",), "mlp is named twice"),
        (("--journal", "-"), "--journal needs a file"),
        (
            ("--export-json", "a", "--journal", "a"),
            "--export-json and --journal cannot both write a",
        ),
        (("--show-disagreements",), "--show-disagreements is for checkpoints"),
        (("--seed", 2**63 - 1, "--seeds", 2), "--seed and --seeds together must stay below 2**63"),
    ],
)
def test_options_that_do_not_fit(run_cli: RunCli, arguments: tuple[str, ...], message: str) -> None:
    outcome = run_cli("compare", "mlp", *arguments)
    assert outcome.code == ExitCode.USAGE
    assert outcome.err.startswith("error: ")
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_baselines_that_do_not_fit(run_cli: RunCli) -> None:
    run_cli("compare", "mlp", "--seeds", 5, "--export-json", "base.json", *FAST)
    document = json.loads(Path("base.json").read_text(encoding="utf-8"))

    def refusal(change: dict[str, Any], *arguments: object) -> str:
        Path("other.json").write_text(resealed(document | change), encoding="utf-8")
        outcome = run_cli(
            "compare", "mlp", "--seeds", 5, "--baseline", "other.json", *map(str, arguments), *FAST
        )
        assert outcome.code in {ExitCode.FAILURE, ExitCode.USAGE}
        assert outcome.out == ""
        return outcome.err

    assert "(schema_version: Input should be 2)" in refusal({"schema_version": 3})
    assert "is not an export of compare" in refusal({"models": 3})
    dataset = document["dataset"] | {"name": "mnist", "sha256": "0" * 64}
    assert "was measured on other images, those of mnist;" in refusal({"dataset": dataset})
    assert "--target trains all networks to the same one" in refusal({}, "--target", 0.5)
    assert "was trained up to a target" in refusal({"target": 0.5})
    failed = [model | {"failure": "no"} for model in document["models"]]
    assert "has none of these networks" in refusal({"models": failed})
    assert "should have at least 1 item" in refusal({"models": []})
    single = [model | {"runs": model["runs"][:4]} for model in document["models"]]
    assert "has fewer than 5 runs of mlp" in refusal({"models": single})
    for value in (float("inf"), "NaN", 7e9, 10**400):
        run = document["models"][0]["runs"][0] | {"test_accuracy": value}
        model = document["models"][0] | {"runs": [run, run]}
        assert "is not an export of compare" in refusal({"models": [model]})
    assert "is not an export of compare" in refusal({"target": "x"})
    text = Path("base.json").read_text(encoding="utf-8")
    Path("other.json").write_text(
        text.replace('"seeds_changed": false', '"seeds_changed": true'), "utf-8"
    )
    outcome = run_cli("compare", "mlp", "--seeds", 5, "--baseline", "other.json", *FAST)
    assert "is not an export of compare (its checksum is another one, so" in outcome.err
    Path("other.json").unlink()
    outcome = run_cli("compare", "mlp", "--seeds", 5, "--baseline", "other.json", *FAST)
    assert "cannot read other.json: No such file" in outcome.err


def test_a_plotted_interval_stays_within_what_is_possible() -> None:
    from mnist_cli.report.pictures.style import accuracy_ends

    [low, high] = comparison(network("a", (0.02, 0.03)), network("b", (0.99, 0.98))).models
    assert low.figures is not None
    assert high.figures is not None
    mean, least, _ = accuracy_ends(low.figures)
    assert least == 0
    assert mean == pytest.approx(2.5)
    mean, least, most = accuracy_ends(high.figures)
    assert most == 100
    assert most - mean == pytest.approx(1.5)
    assert mean - least == pytest.approx(12.706 * 0.5, rel=1e-4)


def test_a_plot_has_every_network(run_cli: RunCli) -> None:
    run_cli("compare", "mlp", "own.py:linear", "--seeds", 2, "--plot", "plot.svg", *FAST)
    content = Path("plot.svg").read_bytes()
    assert b"<!-- own.py:linear -->" in content
    assert b"<!-- parameters -->" in content
    outcome = run_cli("train", "mlp", "--plot", "curve.png", *FAST)
    assert outcome.code == ExitCode.OK
    assert Path("curve.png").read_bytes().startswith(b"\x89PNG")
    refused = run_cli("train", "mlp", "--plot", "curve.txt", *FAST)
    assert "--plot curve.txt must end in" in refused.err
