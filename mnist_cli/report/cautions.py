"""Cautions about a comparison: odd runs, and reasons why the 5 % error rate may not hold."""

from collections import defaultdict
from statistics import median

from mnist_cli.formatting import format_percent, format_runs, format_seconds
from mnist_cli.report.layout import listed
from mnist_cli.schema.comparison import CompareResult

SEEDS_ADDED = (
    "Seeds were added after results could be seen, so false verdicts are likelier than 5 %; use "
    "--seeds auto for that."
)
TWO_SEEDS = "Two seeds say little about the spread over seeds: give --seeds 5 or more."
UNFINISHED = "Incomplete: the 5 % error rate applies once all runs are finished."
CHOSEN_ON_TEST = (
    "A setting that is chosen by its test accuracy looks better than it is on new images: "
    "give --hold-out 0.1, which chooses on validation images."
)
NARROWED = (
    "These networks were part of a comparison of {networks} on the same seeds. If they were chosen "
    "by its results, this finds a difference between equal networks in up to 37 % of cases, not "
    "5 %: give other seeds, --seed {seed}."
)
RARE_SLOW_RUNS = "Other seeds may have slower runs, which this mean time does not show."


def is_incomplete(result: CompareResult) -> bool:
    """Whether a run of a fixed number of seeds is missing."""
    missing = any(not m.failure and len(m.runs) < len(result.seeds) for m in result.models)
    return missing and not result.settling


def doubts(result: CompareResult) -> list[str]:
    """Why verdicts and gates may be false in more than 5 % of cases."""
    judged = result.verdicts or result.contenders
    varied = any(model.varied for model in result.models)
    narrowed = NARROWED.format(networks=result.narrowed_from, seed=max(1000, result.seeds[-1] + 1))
    possible = (
        (UNFINISHED, result.verdicts and is_incomplete(result)),
        (TWO_SEEDS, result.verdicts and len(result.seeds) == 2),
        (SEEDS_ADDED, result.seeds_changed and len(result.seeds) > 1),
        (RARE_SLOW_RUNS, result.verdicts and result.target is not None),
        (narrowed, judged and result.narrowed_from),
        (CHOSEN_ON_TEST, judged and varied and not result.dataset.hold_out),
    )
    return [text for text, applies in possible if applies]


def collapsed(result: CompareResult) -> list[str]:
    """A line for each network with runs near chance, or far below its other runs."""
    lines = []
    for model in result.models:
        chance = result.near_chance(model.runs)
        low = model.figures.low_seeds if model.figures else ()
        far = [run for run in model.runs if run.seed in low and run not in chance]
        if chance:
            seeds, accuracies = format_runs(chance)
            invalid = ": its intervals are not valid" if len(model.runs) > 1 else ""
            lines.append(
                f"{model.model} did not learn with {seeds} ({accuracies}, near chance){invalid}"
            )
        if far:
            middle = format_percent(median(run.test_accuracy for run in model.runs))
            seeds, accuracies = format_runs(far)
            have = "has" if len(far) == 1 else "have"
            lines.append(
                f"{model.model} {seeds} {have} {accuracies}, far below its median of {middle}"
            )
    return lines


def slow_runs(result: CompareResult) -> list[str]:
    """A line for each run whose time is far from the median of its network."""
    way_out = "give --threads 1" if result.environment.threads > 1 else "end them first"
    return [
        f"{model.model}: seed {run.seed} took {format_seconds(run.train_seconds)}, far from the "
        f"median of {format_seconds(model.figures.times[0])}: if other programs ran, {way_out}"
        for model in result.models
        if model.figures and model.figures.times
        for run in model.runs
        if run.seed in model.figures.outlier_seeds
    ]


def alike(result: CompareResult) -> list[str]:
    """A line for each group of networks with equal results."""
    names = defaultdict(list)
    for model in result.models:
        figures = tuple((run.seed, run.test_accuracy, run.test_loss) for run in model.runs)
        names[figures].append(model.model)
    return [
        f"{listed(equal)} have the same accuracy and loss with each seed: they do the same"
        for figures, equal in names.items()
        if figures and len(equal) > 1
    ]
