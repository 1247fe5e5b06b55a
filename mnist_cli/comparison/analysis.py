"""From runs to what they say: intervals, Pareto marks, verdicts, changes since a baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean, median, stdev

from mnist_cli.comparison import statistics
from mnist_cli.comparison.sequential import at_last_look
from mnist_cli.comparison.timing import timed
from mnist_cli.comparison.verdicts import settled, verdicts
from mnist_cli.schema.comparison import (
    CONFIDENCE,
    NEAR_CHANCE,
    Aggregate,
    Baseline,
    Change,
    CompareResult,
    Estimate,
    ModelRuns,
    Run,
)
from mnist_cli.schema.options import LEAST_RUNS


def analysed(result: CompareResult) -> CompareResult:
    """`result` with the figures of each network and the verdicts on each pair.

    A network that failed has neither: it may have failed with just those seeds that go badly.
    """
    runs = timed(result.models)
    models = _with_pareto(
        [
            replace(model, figures=_figures(model, runs[model.model], result))
            if model.runs and not model.failure
            else model
            for model in result.models
        ],
        result.target,
    )
    judged = verdicts(replace(result, models=tuple(models)))
    if result.settling:
        models = [replace(model, settled=settled(model.model, models, judged)) for model in models]
    return replace(result, models=tuple(models), verdicts=judged)


def with_baseline(
    result: CompareResult,
    file: str,
    accuracies: Mapping[str, Mapping[int, float]],
    note: str | None,
) -> CompareResult:
    """`result` with the change of each network's accuracy since the runs in `file`.

    A network with five seeds or more in common is judged by their paired t-test, as the order of
    the images is a seed's; another one by Welch's test of all seeds. The intervals are simultaneous
    95 % confidence intervals (Bonferroni), at each look too where seeds are added.

    Args:
        result: what is known now.
        file: where the earlier runs are from.
        accuracies: those of each network in `file`, by seed.
        note: how networks were trained otherwise then.
    """
    known = {
        model.model: (_accuracies(at_last_look(model.runs, result.settling)), then)
        for model in result.models
        if model.figures and len(then := accuracies.get(model.model, {})) > 1
    }
    known = {name: (now, then) for name, (now, then) in known.items() if len(now) > 1}
    comparisons = len(known) * result.number_of_looks
    changes = [
        _change(model, *known[model.model], comparisons, 1 / result.dataset.num_test)
        if model.model in known
        else Change(model.model, None, None, paired=False, regressed=False)
        for model in result.models
    ]
    return replace(result, baseline=Baseline(file, note, tuple(changes)))


def _change(
    model: ModelRuns,
    now: Mapping[int, float],
    then: Mapping[int, float],
    comparisons: int,
    resolution: float,
) -> Change:
    """One of so many `comparisons` of accuracies, by seed, that are judged together."""
    common = sorted(now.keys() & then.keys())
    one, other = [now[seed] for seed in common], [then[seed] for seed in common]
    paired = len(common) >= LEAST_RUNS
    if paired:
        sample = statistics.paired(one, other, resolution)
    else:
        sample = statistics.welch(list(now.values()), list(then.values()), resolution)
    decision = statistics.judge(sample, comparisons)
    return Change(
        model.model,
        difference=decision.estimate,
        adjusted_p=decision.adjusted_p,
        paired=paired,
        regressed=decision.differs and decision.estimate.mean < 0,
        identical=paired and one == other,
        near_chance=any(run.near_chance for run in model.runs) or min(then.values()) <= NEAR_CHANCE,
    )


def _accuracies(runs: Sequence[Run]) -> dict[int, float]:
    return {run.seed: run.test_accuracy for run in runs}


def _figures(model: ModelRuns, alone: Sequence[Run], result: CompareResult) -> Aggregate:
    """What all runs come to, and the times of those that had the machine `alone`."""
    accuracies = [run.test_accuracy for run in model.runs]
    # Of a run that never got to the target, only the least time is known: no mean is taken of it.
    arrived = [run for run in alone if run.reached_target is not False]
    seconds = [run.train_seconds for run in arrived or alone]
    # By epoch: with a target, a run of fewer epochs is short without the machine having been idle.
    odd = statistics.outliers([run.train_seconds / run.epochs for run in alone]) if alone else []
    num_train, num_test = result.dataset.num_train, result.dataset.num_test
    accuracy = _mean(accuracies, result, resolution=1 / num_test)
    return Aggregate(
        test_accuracy=accuracy,
        test_loss=_mean([run.test_loss for run in model.runs], result),
        train_seconds=_mean(seconds, result) if alone else None,
        train_seconds_median=median(seconds) if alone else None,
        train_seconds_min=min(seconds, default=None),
        train_seconds_max=max(seconds, default=None),
        images_per_second=median(num_train * run.epochs / run.train_seconds for run in alone)
        if alone
        else None,
        sampling_error=statistics.sampling_error(accuracy.mean, num_test),
        outlier_seeds=tuple(alone[index].seed for index in odd),
        accuracy_deviation=stdev(accuracies) if len(accuracies) > 1 else None,
        low_seeds=tuple(
            model.runs[index].seed for index in statistics.far_below(accuracies, num_test)
        ),
    )


def _mean(values: Sequence[float], result: CompareResult, resolution: float = 0.0) -> Estimate:
    """With its interval, if the number of values was fixed: otherwise it depends on the values."""
    if result.settling:
        return Estimate(fmean(values), None, len(values), CONFIDENCE)
    return statistics.mean_interval(values, resolution)


def _with_pareto(models: list[ModelRuns], target: float | None) -> list[ModelRuns]:
    """Mark the networks that no other beats at their cost; failed ones take no part.

    With a target none is marked, as every network is trained up to the same accuracy; nor by time
    where that of one is not known.
    """
    if target is not None:
        return models
    rows = [(model, model.figures) for model in models if model.figures]
    small = statistics.pareto([(f.test_accuracy.mean, m.total_parameters or 0) for m, f in rows])
    times = [(f.test_accuracy.mean, f.train_seconds_median or 0) for _, f in rows]
    all_timed = all(f.times for _, f in rows)
    quick = statistics.pareto(times) if all_timed else [None] * len(rows)
    marked = {
        model.model: replace(figures, pareto_parameters=is_small, pareto_seconds=is_quick)
        for (model, figures), is_small, is_quick in zip(rows, small, quick, strict=True)
    }
    return [replace(model, figures=marked.get(model.model)) for model in models]
