"""Computes confidence intervals, Pareto marks and verdicts from runs."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median, stdev

from mnist_cli.comparison import statistics
from mnist_cli.comparison.best import find_contenders
from mnist_cli.comparison.verdicts import find_settled, judge_pairs, select_timed
from mnist_cli.schema.comparison import Aggregate, CompareResult, Estimate, ModelRuns, Run


def analyse(result: CompareResult) -> CompareResult:
    """Add the figures of each network to `result`, and the verdicts or the contenders.

    A failed network gets neither, because its missing seeds may be its worst ones.
    """
    timed = select_timed(result.models)
    figures = {
        model.model: _summarise(model, timed[model.model], result)
        for model in result.models
        if model.runs and not model.failure
    }
    if result.target is None:  # else all networks are trained up to the same accuracy
        _mark_pareto(figures, result)
    models = [replace(model, figures=figures.get(model.model)) for model in result.models]
    result = replace(result, models=tuple(models))
    result = replace(result, verdicts=judge_pairs(result))
    if result.settling is None:
        return result
    if result.settling.find_best:
        result = replace(result, contenders=find_contenders(result))
        is_found = result.best is not None
        settled = {each.model for each in result.contenders if each.dropped_by or is_found}
    else:
        settled = find_settled(result)
    models = [replace(model, settled=model.model in settled) for model in models]
    return replace(result, models=tuple(models))


def _summarise(model: ModelRuns, timed: Sequence[Run], result: CompareResult) -> Aggregate:
    """Summarise all runs of a network; the times are those of its `timed` runs alone."""
    accuracies = [run.test_accuracy for run in model.runs]
    # A run that missed the target took less time than the target needs: it would bias the mean.
    reached = [run for run in timed if run.reached_target is not False]
    seconds = [run.train_seconds for run in reached or timed]
    # Per epoch, because with a target the runs have different numbers of epochs.
    slow = statistics.outliers([run.train_seconds / run.epochs for run in timed]) if timed else []
    num_train, num_test = result.dataset.num_train, result.dataset.num_test
    speeds = [num_train * run.epochs / run.train_seconds for run in timed]
    accuracy = _estimate_mean(accuracies, result, resolution=1 / num_test)
    low = statistics.far_below(accuracies, num_test)
    balanced = [run.balanced_accuracy for run in model.runs if run.balanced_accuracy is not None]
    known = len(balanced) == len(model.runs)
    return Aggregate(
        test_accuracy=accuracy,
        test_loss=_estimate_mean([run.test_loss for run in model.runs], result),
        train_seconds=_estimate_mean(seconds, result) if timed else None,
        train_seconds_median=median(seconds) if timed else None,
        train_seconds_min=min(seconds, default=None),
        train_seconds_max=max(seconds, default=None),
        images_per_second=median(speeds) if timed else None,
        sampling_error=statistics.sampling_error(accuracy.mean, num_test),
        outlier_seeds=tuple(timed[index].seed for index in slow),
        accuracy_deviation=stdev(accuracies) if len(accuracies) > 1 else None,
        low_seeds=tuple(model.runs[index].seed for index in low),
        balanced_accuracy=_estimate_mean(balanced, result, 1 / num_test) if known else None,
    )


def _estimate_mean(
    values: Sequence[float], result: CompareResult, resolution: float = 0.0
) -> Estimate:
    estimate = statistics.mean_interval(values, resolution)
    # An interval is valid only if the number of seeds does not depend on the values.
    return replace(estimate, half_width=None) if result.settling else estimate


def _mark_pareto(figures: dict[str, Aggregate], result: CompareResult) -> None:
    """Mark Pareto-optimal networks: by parameters, and by time if all times are known.

    Without a second network that has figures, there is no mark.
    """
    if len(figures) < 2:
        return
    accuracies = [each.test_accuracy.mean for each in figures.values()]
    parameters = {model.model: model.total_parameters or 0 for model in result.models}
    sizes = [parameters[name] for name in figures]
    times = [each.train_seconds_median for each in figures.values() if each.train_seconds_median]
    small = statistics.pareto(list(zip(accuracies, sizes, strict=True)))
    quick: Sequence[bool | None] = [None] * len(figures)
    if len(times) == len(figures):
        quick = statistics.pareto(list(zip(accuracies, times, strict=True)))
    for name, is_small, is_quick in zip(figures, small, quick, strict=True):
        figures[name] = replace(figures[name], pareto_parameters=is_small, pareto_seconds=is_quick)
