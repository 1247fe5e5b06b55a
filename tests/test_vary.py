"""`--vary`: what its values are, and which entries they make."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from mnist_cli.cli.vary import combine, parse_varied
from mnist_cli.errors import ExitCode, UsageError
from mnist_cli.networks.registry import MODELS, resolve
from mnist_cli.report import phrases
from mnist_cli.report.conclusion import conclusion
from mnist_cli.report.pictures.style import title
from mnist_cli.schema.comparison import CompareResult, Settling
from mnist_cli.schema.protocol import Precision, Recipe, Settings
from mnist_cli.training.recipes import FAST_CUSTOM, protocol_of
from tests.conftest import RunCli
from tests.made_up import comparison, network

FAST = ("--epochs", 1, "--dataset", "mnist5k", "--quiet")


def test_every_combination_is_an_entry_with_a_name_of_its_own() -> None:
    varied = parse_varied(["lr=0.001,3e-3", "batch-size=64,128"])
    made = combine([resolve("mlp"), resolve("cnn")], Settings(epochs=2), varied)
    assert [entry.name for entry in made][:4] == [
        "mlp lr=0.001 batch-size=64",
        "mlp lr=0.001 batch-size=128",
        "mlp lr=0.003 batch-size=64",
        "mlp lr=0.003 batch-size=128",
    ]
    assert len(made) == 8
    last = made[-1].protocol
    assert (last.lr, last.batch_size, last.epochs) == (0.003, 128, 2)
    assert dict(made[-1].varied) == {"lr": 0.003, "batch-size": 128}


def test_a_recipe_is_each_networks_own_and_what_is_set_overrides_it() -> None:
    varied = parse_varied(["recipe=article,FAST", "precision=bf16", "dropout=0.5"])
    article, fast = combine([resolve("strongcnn")], Settings(lr=0.1), varied)
    assert (article.protocol.recipe, fast.protocol.recipe) == (Recipe.ARTICLE, Recipe.FAST)
    assert (article.protocol.epochs, fast.protocol.epochs) == (5, 1)
    assert article.protocol.dropout == fast.protocol.dropout == 0.5
    assert article.protocol.lr == fast.protocol.lr == 0.1
    assert fast.precision == Precision.BF16


def test_a_networks_fast_recipe_is_one_that_was_measured() -> None:
    log = Path(__file__).parent / "benchmarks" / "tune.log"
    trials = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    for name in MODELS:
        protocol = protocol_of(Settings(Recipe.FAST), resolve(name))
        tried = [trial["protocol"] for trial in trials if trial["model"] == name]
        assert any(each.items() <= asdict(protocol).items() for each in tried)


def test_a_network_with_arguments_has_the_fast_recipe_of_its_name() -> None:
    fast = Settings(Recipe.FAST)
    for name in MODELS:
        wide = resolve(f"{name}({'hidden' if name == 'mlp' else 'channels'}=3)")
        assert protocol_of(fast, wide) == protocol_of(fast, resolve(name))
    assert protocol_of(fast, resolve("nets.py:mlp(hidden=3)")) == FAST_CUSTOM


def test_nothing_varied_is_the_network_itself() -> None:
    [entry] = combine([resolve("mlp")], Settings(), {})
    assert (entry.name, dict(entry.varied)) == ("mlp", {})


def test_values_that_are_no_numbers_have_one_form_in_names() -> None:
    varied = parse_varied(["augment=none,rotate=10+shift=2", "shuffle-pixels=on,false"])
    names = [entry.name for entry in combine([resolve("mlp")], Settings(), varied)]
    assert names == [
        "mlp augment=none shuffle-pixels=on",
        "mlp augment=none shuffle-pixels=off",
        "mlp augment=shift=2+rotate=10 shuffle-pixels=on",
        "mlp augment=shift=2+rotate=10 shuffle-pixels=off",
    ]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["lr"], "--vary lr: give one of recipe, epochs, batch-size, lr, optimizer"),
        (["speed=1"], "--vary speed=1: give one of"),
        (["=1"], "--vary =1: give one of"),
        (["lr="], "--vary lr=: it should be a valid number"),
        (["lr=1,,2"], "--vary lr=: it should be a valid number"),
        (["lr=0"], "--vary lr=0: it should be greater than 0"),
        (["lr=inf"], "--vary lr=inf: it should be a finite number"),
        (["epochs=0"], "--vary epochs=0: it should be greater than or equal to 1"),
        (["epochs=1.5"], "--vary epochs=1.5: it should be a valid integer"),
        (["batch-size=1000001"], "it should be less than or equal to 1000000"),
        (["dropout=-1"], "it should be greater than or equal to 0"),
        (["precision=fp16"], "it should be 'auto', 'fp32' or 'bf16'"),
        (["lr=0.001,1e-3"], "has a value twice"),
        (["lr=0.001,0.00100000000001"], "has a value twice"),
        (["precision=fp32,FP32"], "has a value twice"),
        (["lr=1", "lr=2"], "--vary lr is given twice"),
        (["nesterov=maybe"], "--vary nesterov=maybe: it should be on or off"),
        (["optimizer=adm"], "--vary optimizer=adm: it should be 'adam', 'adamw' or 'sgd'"),
        (["momentum=1"], "--vary momentum=1: it should be less than 1"),
        (["augment=none,shift=99"], "--vary augment: shift=99: it should be less than or equal"),
        (["augment=shift=1+shift=2"], "--vary augment: shift is given twice; give it once"),
        (["augment=shift=1,shift=1.0"], "has a value twice"),
    ],
)
def test_values_that_cannot_be(texts: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_varied(texts)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.full  # it takes four seconds
def test_a_comparison_of_settings(run_cli: RunCli) -> None:
    files = ("--export-json", "a.json", "--export-csv", "a.csv", "--plot", "a.svg")
    compare = ("compare", "mlp", "--vary", "lr=0.001,0.01", "--seeds", 5, *FAST)
    outcome = run_cli(*compare, "--journal", "runs.jsonl", *files)
    assert outcome.code == ExitCode.OK
    assert "mlp lr=0.01 beats mlp lr=0.001 by " in outcome.out
    rows = json.loads(Path("a.json").read_text(encoding="utf-8"))["models"]
    assert [row["model"] for row in rows] == ["mlp lr=0.001", "mlp lr=0.01"]
    assert [row["protocol"]["lr"] for row in rows] == [0.001, 0.01]
    assert [(row["network"], row["varied"]) for row in rows] == [
        ("mlp", {"lr": 0.001}),
        ("mlp", {"lr": 0.01}),
    ]
    assert '"model": "mlp lr=0.01"' in Path("runs.jsonl").read_text(encoding="utf-8")
    assert "\nmlp lr=0.01,25450," in Path("a.csv").read_text(encoding="utf-8")
    plot = Path("a.svg").read_text(encoding="utf-8")
    assert "<!-- lr -->" in plot
    assert "<!-- parameters -->" not in plot
    again = run_cli(*compare, "--baseline", "a.json")
    assert "mlp lr=0.01: the same accuracy with each of 5 seeds" in again.out


def grid(accuracies: dict[tuple[str, int, int], float], **options: Any) -> CompareResult:
    """Networks with a learning rate and a batch size, five seeds each."""
    rows = []
    for place, ((name, lr, batch_size), mean) in enumerate(accuracies.items()):
        varied: dict[str, str | int | float] = {"lr": lr, "batch-size": batch_size}
        runs = [mean + 0.0001 * ((seed * (place + 2)) % 3) for seed in range(5)]
        row = network(f"{name} {lr} {batch_size}", runs)
        rows.append(replace(row, network=name, varied=varied))
    return comparison(*rows, **options)


FOUR = {("mlp", 1, 64): 0.9, ("mlp", 1, 128): 0.92, ("mlp", 2, 64): 0.94, ("mlp", 2, 128): 0.96}


def test_only_pairs_that_differ_in_one_thing_are_judged() -> None:
    result = grid({**FOUR, ("cnn", 1, 64): 0.97})
    assert [(each.first, each.second) for each in result.verdicts] == [
        ("mlp 1 64", "mlp 1 128"),
        ("mlp 1 64", "mlp 2 64"),
        ("mlp 1 64", "cnn 1 64"),
        ("mlp 1 128", "mlp 2 128"),
        ("mlp 2 64", "mlp 2 128"),
    ]
    assert {each.difference.confidence for each in result.verdicts} == {1 - 0.05 / 5}
    head = "of pairs that differ in one thing, the network or one setting of --vary, paired by seed"
    assert head in phrases.verdicts(result)[0]
    one_setting = {key: mean for key, mean in FOUR.items() if key[2] == 64}
    assert head not in phrases.verdicts(grid(one_setting))[0]


def test_a_verdict_follows_from_two_others_but_not_everything_is_compared() -> None:
    assert conclusion(grid(FOUR)) == "mlp 2 128 is best."
    # cnn beats mlp 1 64 alone, and was not compared with the others.
    assert conclusion(grid({**FOUR, ("cnn", 1, 64): 0.97})) == (
        "The best is among mlp 2 128 and cnn 1 64, which were not all compared with each other: "
        "--seeds auto --find-best compares all."
    )
    equal = conclusion(grid(dict.fromkeys(FOUR, 0.9), margin=0.002))
    assert equal == (
        "mlp 1 64, mlp 1 128, mlp 2 64 and mlp 2 128 were not all compared with each other: "
        "--seeds auto --find-best compares all."
    )
    tie = conclusion(grid({**FOUR, ("mlp", 2, 64): 0.96}))
    assert tie.startswith(
        "The best is among mlp 2 64 and mlp 2 128, which are not distinguishable yet: --seeds auto"
    )
    # Where a pair is open, more seeds come first.
    low = conclusion(grid({**FOUR, ("mlp", 1, 128): 0.9, ("cnn", 1, 64): 0.97}))
    assert low.endswith(
        "mlp 1 64 and mlp 1 128 are not distinguishable yet: --seeds auto adds seeds to find out."
    )
    # With a target, the best is not looked for.
    alone = replace(grid({**FOUR, ("cnn", 1, 64): 0.97}), target=0.5)
    runs = [tuple(replace(run, reached_target=True) for run in row.runs) for row in alone.models]
    rows = [replace(row, runs=its) for row, its in zip(alone.models, runs, strict=True)]
    timed = conclusion(replace(alone, models=tuple(rows)))
    assert timed.endswith("which were not all compared with each other.")


def test_seeds_are_added_for_pairs_that_differ_in_one_thing() -> None:
    result = grid(FOUR, settling=Settling(40))
    assert {each.difference.confidence for each in result.verdicts} == {1 - 0.05 / (4 * 10)}
    assert all(model.settled for model in result.models)
    assert len(phrases.verdicts(result)) == 1 + 4
    assert "4 of 4 pairs settled" in title(result)
    first = result.models[0]
    few = replace(first, runs=first.runs[:3])
    early = comparison(few, *result.models[1:], settling=Settling(40))
    assert [model.settled for model in early.models] == [False, False, False, True]
    assert [line for line in phrases.verdicts(early) if "too few seeds" in line] == [
        "mlp 1 64 and mlp 1 128 have no verdict: too few seeds yet",
        "mlp 1 64 and mlp 2 64 have no verdict: too few seeds yet",
    ]


def test_a_setting_without_effect_is_told(run_cli: RunCli) -> None:
    outcome = run_cli("compare", "mlp", "--vary", "dropout=1,0", *FAST)
    assert "mlp dropout=1 and mlp dropout=0 have the same accuracy and loss" in outcome.out
    assert run_cli("compare", "mlp", "--vary", "lr=0.001,0.01", *FAST).out.count("the same") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--lr", 0.1, "--vary", "lr=1,2"), "--lr and --vary lr conflict; drop one"),
        (("--vary", "recipe=fast", "--recipe", "article"), "--recipe and --vary recipe conflict"),
        (("--vary", "recipe=article,fast", "--target", 0.9), "use --recipe article"),
    ],
)
def test_options_that_do_not_fit(
    run_cli: RunCli, arguments: tuple[object, ...], message: str
) -> None:
    outcome = run_cli("compare", "mlp", *map(str, arguments))
    assert outcome.code == ExitCode.USAGE
    assert message in outcome.err


def test_too_much_dropout_is_a_failure_of_the_network(run_cli: RunCli) -> None:
    outcome = run_cli("compare", "strongcnn", "--vary", "dropout=3", *FAST)
    assert outcome.code == ExitCode.FAILURE
    assert "3 times its dropout is a probability of 1.5, above 1" in outcome.err


def test_more_networks_than_a_file_may_hold_are_refused(run_cli: RunCli) -> None:
    seeds = ",".join(str(0.001 * number) for number in range(1, 258))
    outcome = run_cli("compare", "mlp", "--vary", f"lr={seeds}", *FAST)
    assert outcome.code == ExitCode.USAGE
    assert outcome.err == "error: at most 256 networks can be compared; name fewer\n"
