"""The setting that a comparison on held-out images chose, and the command that tests it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from mnist_cli.comparison.analysis import analyse
from mnist_cli.report.command import describe_choice
from mnist_cli.schema.comparison import CompareResult, ModelRuns, Settling
from mnist_cli.schema.protocol import Protocol
from tests.made_up import comparison, network

NOISE = (0.0, 0.001, -0.001, 0.0005, -0.0005)


def rate(lr: float, mean: float, seeds: int = 5) -> ModelRuns:
    shift = round(1000 * lr)  # another order of the noise for each rate
    noise = (NOISE[shift % 5 :] + NOISE[: shift % 5])[:seeds]
    row = network(f"cnn lr={lr:g}", [mean + each for each in noise])
    return replace(row, network="cnn", varied={"lr": lr}, protocol=Protocol(lr=lr))


def held_out(
    rows: Sequence[ModelRuns], settling: Settling | None = None, seeds: int = 5
) -> CompareResult:
    result = comparison(*rows, seeds=seeds)
    dataset = replace(result.dataset, hold_out=result.dataset.num_test)
    return analyse(replace(result, dataset=dataset, settling=settling))


def test_the_chosen_setting_is_named_with_the_command_that_tests_it_once() -> None:
    result = held_out([rate(0.001, 0.9), rate(0.003, 0.95), rate(0.01, 0.93)])
    chosen, test = describe_choice(result)
    assert chosen == f"Chosen on {result.dataset.num_test:,} validation images: cnn lr=0.003."
    assert test.startswith("To train it with all images and test it once: mnist-cli compare cnn ")
    assert "--lr 0.003" in test and "--seed 5 --seeds 5" in test
    assert "hold-out" not in test and "vary" not in test


def test_settings_that_may_be_as_good_are_named() -> None:
    rows = [rate(0.001, 0.9), rate(0.003, 0.95), rate(0.007, 0.9501)]
    chosen, test = describe_choice(held_out(rows))
    assert chosen.endswith(": cnn lr=0.007; cnn lr=0.003 may be as good.")
    assert "--lr 0.007" in test


def test_with_find_best_the_contenders_are_the_choice() -> None:
    rows = [rate(0.001, 0.9), rate(0.003, 0.95), rate(0.007, 0.9501)]
    chosen, _ = describe_choice(held_out(rows, Settling(5, find_best=True)))
    assert chosen.endswith(": cnn lr=0.007; cnn lr=0.003 may be as good.")


def test_one_seed_chooses_by_its_accuracy_and_says_so() -> None:
    rows = [rate(0.001, 0.9, seeds=1), rate(0.003, 0.95, seeds=1)]
    chosen, _ = describe_choice(held_out(rows, seeds=1))
    assert chosen.endswith("images: cnn lr=0.003, with one seed.")


def test_a_setting_without_an_option_stays_in_the_command() -> None:
    rows = [rate(0.001, 0.9), rate(0.001, 0.95)]
    rows[1] = replace(
        rows[1], model="cnn dropout=0", varied={"dropout": 0.0}, protocol=Protocol(dropout=0)
    )
    rows[0] = replace(rows[0], varied={"dropout": 1.0})
    _, test = describe_choice(held_out(rows))
    assert "--vary dropout=0 " in test


@pytest.mark.parametrize(
    "case", ["test images", "nothing varied", "unfinished", "no runs", "circle"]
)
def test_nothing_is_chosen(case: str) -> None:
    rows = [rate(0.001, 0.9), rate(0.003, 0.95)]
    if case == "nothing varied":
        rows = [replace(row, varied={}) for row in rows]
    if case == "unfinished":
        rows[1] = rate(0.003, 0.95, seeds=4)
    if case == "no runs":
        rows = [rate(0.001, 0.9, seeds=0), rate(0.003, 0.9, seeds=0)]
    result = held_out(rows)
    if case == "test images":
        result = replace(result, dataset=replace(result.dataset, hold_out=0))
    if case == "circle":  # one beats two, two beats three, three beats one
        rows.append(rate(0.01, 0.9))
        result = held_out(rows)
        pairs = zip(result.verdicts, (True, False, True), strict=True)
        verdicts = [replace(pair, better=pair.first if one else pair.second) for pair, one in pairs]
        result = replace(result, verdicts=tuple(verdicts))
    assert describe_choice(result) == []
