"""What is said of made-up runs: half-failed networks, ties, outliers, targets and baselines."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_cli.comparison import statistics
from mnist_cli.comparison.baseline import accuracies, compare
from mnist_cli.comparison.gates import judge_gates
from mnist_cli.report import cautions, gates, phrases
from mnist_cli.schema.comparison import Aggregate, CompareResult, Measure, Outcome, Settling
from mnist_cli.schema.gates import GateVerdict
from mnist_cli.schema.options import GateOptions
from tests.made_up import MACHINE, comparison, learned, network, since

GOOD = (0.980, 0.981, 0.979, 0.982, 0.980)
BAD = (0.950, 0.952, 0.949, 0.951, 0.950)


def said(result: CompareResult, options: GateOptions) -> list[str]:
    """What is said of each gate."""
    return [gates.describe_gate(gate) for gate in judge_gates(result, options)]


def failed_gates(result: CompareResult, options: GateOptions) -> list[str]:
    """What is said of those that are not met."""
    judged = judge_gates(result, options)
    return [gates.describe_gate(gate) for gate in judged if gate.verdict == GateVerdict.NOT_MET]


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
    assert (result.verdicts, phrases.findings(result)) == ((), [])


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


def test_pareto_marks_count_parameters_that_are_not_trained() -> None:
    frozen = replace(network("frozen", GOOD), parameters=10, total_parameters=5000)
    result = comparison(frozen, network("small", GOOD, parameters=1000))
    assert figures(result, "small").pareto_parameters
    assert not figures(result, "frozen").pareto_parameters


def test_an_outlier_is_a_seed_and_not_its_position() -> None:
    row = network("a", GOOD, (2.0, 2.1, 9.0, 2.0, 2.1), first_seed=40)
    late = network(
        "a",
        (0.98, *GOOD),
        (5.0, 2.0, 2.1, 9.0, 2.0, 2.1),
        first_seed=39,
        runs_at_once=(2, *[1] * 5),
    )
    assert figures(comparison(late), "a").outlier_seeds == (42,)  # the first one was not alone
    result = comparison(row)
    assert figures(result, "a").outlier_seeds == (42,)
    [line] = phrases.findings(result)
    start = "a: seed 42 took 9.00 s, far from the median of 2.10 s: if other programs ran, "
    assert line == f"{start}give --threads 1"
    alone = replace(result.environment, threads=1)
    assert phrases.findings(replace(result, environment=alone)) == [f"{start}end them first"]
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
    assert heading.startswith("Differences in the mean time to the target, paired by seed, 5 seeds")
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
    # Each time has the error of rounding to its own epochs, of 1.0 s and 1.2 s.
    rounding = math.hypot(1.0, 1.2) / math.sqrt(12)
    assert verdict.difference.half_width == pytest.approx(2.776 * rounding / math.sqrt(5), rel=1e-3)


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
        "a reached 97 % in 4/5 runs: its time is not known, so it has no verdict",
    ]
    assert failed_gates(result, GateOptions(max_seconds=40)) == [
        f"gate not met: {name}: --target was reached in {times} of 5 runs, so --max-seconds 40 is "
        "not met"
        for name, times in (("a", 4), ("c", 0))
    ]


# Baselines


def changed(then: dict[int, float]) -> CompareResult:
    return since(comparison(network("a", GOOD)), {"a": then})


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
    heading, line, renew = phrases.findings(result)
    assert heading == "Since base.json, 95 % confidence interval:"
    assert line.startswith("a: +3.00 ± ")
    assert line.endswith(" points, seeds unpaired")
    assert renew == phrases.RENEW


def test_a_network_that_the_baseline_lacks_has_no_change() -> None:
    result = since(comparison(network("a", GOOD)), {}, replace(MACHINE, threads=1))
    assert phrases.findings(result) == [
        "Since base.json (different settings: threads 1, now 2):",
        "a: no change known; it has no runs there, or failed here",
    ]


def test_seeds_in_common_are_paired_and_their_intervals_are_counted() -> None:
    now = comparison(network("a", GOOD), network("b", (*BAD, 0.95, 0.951)), network("c", GOOD))
    then = {
        "a": {seed + 3: accuracy for seed, accuracy in enumerate(GOOD)},  # two seeds in common
        "b": {**dict(enumerate(BAD, 2)), 90: 0.2},  # five, of which two are other runs
    }
    baseline = since(now, then).baseline
    assert baseline is not None
    a, b, c = baseline.changes
    assert (a.paired, b.paired, c.difference) == (False, True, None)
    assert a.difference and b.difference
    differences = [*np.array((*BAD, 0.95, 0.951)[2:]) - np.array(BAD)]
    assert b.difference.mean == pytest.approx(np.mean(differences))
    assert b.difference.n == 5
    # Two networks of three are in the baseline: two tests, at 5 % together.
    assert a.difference.confidence == b.difference.confidence == 1 - 0.05 / 2
    assert b.adjusted_p == pytest.approx(min(1, 2 * statistics.sample_mean(differences).p_value()))
    lines = phrases.findings(since(now, then, replace(MACHINE, threads=1)))
    start = lines.index(
        "Since base.json (different settings: threads 1, now 2), simultaneous 95 % confidence "
        "intervals:"
    )
    assert "seeds unpaired" in lines[start + 1]
    assert "paired by seed, n = 5" in lines[start + 2]


def test_a_baseline_of_the_same_runs_says_so() -> None:
    then = dict(enumerate(GOOD))
    assert phrases.findings(changed(then))[1] == "a: the same accuracy with each of 5 seeds"
    then[4] += 0.0001
    assert "the same accuracy with each" not in phrases.findings(changed(then))[1]
    assert "not distinguishable from no change" in phrases.findings(changed(then))[1]


def test_a_change_of_runs_near_chance_is_not_to_be_trusted() -> None:
    learned_then, dead_then = dict(enumerate(GOOD)), dict(enumerate((*GOOD[:4], 0.2)))
    dead = comparison(network("a", (*GOOD[:4], 0.1135)))
    for now, then in ((comparison(network("a", GOOD)), dead_then), (dead, learned_then)):
        [line] = phrases.findings(since(now, {"a": then}))[-2:-1]
        assert line.endswith("; do not trust the ±: it has runs near chance")
    assert "near chance" not in str(phrases.findings(changed(learned_then)))


def test_a_baseline_that_is_as_good_fails_at_most_5_of_100_builds() -> None:
    # Two-sided at 5 % over baselines too, whether it has five seeds or now there are twenty.
    random = np.random.default_rng(5)
    trials = 1000
    for seeds in ((5, 20), (20, 5)):
        regressed = 0
        for _ in range(trials):
            now, then = (random.normal(0.97, 0.002, count).tolist() for count in seeds)
            sample = statistics.welch(now, then, 1e-4)
            decision = statistics.judge(sample, 4)
            regressed += decision.outcome == Outcome.BETTER and decision.estimate.mean < 0
        assert 4 * regressed / trials < 0.025 + 2 * math.sqrt(0.025 / trials)


def test_without_two_runs_now_and_then_no_change_is_known() -> None:
    enough = dict(enumerate(GOOD))
    for row, then in (
        (network("a", GOOD, failure="no luck"), enough),
        (network("a", GOOD[:1]), enough),
        (network("a", GOOD), {0: 0.98}),
        (network("a", ()), enough),
    ):
        baseline = since(comparison(row), {"a": then}).baseline
        assert baseline is not None
        [change] = baseline.changes
        assert (change.difference, change.regressed) == (None, False)
    two = since(comparison(network("a", GOOD[:2])), {"a": enough})
    assert two.baseline and two.baseline.changes[0].difference


def note_of(then: CompareResult, now: CompareResult) -> str | None:
    baseline = compare(now, Path("base.json"), then).baseline
    assert baseline is not None
    return baseline.note


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
    assert note_of(then, now) == (note and f"different settings: {note}")


def test_a_note_tells_protocols_but_not_the_network_itself() -> None:
    then = comparison(network("a", GOOD), network("b", GOOD))
    a, b = then.models
    other = replace(a, protocol=replace(a.protocol, epochs=1, lr=0.1), precision="bf16")
    now = replace(then, models=(other, network("c", GOOD)))
    found = note_of(then, now)
    assert (
        found
        == "different settings: a epochs 5, now 1; a lr 0.001, now 0.1; a precision fp32, now bf16"
    )
    five = replace(
        a, protocol=replace(a.protocol, epochs=1, lr=1.0, batch_size=1, beta2=0.9, dropout=0.0)
    )
    found = note_of(then, replace(then, models=(five, b)))
    assert found is not None and found.count("; ") == 4 and "more" not in found
    changed = replace(b, code={"n.py": "ab"}, parameters=3, mult_adds=None)
    assert note_of(then, replace(then, models=(a, changed), target=0.9)) is None
    slow = [
        replace(row, protocol=replace(row.protocol, epochs=1, lr=1.0, batch_size=1))
        for row in (a, b)
    ]
    many = note_of(then, replace(then, models=tuple(slow)))
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
        "gate not met: a: test accuracy 98.04 % (5 seeds, one-sided 95 % bound 98.15 %) is below "
        "--min-accuracy 0.99"
    )
    [long] = failed_gates(result, GateOptions(max_seconds=1.5))
    assert long == (
        "gate not met: a: training time 2.04 s (5 seeds, one-sided 95 % bound 1.99 s) is above "
        "--max-seconds 1.5"
    )


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
        result = since(comparison(*rows), then)
        failed += bool(failed_gates(result, gates))
    assert 0.02 < failed / trials < 0.05 + 2 * math.sqrt(0.05 * 0.95 / trials)


def test_one_run_is_taken_at_its_value_and_a_failed_network_at_none() -> None:
    result = comparison(network("a", (0.979,)), network("b", BAD, failure="no luck"), seeds=1)
    [reason] = failed_gates(result, GateOptions(min_accuracy=0.98))
    assert reason == (
        "gate not met: a: test accuracy 97.90 % (1 seed) is below --min-accuracy 0.98"
    )
    assert said(result, GateOptions(max_seconds=2.0)) == [
        "gate met: a: training time 2.00 s (1 seed) equals --max-seconds 2",
        "gate not proven: b: it failed, so nothing is known of --max-seconds 2",
    ]


def test_a_second_look_is_told() -> None:
    rows = (network("a", GOOD), network("b", BAD))
    told = phrases.findings(comparison(*rows, seeds_changed=True))
    assert cautions.SEEDS_ADDED in told
    assert told[0].startswith("Differences on these test images, paired by seed, 5 seeds, 95 %")
    once = phrases.findings(replace(comparison(*rows), journal="j.jsonl"))
    assert cautions.SEEDS_ADDED not in once
    assert "5 seeds fixed in advance, 95 % confidence interval:" in once[0]
    # Gates of one network alone are looked at as well.
    assert phrases.findings(comparison(rows[0], seeds_changed=True)) == [cautions.SEEDS_ADDED]


def test_fixed_in_advance_is_said_only_where_a_journal_knows_it() -> None:
    rows = (network("a", GOOD), network("b", BAD), network("c", GOOD))
    for changed, journal, ending in (
        (False, "j.jsonl", "5 seeds fixed in advance, simultaneous 95 % confidence intervals:"),
        (True, "j.jsonl", "5 seeds, simultaneous 95 % confidence intervals:"),
        (True, None, "5 seeds, simultaneous 95 % confidence intervals:"),
        (False, None, f"5 seeds, simultaneous 95 % confidence intervals {phrases.IF_FIXED}:"),
    ):
        result = replace(comparison(*rows, seeds_changed=changed), journal=journal)
        assert phrases.verdicts(result)[0].endswith(ending)
    # At looks that were fixed, nothing else needs to be.
    settling = replace(comparison(*rows, settling=Settling(40)), journal=None)
    assert phrases.verdicts(settling)[0].endswith("confidence intervals over all looks:")


def test_two_seeds_carry_a_caution() -> None:
    for count in (1, 2, 3):
        result = comparison(network("a", GOOD[:count]), network("b", BAD[:count]), seeds=count)
        assert (cautions.TWO_SEEDS in phrases.findings(result)) == (count == 2)


def test_settings_that_are_compared_on_test_images_have_a_caution() -> None:
    rows = (network("a", GOOD), network("b", BAD))
    assert cautions.CHOSEN_ON_TEST not in phrases.findings(comparison(*rows))
    varied = [replace(row, varied={"lr": rate}) for row, rate in zip(rows, (1, 2), strict=True)]
    assert phrases.findings(comparison(*varied))[-1] == cautions.CHOSEN_ON_TEST
    one_seed = [replace(row, runs=row.runs[:1]) for row in varied]
    assert cautions.CHOSEN_ON_TEST not in phrases.findings(comparison(*one_seed, seeds=1))


def test_networks_chosen_by_the_same_seeds_ask_for_other_seeds() -> None:
    narrowed = replace(comparison(network("a", GOOD), network("b", BAD)), narrowed_from=10)
    line = phrases.findings(narrowed)[-1]
    assert line.startswith("These networks were part of a comparison of 10 on the same seeds.")
    assert " up to 37 % of cases, not 5 %: " in line
    assert line.endswith(" give other seeds, --seed 1000.")
    again = replace(narrowed, seeds=tuple(range(1000, 1005)))
    assert phrases.findings(again)[-1].endswith(" --seed 1005.")
    assert "part of a comparison" not in str(
        phrases.findings(replace(narrowed, narrowed_from=None))
    )


def test_what_is_said_before_the_last_run_is_a_look() -> None:
    part, whole = (
        comparison(network("a", GOOD[:n]), network("b", BAD[:n]), seeds=5) for n in (4, 5)
    )
    assert phrases.findings(part)[-1] == cautions.UNFINISHED
    assert cautions.UNFINISHED not in phrases.findings(whole)
    failed = comparison(
        network("a", GOOD), network("b", BAD), network("c", GOOD[:2], failure="no luck")
    )
    assert cautions.UNFINISHED not in phrases.findings(failed)


def test_without_mistakes_the_images_error_of_a_difference_is_at_most_the_sum() -> None:
    [line] = phrases.sampling(comparison(network("a", GOOD), network("b", BAD)))
    assert line == (
        "The finite test set of 10,000 images adds an uncertainty: accuracies ±0.27 (a) to ±0.43 "
        "(b) points, differences at most ±0.70 points."
    )
    rows = [network("a", GOOD), network("b", BAD), network("c", (0.99,) * 5)]
    assert " at most ±0.70 " in phrases.sampling(comparison(*rows))[0]  # of the worst two
    one = phrases.sampling(comparison(network("a", GOOD)))
    assert one == [
        "The finite test set of 10,000 images adds an uncertainty: accuracies ±0.27 points."
    ]


LABELS = [7] * 100
# Which of 100 images each network's runs take for a 1: of the first, both runs; of the last, one.
WRONG = {"a": ([0, 1, 2], [0, 1, 2]), "b": ([2], [2]), "c": ([5, 6], [])}


def three(**missing: object) -> CompareResult:
    rows = [
        learned(
            network(name, [1 - len(wrong) / 100 for wrong in runs]),
            LABELS,
            *[[1 if image in wrong else 7 for image in range(100)] for wrong in runs],
        )
        for name, runs in WRONG.items()
    ]
    if missing:
        rows[0] = replace(rows[0], runs=(rows[0].runs[0], replace(rows[0].runs[1], **missing)))  # type: ignore[arg-type]
    return comparison(*rows, seeds=2, num_test=100)


def test_the_images_error_of_a_difference_is_that_of_the_pair() -> None:
    by_pair = {(v.first, v.second): v.sampling_error for v in three().verdicts}
    # Shares of right runs, first minus second: -1 on images 0 and 1, else 0, and so on.
    for pair, differences in (
        (("a", "b"), [-1, -1]),
        (("a", "c"), [-1, -1, -1, 0.5, 0.5]),
        (("b", "c"), [-1, 0.5, 0.5]),
    ):
        deviation = np.std([*differences, *[0] * (100 - len(differences))])
        assert by_pair[pair] == pytest.approx(1.96 * deviation / 10)
    rows = [
        replace(row, runs=tuple(replace(run, reached_target=True) for run in row.runs))
        for row in three().models
    ]
    by_time = comparison(*rows, seeds=2, num_test=100, target=0.5)
    assert by_time.verdicts
    assert {v.sampling_error for v in by_time.verdicts} == {None}
    assert phrases.sampling(by_time) == []
    [line] = phrases.sampling(three())
    assert line.endswith(" points, differences ±2.40 (b and c) to ±3.65 (a and c) points.")


@pytest.mark.parametrize("mistakes", [None, "no Base64", "AAAA"])
def test_the_images_error_needs_the_mistakes_of_each_run(mistakes: str | None) -> None:
    known = [v.sampling_error is not None for v in three(mistakes=mistakes).verdicts]
    assert known == [False, False, True]
    [line] = phrases.sampling(three(mistakes=mistakes))
    assert " points, differences at most ±" in line


def test_the_images_error_is_of_the_seeds_that_were_judged() -> None:
    # Six seeds, of which the first five were looked at: the last run is wrong everywhere.
    images = range(100)
    right, wrong = [7 for _ in images], [1 for _ in images]
    rows = [
        learned(network(name, (0.99,) * 5 + (0.0,)), LABELS, *[right] * 5, last)
        for name, last in (("a", wrong), ("b", right))
    ]
    [pair] = comparison(*rows, seeds=6, settling=Settling(40), num_test=100).verdicts
    assert (pair.difference.n, pair.sampling_error, pair.near_chance) == (5, 0, ())
    [pair] = comparison(*rows, seeds=6, num_test=100).verdicts
    assert (pair.difference.n, pair.near_chance) == (6, ("a", "b"))


def test_the_images_error_covers_the_difference_on_other_images() -> None:
    # Two trained networks on 1,000 images drawn anew: each has images it is likely to get wrong.
    random = np.random.default_rng(0)
    trials, images, hits = 150, 1000, 0
    for _ in range(trials):
        hard = random.beta(0.05, 2, images)
        likely = {"a": hard, "b": np.clip(hard * random.choice([0.2, 1.5], images), 0, 1)}
        wrong = {name: random.random((3, images)) < p for name, p in likely.items()}
        rows = [
            learned(
                network(name, (1 - its.mean(1)).tolist()),
                [7] * images,
                *np.where(its, 1, 7).tolist(),
            )
            for name, its in wrong.items()
        ]
        [pair] = comparison(*rows, seeds=3, num_test=images).verdicts
        assert pair.sampling_error is not None
        truth = 0.05 / 2.05 * (1.5 + 0.2) / 2 - 0.05 / 2.05
        hits += abs(pair.difference.mean - truth) <= pair.sampling_error
    assert hits / trials > 0.95 - 3 * math.sqrt(0.05 * 0.95 / trials)


# Runs that did not learn


def test_a_run_near_chance_is_told_with_its_pairs() -> None:
    dead = (0.98, 0.981, 0.1135, 0.979, 0.2)
    result = comparison(network("a", GOOD), network("b", dead), network("c", (0.1135,) * 5))
    lines = phrases.findings(result)
    assert lines[:2] == [
        "b did not learn with seeds 2, 4 (11.35-20.00 %, near chance): its intervals are not valid",
        "c did not learn with seeds 0, 1, 2, 3, 4 (11.35 %, near chance): its intervals are not "
        "valid",
    ]
    pairs = phrases.verdicts(result)[1:]
    assert [line.partition("; ")[2] for line in pairs] == [
        "do not trust the ±: b has runs near chance",
        "do not trust the ±: c has runs near chance",
        "do not trust the ±: b and c have runs near chance",
    ]
    assert pairs[1].startswith("a beats c by 86.69 ± ")
    healthy = comparison(network("a", GOOD), network("b", (0.2001,) * 5))
    assert "near chance" not in str(phrases.findings(healthy))
    one = comparison(network("a", (0.098,)), seeds=1)
    assert phrases.findings(one)[0].startswith("a did not learn with seed 0 (9.80 %, near chance)")


def test_a_seed_far_below_the_others_is_told_once() -> None:
    low = network("a", (0.971, 0.9702, 0.9, 0.9698, 0.1135, 0.9705), first_seed=40)
    result = comparison(low)
    assert figures(result, "a").low_seeds == (42, 44)
    assert phrases.findings(result) == [
        "a did not learn with seed 44 (11.35 %, near chance): its intervals are not valid",
        "a seed 42 has 90.00 %, far below its median of 97.00 %",
    ]
    assert phrases.findings(comparison(network("a", BAD))) == []


def test_one_collapsed_run_fails_a_gate_above_it() -> None:
    result = comparison(network("a", (0.971, 0.9702, 0.9698, 0.9705, 0.1135)))
    assert said(result, GateOptions(min_accuracy=0.95)) == [
        "gate not met: a: did not learn with seed 4 (11.35 %), so --min-accuracy 0.95 is not met"
    ]
    assert failed_gates(result, GateOptions(min_accuracy=0.1135)) == []
    settling = Settling(40)  # the sixth seed is not looked at yet, but has collapsed
    later = comparison(network("a", (*GOOD, 0.1)), network("b", GOOD), seeds=6, settling=settling)
    assert failed_gates(later, GateOptions(min_accuracy=0.9)) == [
        "gate not met: a: did not learn with seed 5 (10.00 %), so --min-accuracy 0.9 is not met"
    ]
    dead = comparison(network("a", (0.1135, 0.97, 0.1135, 0.1)))
    assert failed_gates(dead, GateOptions(min_accuracy=0.95)) == [
        "gate not met: a: did not learn with seeds 0, 2, 3 (10.00-11.35 %), so --min-accuracy 0.95 "
        "is not met"
    ]
    two = comparison(network("a", (0.97, 0.1135)))
    assert "did not learn with seed 1" in str(failed_gates(two, GateOptions(min_accuracy=0.95)))
    once = comparison(network("a", (0.1135,)), seeds=1)
    [line] = failed_gates(once, GateOptions(min_accuracy=0.95))
    assert "11.35 % (1 seed) is below" in line


# What a gate concludes


def test_a_gate_says_what_it_concluded() -> None:
    result = comparison(network("a", GOOD, (2.0, 2.1, 2.0, 2.1, 2.0)))
    over = "a: test accuracy 98.04 % (5 seeds, one-sided 95 % bound 97.93 %)"
    under = "a: test accuracy 98.04 % (5 seeds, one-sided 95 % bound 98.15 %)"
    for least, sentence in (
        (0.97, f"gate met: {over} is above --min-accuracy 0.97"),
        (0.98, f"not proven: {over} is above --min-accuracy 0.98, but 5 seeds do not prove it"),
        (0.981, f"{under} is below --min-accuracy 0.981, but 5 seeds do not prove it"),
        (0.9804, f"{over} equals --min-accuracy 0.9804, but 5 seeds do not prove it"),
        (0.98041, f"{under} is just below --min-accuracy 0.98041, but 5 seeds do not prove it"),
        (0.99, f"gate not met: {under} is below --min-accuracy 0.99"),
    ):
        [line] = said(result, GateOptions(min_accuracy=least))
        assert line.endswith(sentence)
    over = "a: training time 2.04 s (5 seeds, one-sided 95 % bound 1.99 s)"
    under = "a: training time 2.04 s (5 seeds, one-sided 95 % bound 2.09 s)"
    for most, sentence in (
        (3, f"gate met: {under} is below --max-seconds 3"),
        (2.05, f"not proven: {under} is below --max-seconds 2.05, but 5 seeds do not prove it"),
        (2, f"not proven: {over} is above --max-seconds 2, but 5 seeds do not prove it"),
        (2.036, f"{over} is just above --max-seconds 2.036, but 5 seeds do not prove it"),
        (2.034, f"{over} is above --max-seconds 2.034, but 5 seeds do not prove it"),
        (1.5, f"gate not met: {over} is above --max-seconds 1.5"),
    ):
        [line] = said(result, GateOptions(max_seconds=most))
        assert line.endswith(sentence)


def test_the_bound_of_an_accuracy_ends_at_what_is_possible() -> None:
    for pair, least, sentence in (
        ((0.98, 1.0), 0.999, "99.00 % (2 seeds, one-sided 95 % bound 100.00 %) is below"),
        ((0.22, 0.6), 0.3, "41.00 % (2 seeds, one-sided 95 % bound 0.00 %) is above"),
    ):
        result = comparison(network("a", pair), seeds=2)
        assert said(result, GateOptions(min_accuracy=least)) == [
            f"gate not proven: a: test accuracy {sentence} --min-accuracy {least}, but 2 seeds do "
            "not prove it"
        ]


@pytest.mark.parametrize("value", [0.97, 0.9, 0.1 + 0.2, 0.57, 0.96])
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_values_that_meet_a_threshold_exactly_do_not_fail(value: float, count: int) -> None:
    result = comparison(network("a", (value,) * count, value), seeds=count)
    options = GateOptions(min_accuracy=value, max_seconds=value)
    verdicts = [gate.verdict for gate in judge_gates(result, options)]
    assert verdicts == [GateVerdict.MET if count == 1 else GateVerdict.NOT_PROVEN, GateVerdict.MET]
    assert all(" equals --m" in line for line in said(result, options))
    beyond = GateOptions(min_accuracy=value + 0.0002, max_seconds=value - 0.0002)
    if count == 1:
        assert len(failed_gates(result, beyond)) == 2


def test_an_interval_that_just_reaches_a_threshold_decides() -> None:
    [gate] = judge_gates(comparison(network("a", GOOD)), GateOptions(min_accuracy=0.9))
    assert gate.value is not None and gate.value.half_width is not None
    low, high = (gate.value.mean + sign * gate.value.half_width for sign in (-1, 1))
    for least, verdict in (
        (low, GateVerdict.MET),
        (low + 1e-6, GateVerdict.NOT_PROVEN),
        (high, GateVerdict.NOT_PROVEN),
        (high + 1e-6, GateVerdict.NOT_MET),
    ):
        [gate] = judge_gates(comparison(network("a", GOOD)), GateOptions(min_accuracy=least))
        assert gate.verdict == verdict


def test_a_regression_gate_says_what_it_concluded() -> None:
    gate = GateOptions(fail_on_regression=True)
    wide = (0.1, -0.1, 0.05, -0.07, 0.0)
    for points, sentence in (
        (
            [0.03] * 5,
            "gate not met: a: test accuracy changed by -3.00 ± 0.00 points since base.json",
        ),
        ([-0.03] * 5, "gate met: a: test accuracy changed by +3.00 ± 0.00 points since base.json"),
        ([0.0] * 5, "gate met: a: each seed has the accuracy it had in base.json"),
        ([x + 0.01 for x in wide], " since base.json, but 5 seeds do not prove a fall"),
        ([x - 0.01 for x in wide], " since base.json, but 5 seeds do not rule a fall out"),
    ):
        then = {seed: now + x for seed, (now, x) in enumerate(zip(GOOD, points, strict=True))}
        [line] = said(changed(then), gate)
        assert line.endswith(sentence)
        assert line.startswith("gate not proven: ") == ("but" in sentence)
    unknown = since(comparison(network("a", GOOD)), {})
    assert said(unknown, gate) == [
        "gate not proven: a: no change since base.json is known, so nothing is known of "
        "--fail-on-regression"
    ]


def test_a_word_of_a_gate_is_false_in_at_most_5_of_100_builds() -> None:
    # The hardest case for "met": each of four networks is just below its threshold.
    random = np.random.default_rng(4)
    trials, wrong = 300, 0
    options = GateOptions(min_accuracy=0.97)
    for _ in range(trials):
        rows = [network(name, random.normal(0.96999, 0.002, 5).tolist()) for name in "abcd"]
        judged = judge_gates(comparison(*rows), options)
        wrong += any(gate.verdict == GateVerdict.MET for gate in judged)
    assert 0.02 < wrong / trials < 0.05 + 2 * math.sqrt(0.05 * 0.95 / trials)


def test_only_times_of_runs_that_were_looked_at_count() -> None:
    # Six seeds of which five were looked at; the sixth took long, and was not alone or was.
    for at_once in (1, 2):
        result = comparison(
            network(
                "a",
                (*GOOD, 0.98),
                (2.0, 2.1, 2.0, 2.1, 2.0, 90.0),
                runs_at_once=(1,) * 5 + (at_once,),
            ),
            network("b", (*BAD, 0.95), 2.0),
            seeds=6,
            settling=Settling(40),
        )
        first, _ = judge_gates(result, GateOptions(max_seconds=3))
        assert first.value is not None
        assert first.value.n == 5
        assert first.value.mean == pytest.approx(2.04)


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
        "gate not met: b: training time 3.00 s (3 seeds, one-sided 97.5 % bound 3.00 s) is above "
        "--max-seconds 2"
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
    assert reason == (
        "gate not met: a: its runs shared a machine or had several, so --max-seconds 4 is not met"
    )


def test_times_of_two_machines_are_not_mixed() -> None:
    result = comparison(
        network("a", (0.95, 0.96), 1.0, hosts=("one", "two")), network("b", (0.95, 0.96), 3.0)
    )
    assert figures(result, "a").times is figures(result, "b").times is None
    one, other = network("a", (0.95, 0.96), 1.0).runs  # of one name, but with two processors
    two = replace(network("a", ()), runs=(one, replace(other, processor="Xeon")))
    assert figures(comparison(two), "a").times is None
    timed = comparison(
        network("a", (0.95, 0.96), 1.0, reached=(True, True), hosts=("one", "two")),
        network("b", (0.95, 0.96), 3.0, reached=(True, True), hosts=("one", "two")),
        target=0.9,
    )
    assert timed.verdicts == ()
