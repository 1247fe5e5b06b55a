"""Compares a result with a baseline: an earlier export of `compare`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from mnist_cli.comparison import statistics
from mnist_cli.comparison.conditions import NETWORKS, Conditions, differences
from mnist_cli.comparison.sequential import at_last_look
from mnist_cli.errors import MnistCliError, UsageError
from mnist_cli.schema.comparison import Baseline, Change, CompareResult, ModelRuns, Outcome, Run
from mnist_cli.schema.datasets import DatasetInfo
from mnist_cli.schema.options import LEAST_RUNS
from mnist_cli.schema.record import check_seal, from_json
from mnist_cli.system.files import read

ADVICE = "make one with compare --export-json"
MOST_LISTED = 5  # differences in a note


def load_baseline(path: Path) -> CompareResult:
    """Read an export of `compare`; raises MnistCliError if it is unreadable or not an export."""
    content = read(path, ADVICE)
    try:
        result = from_json(CompareResult, content)
        check_seal(content)
        _check_once([model.model for model in result.models])
        for model in result.models:
            _check_once([f"seed {run.seed} of {model.model}" for run in model.runs])
    except ValueError as error:
        raise MnistCliError(f"{path} is not an export of compare ({error}); {ADVICE}") from error
    return result


def _check_once(names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"it holds {twice[0]} twice")


def check_comparable(
    file: Path, baseline: CompareResult, models: Sequence[str], dataset: DatasetInfo
) -> None:
    """Raise UsageError if `baseline` has other images, a target, none of `models` or few runs."""
    if baseline.dataset.hold_out != dataset.hold_out:
        advice = "test images; drop --hold-out"
        if held := baseline.dataset.hold_out:
            option = baseline.dataset.hold_out_option
            advice = f"{held:,} images held out; give --hold-out {option}"
        raise UsageError(f"{file} was measured on {advice}")
    if baseline.dataset.sha256 != dataset.sha256:
        raise UsageError(
            f"{file} was measured on other images, those of {baseline.dataset.name}; "
            "choose another dataset or baseline"
        )
    if baseline.target is not None:
        raise UsageError(
            f"{file} was trained up to a target, so its accuracies are all near it; choose another"
        )
    known = accuracies(baseline)
    few = [name for name in models if name in known and len(known[name]) < LEAST_RUNS]
    if few:
        raise UsageError(
            f"{file} has fewer than {LEAST_RUNS} runs of {', '.join(few)}, too few to tell a "
            f"change from luck; make it with --seeds {LEAST_RUNS}"
        )
    if not known.keys() & set(models):
        has = ", ".join(known) or "no network that finished"
        raise UsageError(f"{file} has none of these networks, but {has}; compare the same")


def compare(result: CompareResult, file: Path, baseline: CompareResult) -> CompareResult:
    """Add the change of each network's accuracy since `baseline`, read from `file`, to `result`.

    The test is a paired t-test of five or more common seeds, else Welch's test of all seeds. The
    intervals are simultaneous 95 % confidence intervals (Bonferroni) over the networks, and over
    the looks if seeds are added.
    """
    before, known = accuracies(baseline), {}
    for model in result.models:
        now = _map_accuracies(at_last_look(model.runs, result.settling))
        then = before.get(model.model, {})
        if model.figures and len(now) > 1 and len(then) > 1:
            known[model.model] = now, then
    comparisons = len(known) * result.number_of_looks
    changes = [
        _compare_network(model, *known[model.model], comparisons, result.dataset)
        if model.model in known
        else Change(model.model, None, None, paired=False, regressed=False)
        for model in result.models
    ]
    note = _describe_training(baseline, result)
    return replace(result, baseline=Baseline(str(file), note, tuple(changes)))


def _compare_network(
    model: ModelRuns,
    now: Mapping[int, float],
    then: Mapping[int, float],
    comparisons: int,
    dataset: DatasetInfo,
) -> Change:
    """Test the change from `then` to `now`, accuracies by seed, as one of several `comparisons`."""
    changes = [now[seed] - then[seed] for seed in now if seed in then]
    paired = len(changes) >= LEAST_RUNS
    resolution = 1 / dataset.num_test
    if paired:
        sample = statistics.sample_mean(changes, resolution)
    else:
        sample = statistics.welch(list(now.values()), list(then.values()), resolution)
    decision = statistics.judge(sample, comparisons)
    fell = decision.outcome == Outcome.BETTER and decision.estimate.mean < 0
    return Change(
        model.model,
        difference=decision.estimate,
        adjusted_p=decision.adjusted_p,
        paired=paired,
        regressed=fell,
        identical=paired and not any(changes),
        near_chance=min(*then.values(), *_map_accuracies(model.runs).values())
        <= dataset.near_chance,
    )


def accuracies(baseline: CompareResult) -> dict[str, dict[int, float]]:
    """The test accuracies of each network that did not fail, by seed."""
    return {
        model.model: _map_accuracies(model.runs) for model in baseline.models if not model.failure
    }


def _map_accuracies(runs: Sequence[Run]) -> dict[int, float]:
    return {run.seed: run.test_accuracy for run in runs}


def _describe_training(baseline: CompareResult, result: CompareResult) -> str | None:
    """How the training differed, such as `mlp epochs 5, now 1`; None if it did not.

    A network's code and size are not compared, because the baseline measures their effect.
    """
    changed = [
        str(each)
        for each in differences(_training_conditions(baseline), _training_conditions(result))
        if each.key[:-1] != (NETWORKS,)  # a network that only one of them has
    ]
    more = f"; and {len(changed) - MOST_LISTED} more" if len(changed) > MOST_LISTED else ""
    return f"different settings: {'; '.join(changed[:MOST_LISTED])}{more}" if changed else None


def _training_conditions(result: CompareResult) -> Conditions:
    environment = result.environment
    return {
        NETWORKS: {
            row.model: asdict(row.protocol) | {"precision": row.precision} for row in result.models
        },
        "environment": environment.deciding | {"processor": environment.processor},
    }
