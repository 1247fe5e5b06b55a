"""Merges exports of one comparison with different seeds or from different machines."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mnist_cli.comparison.analysis import analyse
from mnist_cli.comparison.conditions import Conditions, conditions, differences
from mnist_cli.errors import UsageError
from mnist_cli.schema.comparison import CompareResult, ModelRuns

RESULTS = ("epochs", "test_accuracy", "test_loss", "reached_target")  # what a seed decides


def merge(exports: Mapping[Path, CompareResult]) -> CompareResult:
    """Merge exports into one comparison; a run that is in two exports counts once.

    Raises UsageError if the conditions differ, or two runs of one network and seed differ.
    """
    (first_path, first), *others = exports.items()
    for path, other in others:
        _check_same(first_path, first, path, other)
    rows: dict[str, ModelRuns] = {}
    for export in exports.values():
        for row in export.models:
            rows[row.model] = _unite(rows.get(row.model, row), row)
    result = replace(
        first,
        seeds=tuple(sorted({seed for export in exports.values() for seed in export.seeds})),
        journal=None,
        models=tuple(rows.values()),
        seeds_changed=any(export.seeds_changed for export in exports.values()),
        narrowed_from=max(export.narrowed_from or 0 for export in exports.values()) or None,
        baseline=None,
        wall_seconds=None,
    )
    return analyse(result)


def _check_same(first_path: Path, first: CompareResult, path: Path, other: CompareResult) -> None:
    for difference in differences(_find_conditions(first), _find_conditions(other)):
        match difference.key:
            case ("networks", network):
                what = f"only {first_path if difference.was else path} has {network}"
            case (_, network, "code", file):
                what = f"{file} of {network} is another file"
            case _:
                what = f"{difference.name} {difference.was} and {difference.now}"
        raise UsageError(f"{first_path} and {path} are not of one comparison: {what}")


def _find_conditions(result: CompareResult) -> Conditions:
    settling = result.settling
    number = f"{settling.goal}, {settling.max_seeds} at most" if settling else "fixed"
    common = conditions(result.models, result.dataset, result.environment, result.target, number)
    return common | {"margin": result.margin}


def _unite(first: ModelRuns, other: ModelRuns) -> ModelRuns:
    """Merge the runs of both by seed, and keep the failure of either."""
    runs = {run.seed: run for run in first.runs}
    for run in other.runs:
        known = runs.setdefault(run.seed, run)
        if any(getattr(known, key) != getattr(run, key) for key in RESULTS):
            raise UsageError(
                f"{first.model} has different runs of seed {run.seed} (accuracy "
                f"{known.test_accuracy} and {run.test_accuracy}); leave one of the exports out"
            )
    in_order = tuple(runs[seed] for seed in sorted(runs))
    return replace(first, runs=in_order, failure=first.failure or other.failure)
