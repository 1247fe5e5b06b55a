"""What to be cautious about in a comparison: odd runs, and where the 5 % may not hold."""

from collections.abc import Sequence
from itertools import combinations
from statistics import median

from mnist_cli.formatting import format_percent, format_runs
from mnist_cli.schema.comparison import CompareResult, Run

SEEDS_ADDED = (
    "Seeds were added after results could be seen, so false verdicts are likelier than 5 %; use "
    "--until-settled for that."
)
TWO_SEEDS = "Two seeds tell hardly anything of the spread over seeds: give --seeds 5 or more."
UNFINISHED = "Incomplete: the 5 % error rate applies once all runs are finished."
RARE_SLOW_RUNS = "A mean time misses slow runs that do not happen to occur with these seeds."


def doubts(result: CompareResult) -> list[str]:
    """Why the 5 % may not hold that verdicts and gates promise."""
    missing = any(not m.failure and len(m.runs) < len(result.seeds) for m in result.models)
    lines = [UNFINISHED] if missing and result.verdicts and not result.settling else []
    lines += [TWO_SEEDS] if result.verdicts and len(result.seeds) == 2 else []
    lines += [SEEDS_ADDED] if result.seeds_changed else []
    lines += [RARE_SLOW_RUNS] if result.target is not None and result.verdicts else []
    if result.narrowed_from and result.verdicts:
        fresh = max(1000, result.seeds[-1] + 1)
        lines.append(
            f"These networks were compared before among {result.narrowed_from} on the same seeds. "
            "Chosen by those results, the best and the worst of ten equal networks get a verdict "
            f"in 37 % of cases, the best and a default in 11 %: confirm with --seed {fresh}."
        )
    return lines


def collapsed(result: CompareResult) -> list[str]:
    """A line for each network with runs that did not learn, and for one with runs far below."""
    lines = []
    for model in result.models:
        dead = [run for run in model.runs if run.near_chance]
        low = model.figures.low_seeds if model.figures else ()
        far = [run for run in model.runs if run.seed in low and run not in dead]
        if dead:
            lines.append(
                f"{model.model} {_with_accuracy(dead)}, near chance: it did not learn; no interval "
                "allows for that"
            )
        if far:
            middle = format_percent(median(run.test_accuracy for run in model.runs))
            lines.append(f"{model.model} {_with_accuracy(far)}, far below its median of {middle}")
    return lines


def _with_accuracy(runs: Sequence[Run]) -> str:
    """`seed 4 has 11.35 %`, `seeds 1, 4 have 9.80-11.35 %`."""
    seeds, accuracies = format_runs(runs)
    return f"{seeds} {'has' if len(runs) == 1 else 'have'} {accuracies}"


def alike(result: CompareResult) -> list[str]:
    """A line for each two networks that no run tells apart: a setting may have no effect."""
    figures = {
        model.model: [(run.seed, run.test_accuracy, run.test_loss) for run in model.runs]
        for model in result.models
    }
    return [
        f"{first} and {second} have the same accuracy and loss with each seed: they do the same"
        for first, second in combinations(figures, 2)
        if figures[first] and figures[first] == figures[second]
    ]
