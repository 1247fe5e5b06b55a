"""Exports of one comparison, made with other seeds or on other machines, put together."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import reduce
from pathlib import Path
from typing import Any

from mnist_cli.comparison.analysis import analysed
from mnist_cli.errors import UsageError
from mnist_cli.schema.comparison import CompareResult, ModelRuns, Run

RESULTS = ("epochs", "test_accuracy", "test_loss", "reached_target")  # what a seed decides


def merged(exports: Mapping[Path, CompareResult]) -> CompareResult:
    """All runs of some exports as one comparison, analysed.

    A run that two of them hold counts once.

    Raises:
        UsageError: the exports are of different comparisons, or hold different runs of one seed.
    """
    (first_path, first), *others = exports.items()
    for path, other in others:
        _check_same(first_path, first, path, other)
    models = [
        [_placed(path, model, each) for model in each.models] for path, each in exports.items()
    ]
    rows = [reduce(_joined, rows) for rows in zip(*models, strict=True)]
    result = replace(
        first,
        seeds=tuple(sorted({seed for export in exports.values() for seed in export.seeds})),
        journal=None,
        models=tuple(replace(row, figures=None, settled=None) for row in rows),
        seeds_changed=any(export.seeds_changed for export in exports.values()),
        narrowed_from=max((e.narrowed_from or 0 for e in exports.values()), default=0) or None,
        verdicts=(),
        baseline=None,
        wall_seconds=None,
    )
    return analysed(result)


def _check_same(first_path: Path, first: CompareResult, path: Path, other: CompareResult) -> None:
    """Raise UsageError with the first condition that differs."""
    then, now = _conditions(first), _conditions(other)
    for key in then | now:
        if then.get(key) != now.get(key):
            raise UsageError(
                f"{first_path} and {path} are not of one comparison: {key} {then.get(key)} and "
                f"{now.get(key)}"
            )


def _conditions(result: CompareResult) -> dict[str, Any]:
    """All that runs have in common; the order of the networks too, as it is that of the tables."""
    conditions: dict[str, Any] = {
        "networks": ", ".join(model.model for model in result.models),
        "dataset": result.dataset.name,
        "images of SHA-256": result.dataset.sha256,
    }
    conditions |= result.environment.deciding
    for model in result.models:
        conditions |= {f"{model.model} {key}": v for key, v in asdict(model.protocol).items()}
        if model.precision:  # of a network that could not be made it is not known
            conditions[f"{model.model} precision"] = model.precision
        conditions |= {f"{model.model} code {file}": sha for file, sha in model.code.items()}
    settling = result.settling.max_seeds if result.settling else None
    conditions["number of seeds"] = f"until settled, {settling} at most" if settling else "fixed"
    return conditions | {"target": result.target, "margin": result.margin}


def _placed(path: Path, model: ModelRuns, export: CompareResult) -> ModelRuns:
    """The row with the machine of each run, which older versions did not write."""
    return replace(
        model,
        runs=tuple(
            replace(
                run,
                host=run.host or f"that of {path}",
                processor=run.processor or export.environment.processor,
                threads=run.threads or export.environment.threads,
            )
            for run in model.runs
        ),
    )


def _joined(first: ModelRuns, other: ModelRuns) -> ModelRuns:
    """The runs of both, by seed; the failure of either."""
    runs: dict[int, Run] = {run.seed: run for run in first.runs}
    for run in other.runs:
        known = runs.setdefault(run.seed, run)
        if any(getattr(known, key) != getattr(run, key) for key in RESULTS):
            raise UsageError(
                f"{first.model} has different runs of seed {run.seed} (accuracy "
                f"{known.test_accuracy} and {run.test_accuracy}); leave one of the exports out"
            )
    return replace(
        first,
        runs=tuple(runs[seed] for seed in sorted(runs)),
        failure=first.failure or other.failure,
    )
