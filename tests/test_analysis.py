"""What is said of made-up runs: half-failed networks, ties, outliers, targets and baselines."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mnist_cli.comparison import statistics
from mnist_cli.comparison.analysis import with_baseline
from mnist_cli.comparison.baseline import accuracies, training_note
from mnist_cli.comparison.gates import failed_gates
from mnist_cli.report import phrases
from mnist_cli.schema.comparison import Aggregate, CompareResult, Measure
from mnist_cli.schema.options import GateOptions
from tests.made_up import MACHINE, comparison, network

GOOD = (0.980, 0.981, 0.979, 0.982, 0.980)
BAD = (0.950, 0.952, 0.949, 0.951, 0.950)


def figures(result: CompareResult, name: str) -> Aggregate:
    [row] = [model for model in result.models if model.model == name]
    assert row.figures is not None
    return row.figures


def test_the_better_network_is_named_and_the_difference_is_first_minus_second() -> None:
    for first, second in ((GOOD, BAD), (BAD, GOOD)):
        [verdict] = comparison(network("a", first), network("b", second)).verdicts
        assert verdict.better == ("a" if first is GOOD else "b")
        assert verdict.difference.mean == pytest.approx(0.03 if first is GOOD else -0.03)
        assert verdict.measure == Measure.TEST_ACCURACY


def test_a_tie_has_no_better_network() -> None:
    [verdict] = comparison(network("a", GOOD), network("b", GOOD)).verdicts
    assert (verdict.better, verdict.difference.mean, verdict.adjusted_p) == (None, 0, 1)


def test_more_pairs_ask_for_more() -> None:
    near = (0.978, 0.979, 0.980, 0.979, 0.979)  # 0.14 ± 0.15 points below GOOD by itself at 95 %
    alone = comparison(network("a", GOOD), network("b", near)).verdicts[0]
    among = comparison(network("a", GOOD), network("b", near), network("c", BAD)).verdicts[0]
    assert among.adjusted_p == pytest.approx(min(1, 3 * alone.adjusted_p))
    assert among.difference.confidence > alone.difference.confidence
    assert among.difference.half_width is not None
    assert alone.difference.half_width is not None
    assert among.difference.half_width > alone.difference.half_width


def test_only_common_seeds_are_paired() -> None:
    [verdict] = comparison(network("a", GOOD), network("b", BAD[:3], first_seed=2)).verdicts
    assert verdict.difference.n == 3
    assert comparison(network("a", GOOD), network("b", BAD, first_seed=4)).verdicts == ()


def test_a_network_that_failed_has_neither_figures_nor_verdicts() -> None:
    result = comparison(network("a", GOOD), network("b", BAD[:3], failure="seed 3: no luck"))
    assert result.models[1].figures is None
    assert result.verdicts == ()
    assert phrases.findings(result) == ["b failed: seed 3: no luck"]


def test_one_seed_has_no_interval_and_no_verdict() -> None:
    result = comparison(network("a", GOOD[:1]), network("b", BAD[:1]), seeds=1)
    assert figures(result, "a").test_accuracy.half_width is None
    assert phrases.findings(result) == [
        "One seed cannot rank: a small difference can be luck. "
        "Give --seeds 5 for intervals and verdicts, or --until-settled."
    ]


def test_pareto_marks_are_of_accuracy_at_a_cost() -> None:
    result = comparison(
        network("small", BAD, 1.0, parameters=100),
        network("slow", BAD, 3.0, parameters=200),
        network("large", GOOD, 2.0, parameters=900),
        network("twin", GOOD, 2.0, parameters=900),
    )
    marks = {
        m.model: (m.figures.pareto_parameters, m.figures.pareto_seconds)
        for m in result.models
        if m.figures
    }
    assert marks == {
        "small": (True, True),
        "slow": (False, False),
        "large": (True, True),
        "twin": (True, True),
    }


def test_an_outlier_is_a_seed_and_not_its_position() -> None:
    row = network("a", GOOD, (2.0, 2.1, 9.0, 2.0, 2.1), first_seed=40)
    result = comparison(row)
    assert figures(result, "a").outlier_seeds == (42,)
    [line] = phrases.findings(result)
    assert line == "a: seed 42 took 9.00 s, far from the median of 2.10 s; was the machine busy?"
    assert figures(result, "a").train_seconds_median == 2.1
    assert (figures(result, "a").train_seconds_min, figures(result, "a").train_seconds_max) == (
        2,
        9,
    )
    assert figures(result, "a").images_per_second == pytest.approx(60_000 * 5 / 2.1)


# Targets

YES = (True,) * 5


def test_with_a_target_the_faster_network_is_better() -> None:
    result = comparison(
        network("a", GOOD, (8.0, 8.1, 8.0, 8.2, 8.1), epochs=8, reached=YES),
        network("b", GOOD, (2.0, 2.1, 2.0, 2.1, 2.0), epochs=2, reached=YES),
        target=0.97,
    )
    [verdict] = result.verdicts
    assert (verdict.better, verdict.measure) == ("b", Measure.TRAIN_SECONDS)
    heading, line, *_ = phrases.findings(result)
    assert heading.startswith("Differences of mean times on these test images")
    assert line.startswith("b is faster than a by 6.04 ± ")
    assert figures(result, "a").pareto_seconds is None


def test_one_epoch_more_or_less_is_no_verdict() -> None:
    # The times differ by less than an epoch takes, which is how finely they are measured.
    result = comparison(
        network("a", GOOD, 2.0, epochs=2, reached=YES),
        network("b", GOOD, 2.4, epochs=2, reached=YES),
        target=0.97,
    )
    [verdict] = result.verdicts
    assert verdict.better is None


def test_the_interval_of_times_in_whole_epochs_covers_their_difference() -> None:
    # One run in ten needs an epoch more; an epoch takes 1 s and 3 s. Without a floor: 64 %.
    random = np.random.default_rng(0)
    truth = (3 + 0.1) * 1 - (1 + 0.1) * 3
    trials, hits = 400, 0
    for _ in range(trials):
        more = (random.random((2, 5)) < 0.1).astype(int)
        rows = [
            network(name, GOOD, (epochs * each).tolist(), epochs=epochs.tolist(), reached=YES)
            for name, each, epochs in (("a", 1.0, 3 + more[0]), ("b", 3.0, 1 + more[1]))
        ]
        [verdict] = comparison(*rows, target=0.97).verdicts
        assert verdict.difference.half_width is not None
        hits += abs(verdict.difference.mean - truth) <= verdict.difference.half_width
    assert hits / trials > 0.95


def test_runs_that_never_arrived_enter_no_mean_and_have_no_verdict() -> None:
    some = (True, True, False, True, True)
    result = comparison(
        network("a", GOOD, (2.0, 2.0, 50.0, 2.0, 2.0), epochs=(2, 2, 50, 2, 2), reached=some),
        network("b", GOOD, 3.0, reached=YES, loss=0.2),
        network("c", BAD, 30.0, epochs=50, reached=(False,) * 5),
        target=0.97,
    )
    assert (times := figures(result, "a").train_seconds)
    assert times.mean == 2.0
    assert times.n == 4
    assert figures(result, "a").outlier_seeds == ()
    assert result.verdicts == ()
    assert phrases.findings(result) == [
        "c never reached 97 % within 5 epochs",
        "a reached 97 % in 4/5 runs: how long it takes is not known, so it has no verdict",
    ]
    assert failed_gates(result, GateOptions(max_seconds=40)) == [
        "a: reached --target in 4 of 5 runs, so not within --max-seconds 40",
        "c: reached --target in 0 of 5 runs, so not within --max-seconds 40",
    ]


# Baselines


def changed(then: dict[int, float]) -> CompareResult:
    return with_baseline(comparison(network("a", GOOD)), "base.json", {"a": then}, None)


def test_a_drop_is_a_regression_and_a_rise_is_none() -> None:
    gate = GateOptions(fail_on_regression=True)
    for points, regressed in ((0.03, True), (-0.03, False), (0.00002, False)):
        result = changed({seed: accuracy + points for seed, accuracy in enumerate(GOOD)})
        assert result.baseline is not None
        [change] = result.baseline.changes
        assert change.regressed == regressed
        assert change.paired
        assert bool(failed_gates(result, gate)) == regressed
        assert failed_gates(result, GateOptions()) == []


def test_equal_changes_are_known_to_an_image() -> None:
    # 2.776 sqrt(0.0001**2 / 12 / 5), the error of rounding to one of 10,000 images.
    result = changed({seed: accuracy - 0.01 for seed, accuracy in enumerate(GOOD)})
    assert result.baseline is not None
    difference = result.baseline.changes[0].difference
    assert difference is not None
    assert difference.half_width == pytest.approx(3.584e-5, rel=1e-3)
    seconds = figures(result, "a").train_seconds
    assert seconds is not None
    assert seconds.half_width == 0
    same = figures(comparison(network("a", (0.98,) * 5)), "a").test_accuracy
    assert same.half_width == pytest.approx(3.584e-5, rel=1e-3)


def test_other_seeds_are_not_paired() -> None:
    result = changed(dict(enumerate(BAD, 10)))
    assert result.baseline is not None
    [change] = result.baseline.changes
    assert not change.paired
    assert change.difference is not None
    assert change.difference.mean == pytest.approx(0.03)
    assert phrases.findings(result)[-2] == "Since base.json, at 95 %:"
    assert phrases.findings(result)[-1].startswith("a: +3.00 ± ")
    assert phrases.findings(result)[-1].endswith(" points, seeds unpaired")


def test_a_network_that_the_baseline_lacks_has_no_change() -> None:
    result = with_baseline(comparison(network("a", GOOD)), "base.json", {}, "trained otherwise")
    assert phrases.findings(result) == [
        "Since base.json (trained otherwise):",
        "a: no change known; it has no runs there, or failed here",
    ]


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"processor": "Xeon"}, "processor EPYC, now Xeon"),
        ({"threads": 1}, "threads 2, now 1"),
        ({"torch": "2.16"}, "torch 2.15, now 2.16"),
        ({"mnist_cli": "0.2"}, "mnist_cli 0.1.0, now 0.2"),
        ({"device": "cuda:1"}, "device cpu, now cuda"),
        ({"platform": "macOS", "python": "3.14"}, None),
    ],
)
def test_a_note_tells_what_trained_otherwise(change: Any, note: str | None) -> None:
    then = comparison(network("a", GOOD), network("b", GOOD))
    now = replace(then, environment=replace(MACHINE, **change))
    assert training_note(then, now) == (note and f"trained otherwise: {note}")


def test_a_note_tells_protocols_but_not_the_network_itself() -> None:
    then = comparison(network("a", GOOD), network("b", GOOD))
    a, b = then.models
    other = replace(a, protocol=replace(a.protocol, epochs=1, lr=0.1), precision="bf16")
    now = replace(then, models=(other, network("c", GOOD)))
    found = training_note(then, now)
    assert (
        found
        == "trained otherwise: a epochs 5, now 1; a lr 0.001, now 0.1; a precision fp32, now bf16"
    )
    five = replace(
        a, protocol=replace(a.protocol, epochs=1, lr=1.0, batch_size=1, beta2=0.9, dropout=0.0)
    )
    found = training_note(then, replace(then, models=(five, b)))
    assert found is not None and found.count("; ") == 4 and "more" not in found
    changed = replace(b, code={"n.py": "ab"}, parameters=3, mult_adds=None)
    assert training_note(then, replace(then, models=(a, changed), target=0.9)) is None
    slow = [
        replace(row, protocol=replace(row.protocol, epochs=1, lr=1.0, batch_size=1))
        for row in (a, b)
    ]
    many = training_note(then, replace(then, models=tuple(slow)))
    assert many is not None and many.endswith("; b batch_size 64, now 1; and 1 more")


def test_runs_of_a_network_that_failed_are_no_baseline() -> None:
    then = comparison(network("a", GOOD, first_seed=3), network("b", BAD, failure="no luck"))
    assert accuracies(then) == {"a": dict(enumerate(GOOD, 3))}


# Gates


def test_a_gate_fails_below_and_not_above() -> None:
    result = comparison(network("a", GOOD, (2.0, 2.1, 2.0, 2.1, 2.0)))
    for within in (0.98, 0.981):  # up to 98.15 % it may be luck
        assert failed_gates(result, GateOptions(min_accuracy=within)) == []
    assert len(failed_gates(result, GateOptions(min_accuracy=0.982))) == 1
    assert failed_gates(result, GateOptions(max_seconds=2.0)) == []
    [low] = failed_gates(result, GateOptions(min_accuracy=0.99))
    assert low == (
        "a: test accuracy 98.04 ± 0.11 % (5 seeds, one-sided 95 %) is below --min-accuracy 0.99"
    )
    [long] = failed_gates(result, GateOptions(max_seconds=1.5))
    assert long.startswith("a: training time 2.04 ± 0.05 s (5 seeds, one-sided 95 %) is above")


def test_the_more_networks_the_surer_must_a_gate_be() -> None:
    rows = [network(name, GOOD) for name in "abcd"]
    reasons = failed_gates(comparison(*rows), GateOptions(min_accuracy=0.99, max_seconds=1000))
    assert len(reasons) == 4
    assert all("one-sided 99.38 %" in reason for reason in reasons)  # 1 - 0.05 / 8


def test_beside_a_regression_thresholds_share_half_of_the_error() -> None:
    gates = GateOptions(min_accuracy=0.99, fail_on_regression=True)
    [reason] = failed_gates(comparison(network("a", GOOD)), gates)
    assert "one-sided 97.5 %" in reason


@pytest.mark.parametrize("networks", [1, 4])
@pytest.mark.parametrize("regression", [False, True])
def test_gates_fail_at_most_5_of_100_builds_that_meet_them(networks: int, regression: bool) -> None:
    # Each network is at both thresholds and as good as in the baseline: the hardest case.
    random = np.random.default_rng(networks)
    gates = GateOptions(min_accuracy=0.97, max_seconds=2, fail_on_regression=regression)
    trials, failed = 400, 0
    for _ in range(trials):
        rows = [
            network(
                str(number),
                random.normal(0.97, 0.002, 5).tolist(),
                random.normal(2, 0.1, 5).tolist(),
            )
            for number in range(networks)
        ]
        then = {row.model: dict(enumerate(random.normal(0.97, 0.002, 5).tolist())) for row in rows}
        result = with_baseline(comparison(*rows), "base.json", then, None)
        failed += bool(failed_gates(result, gates))
    assert 0.02 < failed / trials < 0.05 + 2 * math.sqrt(0.05 * 0.95 / trials)


def test_one_run_is_taken_at_its_value_and_a_failed_network_at_none() -> None:
    result = comparison(network("a", (0.979,)), network("b", BAD, failure="no luck"), seeds=1)
    [reason] = failed_gates(result, GateOptions(min_accuracy=0.98))
    assert reason == "a: test accuracy 97.90 % (1 seed) is below --min-accuracy 0.98"


def test_a_second_look_is_told() -> None:
    rows = (network("a", GOOD), network("b", BAD))
    told = phrases.findings(comparison(*rows, seeds_changed=True))
    assert phrases.LOOKED_TWICE in told
    assert told[0].startswith("Differences on these test images, paired by seed, 5 seeds, at")
    once = phrases.findings(comparison(*rows))
    assert phrases.LOOKED_TWICE not in once
    assert "5 seeds fixed in advance" in once[0]
    # Gates of one network alone are looked at as well.
    assert phrases.findings(comparison(rows[0], seeds_changed=True)) == [phrases.LOOKED_TWICE]


def test_what_is_said_before_the_last_run_is_a_look() -> None:
    part, whole = (
        comparison(network("a", GOOD[:n]), network("b", BAD[:n]), seeds=5) for n in (4, 5)
    )
    assert phrases.findings(part)[-1] == phrases.UNFINISHED
    assert phrases.UNFINISHED not in phrases.findings(whole)
    failed = comparison(
        network("a", GOOD), network("b", BAD), network("c", GOOD[:2], failure="no luck")
    )
    assert phrases.UNFINISHED not in phrases.findings(failed)


def test_the_images_error_of_a_difference_is_at_most_the_sum() -> None:
    [line] = phrases.sampling(comparison(network("a", GOOD), network("b", BAD)))
    assert line == (
        "Apart from seeds: 10,000 test images leave an accuracy uncertain by ±0.27 (a) to "
        "±0.43 (b) points, a difference of two by ±0.70 at most."
    )


# Times


def test_times_are_those_of_runs_that_had_the_machine_alone() -> None:
    result = comparison(
        network("a", (0.95, 0.96, 0.97), (1.0, 9.0, 2.0), runs_at_once=(1, 2, 1)),
        network("b", (0.95, 0.96, 0.97), (3.0, 3.0, 3.0)),
    )
    assert figures(result, "a").times == (1.5, 1.0, 2.0)
    assert figures(result, "a").train_seconds == statistics.mean_interval([1.0, 2.0])
    assert figures(result, "a").test_accuracy.n == 3
    assert figures(result, "a").pareto_seconds
    assert failed_gates(result, GateOptions(max_seconds=2.0)) == [
        "b: training time 3.00 ± 0.00 s (3 seeds, one-sided 97.5 %) is above --max-seconds 2"
    ]


def test_without_such_a_run_no_time_is_known() -> None:
    result = comparison(
        network("a", (0.95, 0.96), 1.0, runs_at_once=(2,)), network("b", (0.95, 0.96), 3.0)
    )
    assert figures(result, "a").times is None
    assert figures(result, "a").train_seconds is None
    assert figures(result, "a").images_per_second is None
    assert figures(result, "b").times == (3.0, 3.0, 3.0)
    assert figures(result, "b").pareto_seconds is None
    [reason] = failed_gates(result, GateOptions(max_seconds=4.0))
    assert (
        reason == "a: no run had the one machine to itself, so nothing is known of --max-seconds 4"
    )


def test_times_of_two_machines_are_not_mixed() -> None:
    result = comparison(
        network("a", (0.95, 0.96), 1.0, hosts=("one", "two")), network("b", (0.95, 0.96), 3.0)
    )
    assert figures(result, "a").times is figures(result, "b").times is None
    timed = comparison(
        network("a", (0.95, 0.96), 1.0, reached=(True, True), hosts=("one", "two")),
        network("b", (0.95, 0.96), 3.0, reached=(True, True), hosts=("one", "two")),
        target=0.9,
    )
    assert timed.verdicts == ()
