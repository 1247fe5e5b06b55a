"""From runs to what they say: intervals, Pareto marks, verdicts, changes since a baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from math import hypot
from statistics import median

from mnist_cli.comparison import statistics
from mnist_cli.schema.comparison import (
    Aggregate,
    Baseline,
    Change,
    CompareResult,
    Measure,
    ModelRuns,
    Verdict,
)


def analysed(result: CompareResult) -> CompareResult:
    """`result` with the figures of each network and the verdicts on each pair.

    A network that failed has neither: it may have failed with just those seeds that go badly.
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
    ranked = [
        model
        for model in models
        if model.figures and (result.target is None or model.always_reached_target)
    ]
    return replace(
        result,
        models=tuple(models),
        verdicts=tuple(_verdicts(ranked, measure, 1 / result.dataset.num_test)),
    )


def with_baseline(
    result: CompareResult,
    file: str,
    accuracies: Mapping[str, Mapping[int, float]],
    note: str | None,
) -> CompareResult:
    """`result` with the change of each network's accuracy since the runs in `file`.

    A network with the same seeds then and now is judged by the paired t-test, as the order of the
    images is a seed's; another one by Welch's test. All hold together with 95 % (Bonferroni).

    Args:
        result: what is known now.
        file: where the earlier runs are from.
        accuracies: those of each network in `file`, by seed.
        note: how networks were trained otherwise then.
    """
    resolution = 1 / result.dataset.num_test
    samples, paired = {}, set()
    for model in result.models:
        now = {run.seed: run.test_accuracy for run in model.runs}
        then = accuracies.get(model.model, {})
        if not model.figures or len(now) < 2 or len(then) < 2:
            continue
        if now.keys() == then.keys():
            paired.add(model.model)
            before = [then[seed] for seed in now]
            samples[model.model] = statistics.paired(list(now.values()), before, resolution)
        else:
            samples[model.model] = statistics.welch(
                list(now.values()), list(then.values()), resolution
            )
    decisions = dict(zip(samples, statistics.decide(list(samples.values())), strict=True))
    changes = [
        Change(
            model.model,
            difference=decision.estimate,
            adjusted_p=decision.adjusted_p,
            paired=model.model in paired,
            regressed=decision.differs and decision.estimate.mean < 0,
        )
        if (decision := decisions.get(model.model))
        else Change(model.model, None, None, paired=False, regressed=False)
        for model in result.models
    ]
    return replace(result, baseline=Baseline(file, note, tuple(changes)))


def _figures(model: ModelRuns, result: CompareResult) -> Aggregate:
    accuracies = [run.test_accuracy for run in model.runs]
    # Of a run that never got to the target, only the least time is known: no mean is taken of it.
    arrived = [run for run in model.runs if run.reached_target is not False]
    seconds = [run.train_seconds for run in arrived or model.runs]
    # By epoch: with a target, a run of fewer epochs is short without the machine having been idle.
    odd = statistics.outliers([run.train_seconds / run.epochs for run in model.runs])
    num_train, num_test = result.dataset.num_train, result.dataset.num_test
    accuracy = statistics.mean_interval(accuracies, resolution=1 / num_test)
    return Aggregate(
        test_accuracy=accuracy,
        test_loss=statistics.mean_interval([run.test_loss for run in model.runs]),
        train_seconds=statistics.mean_interval(seconds),
        train_seconds_median=median(seconds),
        train_seconds_min=min(seconds),
        train_seconds_max=max(seconds),
        images_per_second=median(num_train * run.epochs / run.train_seconds for run in model.runs),
        sampling_error=statistics.sampling_error(accuracy.mean, num_test),
        outlier_seeds=tuple(model.runs[index].seed for index in odd),
    )


def _with_pareto(models: list[ModelRuns], target: float | None) -> list[ModelRuns]:
    """Mark the networks that no other beats at their cost; failed ones take no part.

    With a target none is marked, as every network is trained up to the same accuracy.
    """
    if target is not None:
        return models
    rows = [(model, model.figures) for model in models if model.figures]
    small = statistics.pareto([(f.test_accuracy.mean, m.total_parameters or 0) for m, f in rows])
    quick = statistics.pareto([(f.test_accuracy.mean, f.train_seconds_median) for _, f in rows])
    marked = {
        model.model: replace(figures, pareto_parameters=is_small, pareto_seconds=is_quick)
        for (model, figures), is_small, is_quick in zip(rows, small, quick, strict=True)
    }
    return [replace(model, figures=marked.get(model.model)) for model in models]


def _verdicts(models: Sequence[ModelRuns], measure: Measure, one_image: float) -> list[Verdict]:
    by_accuracy = measure == Measure.TEST_ACCURACY
    values = {
        model.model: {
            run.seed: run.test_accuracy if by_accuracy else run.train_seconds for run in model.runs
        }
        for model in models
    }
    # A time to a target moves in whole epochs, as an accuracy does in whole images.
    epochs = {
        model.model: median(run.train_seconds / run.epochs for run in model.runs)
        for model in models
    }
    pairs, samples = [], []
    for first, second in combinations(values, 2):
        seeds = sorted(values[first].keys() & values[second].keys())
        if len(seeds) > 1:
            pairs.append((first, second))
            samples.append(
                statistics.paired(
                    [values[first][seed] for seed in seeds],
                    [values[second][seed] for seed in seeds],
                    one_image if by_accuracy else hypot(epochs[first], epochs[second]),
                )
            )
    verdicts = []
    for (first, second), sample, decision in zip(
        pairs, samples, statistics.decide(samples), strict=True
    ):
        first_is_better = (sample.mean > 0) == by_accuracy
        verdicts.append(
            Verdict(
                first=first,
                second=second,
                measure=measure,
                difference=decision.estimate,
                adjusted_p=decision.adjusted_p,
                better=(first if first_is_better else second) if decision.differs else None,
            )
        )
    return verdicts
