"""`compare --from`: exports of one comparison put together, or refused with what differs."""

import json
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from mnist_cli.comparison.baseline import load_baseline
from mnist_cli.comparison.merging import merge
from mnist_cli.errors import ExitCode, MnistCliError, UsageError
from mnist_cli.report import cautions, phrases
from mnist_cli.schema.comparison import CompareResult, Settling
from mnist_cli.schema.protocol import Protocol
from mnist_cli.schema.record import to_json
from mnist_cli.workflows.compare_exports import merge_exports
from tests.conftest import RunCli, write_dataset
from tests.made_up import MACHINE, comparison, network, resealed

FAST = ("--epochs", 1, "--dataset", "mnist5k", "--quiet")
A, B = Path("a.json"), Path("b.json")
MLP, CNN = network("mlp", (0.94,), first_seed=1), network("cnn", (0.95,), first_seed=1)
DATASET = comparison(MLP).dataset


def export(first_seed: int, *accuracies: float, **options: Any) -> CompareResult:
    seeds = tuple(range(first_seed, first_seed + len(accuracies)))
    rows = [
        network(name, [value - less for value in accuracies], first_seed=first_seed, **options)
        for name, less in (("mlp", 0.01), ("cnn", 0.0))
    ]
    return replace(comparison(*rows), seeds=seeds)


@pytest.mark.full  # it takes four seconds
def test_the_whole_is_that_of_one_machine(run_cli: RunCli) -> None:
    models = ("compare", "mlp", "tinycnn", *FAST)
    whole = run_cli(*models, "--seeds", 5, "--json").json
    run_cli(*models, "--seeds", 3, "--export-json", A)
    run_cli(*models, "--seeds", 3, "--seed", 2, "--export-json", B)
    outcome = run_cli("compare", B, A, "--json", "--plot", "p.svg", "--min-accuracy", 1)
    assert outcome.code == ExitCode.GATE_NOT_MET, outcome.err
    assert Path("p.svg").exists()
    both = outcome.json
    assert both["seeds"] == whole["seeds"] == [0, 1, 2, 3, 4]
    for one, other in zip(both["models"], whole["models"], strict=True):
        assert [run["test_accuracy"] for run in one["runs"]] == [
            run["test_accuracy"] for run in other["runs"]
        ]
        assert one["figures"]["test_accuracy"] == other["figures"]["test_accuracy"]
    assert both["verdicts"] == whole["verdicts"]
    assert (both["journal"], both["wall_seconds"]) == (None, None)
    Path("whole.json").write_text(json.dumps(both))
    assert run_cli("compare", "whole.json").code == ExitCode.OK


@pytest.mark.parametrize("seeds", [4, 5])
def test_a_baseline_needs_five_seeds_together(seeds: int) -> None:
    base = Path("base.json")
    for path, first_seed, count in ((base, 0, 5), (A, 0, 3), (B, 3, seeds - 3)):
        path.write_text(resealed(json.loads(to_json(export(first_seed, *[0.95] * count)))))
    few = pytest.raises(UsageError, match="--baseline needs 5 seeds or more")
    with few if seeds < 5 else nullcontext():
        both = merge_exports([A, B], base)
        assert both.baseline
        assert [change.identical for change in both.baseline.changes] == [True, True]


def test_times_of_several_machines_are_left_out() -> None:
    one = export(0, 0.95, 0.96, hosts=("one",))
    assert merge({A: one, B: export(2, 0.94, hosts=("one",))}).models[0].figures.times  # type: ignore[union-attr]
    two = merge({A: one, B: export(2, 0.94, hosts=("two",))})
    assert [row.figures and row.figures.times for row in two.models] == [None, None]


def test_one_seed_twice_counts_once_if_it_is_the_same_run() -> None:
    one, same = export(0, 0.95, 0.96), export(1, 0.96, 0.97)
    both = merge({A: one, B: same})
    assert [run.seed for run in both.models[1].runs] == [0, 1, 2]
    with pytest.raises(UsageError, match=r"cnn has different runs of seed 1 \(accuracy 0\.96 and"):
        merge({A: replace(one, models=one.models[1:]), B: _only_cnn(export(1, 0.95, 0.97))})


@pytest.mark.parametrize("swapped", [False, True])
def test_what_one_export_knows_holds_for_the_whole(swapped: bool) -> None:
    clean = replace(export(0, 0.95, 0.96, 0.97), journal="a.jsonl")
    doubtful = replace(export(3, 0.94, 0.93), seeds_changed=True, narrowed_from=10)

    def together(one: CompareResult, other: CompareResult) -> CompareResult:
        return merge({A: other, B: one} if swapped else {A: one, B: other})

    both = together(clean, doubtful)
    assert (both.seeds_changed, both.narrowed_from) == (True, 10)
    assert cautions.SEEDS_ADDED in phrases.findings(both)
    fine = together(clean, replace(doubtful, seeds_changed=False, narrowed_from=None))
    assert phrases.verdicts(fine)[0].endswith(f"confidence interval {phrases.IF_FIXED}:")
    assert "fixed in advance" not in str(phrases.findings(fine))
    mlp, cnn = doubtful.models
    failed = together(clean, replace(doubtful, models=(replace(mlp, failure="no luck"), cnn)))
    assert failed.models[0].failure == "no luck"
    assert failed.verdicts == ()


def _only_cnn(result: CompareResult) -> CompareResult:
    return replace(result, models=result.models[1:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": 0.9}, "target None and 0.9"),
        ({"margin": 0.01}, "margin None and 0.01"),
        ({"settling": Settling(40)}, "number of seeds fixed and until settled, 40 at most"),
        ({"environment": replace(MACHINE, threads=1)}, "threads 2 and 1"),
        ({"environment": replace(MACHINE, torch="2.16")}, "torch 2.15 and 2.16"),
        ({"environment": replace(MACHINE, mnist_cli="0.2")}, "mnist_cli 0.1.0 and 0.2"),
        ({"environment": replace(MACHINE, device="mps")}, "device cpu and mps"),
        ({"dataset": replace(DATASET, name="kmnist")}, "dataset name mnist and kmnist"),
        ({"dataset": replace(DATASET, sha256="1" * 64)}, "dataset sha256 0*"),
        ({"models": (MLP,)}, "only a.json has cnn"),
        ({"models": (MLP, CNN, network("b", (0.9,)))}, "only b.json has b"),
        ({"models": (replace(MLP, protocol=Protocol(lr=0.1)), CNN)}, r"mlp lr 0\.001 and 0\.1"),
        ({"models": (MLP, replace(CNN, protocol=Protocol(epochs=1)))}, "cnn epochs 5 and 1"),
        ({"models": (MLP, replace(CNN, precision="bf16"))}, "cnn precision fp32 and bf16"),
        ({"models": (MLP, replace(CNN, parameters=9))}, "cnn parameters 1000 and 9"),
        ({"models": (MLP, replace(CNN, mult_adds=9))}, "cnn mult_adds 64000 and 9"),
        ({"models": (MLP, replace(CNN, code={"n.py": "ab"}))}, r"n\.py of cnn is another file"),
    ],
)
def test_each_condition_is_named_in_either_order(change: Any, message: str) -> None:
    one, other = export(0, 0.95), replace(export(1, 0.95), **change)
    with pytest.raises(UsageError, match=f"a.json and b.json are not of one comparison: {message}"):
        merge({A: one, B: other})
    with pytest.raises(UsageError, match=r"b\.json and a\.json are not of one comparison"):
        merge({B: other, A: one})


def test_what_a_failed_network_does_not_know_is_no_condition() -> None:
    unknown = replace(MLP, parameters=None, mult_adds=None, precision=None, runs=(), failure="no")
    for exports in _both_orders(export(0, 0.95), replace(export(1, 0.96), models=(unknown, CNN))):
        both = merge(exports)
        assert [row.failure for row in both.models] == ["no", None]
        assert both.models[0].figures is None
        assert not both.verdicts


def test_networks_may_stand_in_another_order() -> None:
    one, other = export(0, 0.95, 0.96), export(2, 0.94)
    other = replace(other, models=other.models[::-1])
    for exports in _both_orders(one, other):
        both = merge(exports)
        assert [row.model for row in both.models] == [
            row.model for row in next(iter(exports.values())).models
        ]
        assert [len(row.runs) for row in both.models] == [3, 3]
        assert both.seeds == (0, 1, 2)


@pytest.mark.parametrize(
    "change",
    [{"epochs": 3}, {"test_accuracy": 0.9}, {"test_loss": 0.2}, {"reached_target": True}],
)
def test_runs_of_one_seed_that_differ_are_refused(change: Any) -> None:
    one = export(1, 0.95, 0.96)
    other = replace(
        one, models=(one.models[0], replace(CNN, runs=(replace(CNN.runs[0], **change),)))
    )
    for exports in _both_orders(one, other):
        with pytest.raises(UsageError, match="cnn has different runs of seed 1"):
            merge(exports)


def test_what_one_of_them_says_holds_for_all() -> None:
    one, other = export(0, 0.95, 0.96), export(2, 0.95, 0.97)
    for exports in _both_orders(one, replace(other, seeds_changed=True, narrowed_from=4)):
        both = merge(exports)
        assert (both.seeds_changed, both.narrowed_from) == (True, 4)
    for exports in _both_orders(replace(one, narrowed_from=9), replace(other, narrowed_from=4)):
        assert merge(exports).narrowed_from == 9
    assert (merge({A: one, B: other}).seeds_changed, merge({A: one}).narrowed_from) == (
        False,
        None,
    )


def test_seeds_after_a_gap_count_where_exports_stopped_early() -> None:
    """One pair was settled at 4 seeds, and the other export began at seed 10."""
    settling = Settling(40)
    rows = [
        [network("mlp", (0.95, 0.96, 0.95, 0.96)), network("cnn", (0.97, 0.98, 0.98, 0.97, 0.98))],
        [network(name, (0.95, 0.96, 0.97), first_seed=10) for name in ("mlp", "cnn")],
    ]
    one, other = (
        replace(comparison(*each, settling=settling), seeds=seeds)
        for each, seeds in zip(rows, ((0, 1, 2, 3, 4), (10, 11, 12)), strict=True)
    )
    for exports in _both_orders(one, other):
        [verdict] = merge(exports).verdicts
        assert verdict.difference.n == 7  # 0 to 3 and 10 to 12, as there were looks at 4, 5 and 7


def test_a_run_that_is_not_judged_says_nothing_of_a_merged_pair() -> None:
    """Seed 3 was trained without seed 2, so the pair is judged with seeds 0, 1, 10 and 11."""
    one, other = (
        replace(comparison(*rows, settling=Settling(4)), seeds=seeds)
        for rows, seeds in (
            ([network(name, (0.95, 0.96, 0.97, 0.1)) for name in ("mlp", "cnn")], (0, 1, 2, 3)),
            ([network(name, (0.95, 0.96), first_seed=10) for name in ("mlp", "cnn")], (10, 11)),
        )
    )
    late = replace(one.models[0], runs=one.models[0].runs[:2] + one.models[0].runs[3:])
    [verdict] = merge({A: replace(one, models=(late, one.models[1])), B: other}).verdicts
    assert (verdict.difference.n, verdict.near_chance) == (4, ())


def test_a_run_that_came_out_of_turn_waits_for_those_before_it() -> None:
    rows = [network(name, (0.95, 0.96, 0.95, 0.97, 0.96)) for name in ("mlp", "cnn")]
    late = replace(rows[0], runs=rows[0].runs[:2] + rows[0].runs[3:])
    assert comparison(*rows, settling=Settling(40)).verdicts
    assert not comparison(late, rows[1], settling=Settling(40)).verdicts


def test_an_export_that_holds_something_twice_is_refused() -> None:
    one, other = network("mlp", (0.95, 0.96)), network("cnn", (0.95, 0.96))
    again = replace(other, runs=other.runs[:1] * 2)
    for rows, message in (
        ((one, again), "it holds seed 0 of cnn twice"),
        ((one, other, one), "it holds mlp twice"),
    ):
        A.write_text(resealed(asdict(comparison(*rows, seeds=2))), encoding="utf-8")
        with pytest.raises(MnistCliError, match=message):
            load_baseline(A)


def _both_orders(one: CompareResult, other: CompareResult) -> list[dict[Path, CompareResult]]:
    return [{A: one, B: other}, {B: other, A: one}]


def test_what_does_not_fit_on_the_command_line(run_cli: RunCli) -> None:
    A.write_text(resealed(json.loads(json.dumps({"schema_version": 1}))))
    for arguments, code, message in (
        ((A, "mlp"), ExitCode.USAGE, "cannot compare mlp (networks) and a.json (exports)"),
        ((A, "--seeds", 3), ExitCode.USAGE, "--seeds is for training"),
        ((A, "--dataset", "mnist"), ExitCode.USAGE, "--dataset is for training"),
        ((A, A), ExitCode.USAGE, "named twice"),
        ((A, "--export-json", A), ExitCode.USAGE, "cannot replace a.json"),
        ((A,), ExitCode.FAILURE, "a.json is not an export of compare"),
        (("gone.json",), ExitCode.FAILURE, "cannot read gone.json"),
    ):
        outcome = run_cli("compare", *arguments)
        assert (outcome.code, outcome.err.count("\n")) == (code, 1)
        assert message in outcome.err


def test_a_report_of_exports_takes_images_from_the_data_folder(run_cli: RunCli) -> None:
    write_dataset(Path("data/KMNIST"))
    made = ("compare", "mlp", "--dataset", "kmnist", "--data-dir", "data", "--epochs", 1, "--quiet")
    run_cli(*map(str, made), "--export-json", "a.json")
    for folder, is_there in (("data", True), (".", False)):
        outcome = run_cli("compare", "a.json", "--report", "a.html", "--data-dir", folder)
        assert outcome.code == ExitCode.OK, outcome.err
        page = Path("a.html").read_text(encoding="utf-8")
        assert ("data:image/png" in page) == is_there
