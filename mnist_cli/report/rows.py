"""The rows of networks and runs as text, the same in every output."""

from statistics import median

from mnist_cli.formatting import (
    format_count,
    format_loss,
    format_parameters,
    format_percent,
    format_seconds,
)
from mnist_cli.report import phrases
from mnist_cli.schema.comparison import CompareResult, ModelRuns

TIME, ONE_TIME = "median time (min-max)", "time"  # headers for several runs and for one


def rows(result: CompareResult) -> list[dict[str, str]]:
    """The cells of each network by column header; a star means `phrases.PARETO`."""
    return [_make_row(model, result) for model in result.models]


def run_rows(result: CompareResult) -> list[dict[str, str]]:
    """The cells of each run by column header."""
    return [
        {
            "network": model.model,
            "seed": str(run.seed),
            "epochs": str(run.epochs),
            "accuracy": format_percent(run.test_accuracy),
            "loss": format_loss(run.test_loss),
            "training time": format_seconds(run.train_seconds),
        }
        for model in result.models
        for run in model.runs
    ]


def known_times(model: ModelRuns, result: CompareResult) -> tuple[float, float, float] | None:
    """The median, shortest and longest seconds; None if unknown, or if a run missed the target."""
    if result.target is not None and not model.always_reached_target:
        return None
    return model.figures.times if model.figures else None


def _make_row(model: ModelRuns, result: CompareResult) -> dict[str, str]:
    figures = model.figures
    failed = "failed" if model.failure else "-"
    row = {
        "network": model.model,
        "accuracy": format_percent(figures.test_accuracy) if figures else failed,
    }
    if result.dataset.is_unbalanced:
        row["balanced"] = format_percent(figures.balanced_accuracy if figures else None)
    if result.settling:
        row["std"] = format_percent(figures.accuracy_deviation if figures else None)
        if result.settling.find_best:
            known = [each for each in result.contenders if each.model == model.model]
            row["below the best"] = phrases.format_gap(known[0]) if known else "-"
        else:
            row["settled"] = "yes" if model.settled else "no"
    row["n"] = str(len(model.runs))
    row["loss"] = format_loss(figures.test_loss if figures else None)
    times = known_times(model, result)
    if result.target is not None:
        row["reached"] = "failed" if model.failure else phrases.reached(model)
        is_known = figures and model.always_reached_target
        row["epochs"] = f"{median(run.epochs for run in model.runs):g}" if is_known else "-"
    time = "-"
    if times:
        time, least, most = map(format_seconds, times)
        if len(model.runs) > 1:
            time += f" ({least.removesuffix(' s')}-{most.removesuffix(' s')})"
    small, quick = (figures.pareto_parameters, figures.pareto_seconds) if figures else (None, None)
    row[TIME if len(result.seeds) > 1 else ONE_TIME] = f"{time} *" if quick else time
    speed = figures.images_per_second if figures else None
    row["images/s"] = f"{speed:,.0f}" if speed else "-"
    size = format_parameters(model.parameters, model.total_parameters)
    row["parameters"] = f"{size} *" if small else size
    row["mult-adds"] = format_count(model.mult_adds)
    return row
