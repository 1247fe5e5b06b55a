"""Results that no training made, to look at what is said of them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mnist_cli.comparison.analysis import analyse
from mnist_cli.comparison.baseline import compare
from mnist_cli.comparison.mistakes import encode
from mnist_cli.schema.comparison import SCHEMA_VERSION, CompareResult, ModelRuns, Run, Settling
from mnist_cli.schema.datasets import DatasetInfo
from mnist_cli.schema.protocol import Protocol
from mnist_cli.schema.results import Environment, EpochResult

MACHINE = Environment("cpu", "EPYC", 2, "AVX512", "2.15", "3.11", "Linux", "0.1.0")


def network(
    name: str,
    accuracies: Sequence[float],
    seconds: Sequence[float] | float = 2.0,
    *,
    parameters: int | None = 1000,
    epochs: Sequence[int] | int = 5,
    reached: Sequence[bool] | None = None,
    failure: str | None = None,
    first_seed: int = 0,
    loss: float = 0.1,
    hosts: Sequence[str] = ("",),
    runs_at_once: Sequence[int] = (1,),
) -> ModelRuns:
    """A row with a run for each accuracy."""
    count = len(accuracies)
    times = [seconds] * count if isinstance(seconds, int | float) else seconds
    passes = [epochs] * count if isinstance(epochs, int) else epochs
    runs = tuple(
        Run(
            seed=first_seed + index,
            epochs=passes[index],
            test_accuracy=accuracies[index],
            test_loss=loss,
            train_seconds=times[index],
            reached_target=reached[index] if reached else None,
            host=hosts[index % len(hosts)],
            runs_at_once=runs_at_once[index % len(runs_at_once)],
        )
        for index in range(count)
    )
    made = None if parameters is None else parameters * 64
    return ModelRuns(
        name, parameters, parameters, made, Protocol(), "fp32" if made else None, runs, failure
    )


def learned(
    model: ModelRuns, labels: Sequence[int], *answers: Sequence[int], epochs: int = 2
) -> ModelRuns:
    """The same row with epochs, and with the answers of each of its runs to the test images."""
    runs = tuple(
        replace(
            run,
            history=tuple(
                EpochResult(
                    epoch,
                    train_loss=2 * run.test_loss + epochs - epoch,
                    test_loss=run.test_loss + epochs - epoch,
                    test_accuracy=run.test_accuracy - 0.01 * (epochs - epoch),
                    train_seconds=run.train_seconds / epochs,
                )
                for epoch in range(1, epochs + 1)
            ),
            mistakes=encode(np.array(labels), np.array(answers[index % len(answers)])),
        )
        for index, run in enumerate(model.runs)
    )
    return replace(model, runs=runs)


def comparison(
    *models: ModelRuns,
    seeds: int = 5,
    target: float | None = None,
    seeds_changed: bool = False,
    settling: Settling | None = None,
    margin: float | None = None,
    num_test: int = 10_000,
    journal: str | None = None,
) -> CompareResult:
    """What is known of some networks, analysed."""
    return analyse(
        CompareResult(
            schema_version=SCHEMA_VERSION,
            dataset=DatasetInfo("mnist", 60_000, num_test, "0" * 64),
            environment=MACHINE,
            seeds=tuple(range(seeds)),
            target=target,
            journal=journal,
            models=models,
            seeds_changed=seeds_changed,
            settling=settling,
            margin=margin,
        )
    )


def since(
    result: CompareResult,
    then: Mapping[str, Mapping[int, float]],
    environment: Environment | None = None,
) -> CompareResult:
    """The comparison with its changes since one with these accuracies, by network and seed."""
    rows = []
    for name, accuracies in then.items():
        row = network(name, list(accuracies.values()))
        runs = zip(accuracies, row.runs, strict=True)
        rows.append(replace(row, runs=tuple(replace(run, seed=seed) for seed, run in runs)))
    earlier = replace(result, environment=environment or result.environment, models=tuple(rows))
    return compare(result, Path("base.json"), earlier)


def resealed(document: Mapping[str, Any]) -> str:
    """The text of an export that was changed, with the checksum of what it says now."""
    floats = json.loads(json.dumps({**document, "checksum": ""}), parse_int=float)
    text = json.dumps(floats, sort_keys=True)
    return json.dumps({**document, "checksum": hashlib.sha256(text.encode()).hexdigest()[:16]})
