"""What the runs of several networks say: intervals, Pareto marks, verdicts, changes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from statistics import median

from mnist_cli import stats
from mnist_cli.comparison import (
    Baseline,
    Change,
    CompareResult,
    Figures,
    Measure,
    ModelRuns,
    Verdict,
)


def analysed(result: CompareResult) -> CompareResult:
    """`result` with the figures of each network and the verdicts on each pair.

    A failed network has neither: the runs it finished are not a fair sample of all.
    """
    models = _with_pareto(
        [
            replace(model, figures=_figures(model, result))
            if model.runs and not model.failure
            else model
            for model in result.models
        ],
        result.target,
    )
    measure = Measure.TEST_ACCURACY if result.target is None else Measure.TRAIN_SECONDS
    ranked = [m for m in models if m.figures and (result.target is None or m.arrived)]
    return replace(
        result,
        models=tuple(models),
        verdicts=tuple(_verdicts(ranked, measure, 1 / result.dataset.num_test)),
    )


def with_baseline(
    result: CompareResult,
    file: str,
    accuracies: Mapping[str, Sequence[float]],
    note: str | None,
) -> CompareResult:
    """`result` with the change of each network's accuracy since the runs in `file`.

    The seeds of another version or machine have nothing in common with these, so the difference
    is Welch's; Holm's procedure covers all networks.
    """
    resolution = 1 / result.dataset.num_test
    samples = {
        model.model: stats.welch(now, then, resolution)
        for model in result.models
        if model.figures
        and len(now := [run.test_accuracy for run in model.runs]) > 1
        and len(then := accuracies.get(model.model, ())) > 1
    }
    decisions = dict(zip(samples, stats.decide(list(samples.values())), strict=True))
    changes = [
        Change(
            model.model,
            difference=decision.estimate,
            adjusted_p=decision.adjusted_p,
            regressed=decision.differs and decision.estimate.mean < 0,
        )
        if (decision := decisions.get(model.model))
        else Change(model.model, None, None, regressed=False)
        for model in result.models
    ]
    return replace(result, baseline=Baseline(file, note, tuple(changes)))


def _figures(model: ModelRuns, result: CompareResult) -> Figures:
    accuracies = [run.test_accuracy for run in model.runs]
    seconds = [run.train_seconds for run in model.runs]
    num_train, num_test = result.dataset.num_train, result.dataset.num_test
    accuracy = stats.mean_interval(accuracies, resolution=1 / num_test)
    return Figures(
        test_accuracy=accuracy,
        test_loss=stats.mean_interval([run.test_loss for run in model.runs]),
        train_seconds=stats.mean_interval(seconds),
        train_seconds_median=median(seconds),
        train_seconds_min=min(seconds),
        train_seconds_max=max(seconds),
        images_per_second=median(num_train * run.epochs / run.train_seconds for run in model.runs),
        sampling_error=stats.sampling_error(accuracy.mean, num_test),
        outlier_seeds=tuple(model.runs[index].seed for index in stats.outliers(seconds)),
    )


def _with_pareto(models: list[ModelRuns], target: float | None) -> list[ModelRuns]:
    """Marked among those with figures; a target makes all accuracies alike."""
    rows = [(model, model.figures) for model in models if model.figures]
    if target is not None:
        return models
    small = stats.pareto([(f.test_accuracy.mean, m.parameters or 0) for m, f in rows])
    quick = stats.pareto([(f.test_accuracy.mean, f.train_seconds_median) for _, f in rows])
    marked = {
        model.model: replace(figures, pareto_parameters=is_small, pareto_seconds=is_quick)
        for (model, figures), is_small, is_quick in zip(rows, small, quick, strict=True)
    }
    return [replace(model, figures=marked.get(model.model)) for model in models]


def _verdicts(models: Sequence[ModelRuns], measure: Measure, one_image: float) -> list[Verdict]:
    values = {
        model.model: {run.seed: float(getattr(run, measure)) for run in model.runs}
        for model in models
    }
    resolution = one_image if measure == Measure.TEST_ACCURACY else 0.0
    pairs, samples = [], []
    for first, second in combinations(values, 2):
        seeds = sorted(values[first].keys() & values[second].keys())
        if len(seeds) > 1:
            pairs.append((first, second))
            samples.append(
                stats.paired(
                    [values[first][seed] for seed in seeds],
                    [values[second][seed] for seed in seeds],
                    resolution,
                )
            )
    verdicts = []
    for (first, second), sample, decision in zip(
        pairs, samples, stats.decide(samples), strict=True
    ):
        first_is_better = (sample.mean > 0) == (measure == Measure.TEST_ACCURACY)
        verdicts.append(
            Verdict(
                first=first,
                second=second,
                measure=measure,
                difference=decision.estimate,
                adjusted_p=decision.adjusted_p,
                better=(first if first_is_better else second) if decision.differs else None,
                seeds_needed=None
                if decision.differs
                else stats.seeds_needed(sample, decision.estimate.confidence),
            )
        )
    return verdicts
