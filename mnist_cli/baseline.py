"""An earlier export, to measure progress or a regression against."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_cli.comparison import SCHEMA_VERSION, Run
from mnist_cli.errors import MnistCliError, UsageError
from mnist_cli.results import DatasetInfo


@dataclass(frozen=True)
class BaselineRuns:
    """The test accuracies of each network in an export, and what they were measured on."""

    path: Path
    dataset: str
    dataset_sha256: str
    target: float | None
    accuracies: Mapping[str, Sequence[float]]
    protocols: Mapping[str, Mapping[str, Any]]

    def note(self, models: Mapping[str, Mapping[str, Any]]) -> str | None:
        """Where networks were trained otherwise; `models` holds the protocols of now by name."""
        differences = [
            f"{name} {key} {then.get(key)}, now {value}"
            for name, now in models.items()
            if (then := self.protocols.get(name))
            for key, value in now.items()
            if then.get(key) != value
        ]
        return f"trained otherwise: {'; '.join(differences)}" if differences else None


def load_baseline(path: Path) -> BaselineRuns:
    """Read an export of `compare`.

    Raises:
        MnistCliError: there is no such file, or it is something else, or of another version.
    """
    remedy = "make one with compare --export-json"
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = document["schema_version"]
        if version != SCHEMA_VERSION:
            raise MnistCliError(
                f"{path} has schema version {version}, not {SCHEMA_VERSION}; {remedy}"
            )
        return BaselineRuns(
            path=path,
            dataset=document["dataset"]["name"],
            dataset_sha256=document["dataset"]["sha256"],
            target=None if document["target"] is None else float(document["target"]),
            accuracies={
                str(model["model"]): [Run(**run).test_accuracy for run in model["runs"]]
                for model in document["models"]
                if not model["failure"]
            },
            protocols={
                str(model["model"]): model["protocol"] | {"precision": model["precision"]}
                for model in document["models"]
            },
        )
    except OSError as error:
        raise MnistCliError(f"cannot read {path}: {error.strerror or error}; {remedy}") from error
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise MnistCliError(f"{path} is no export of compare; {remedy}") from error


def check_comparable(
    baseline: BaselineRuns, models: Sequence[str], dataset: DatasetInfo, target: float | None
) -> None:
    """Refuse a baseline that says nothing about the comparison at hand.

    Raises:
        UsageError: it has other images, another target or none of the networks.
    """
    if baseline.dataset_sha256 != dataset.sha256:
        raise UsageError(
            f"{baseline.path} was measured on other images, those of {baseline.dataset}; "
            "choose another --dataset or --baseline"
        )
    if baseline.target != target:
        was = "without --target" if baseline.target is None else f"--target {baseline.target:g}"
        raise UsageError(f"{baseline.path} was measured {was}; do the same, or choose another")
    alone = [name for name in models if len(baseline.accuracies.get(name, (0, 0))) < 2]
    if alone:
        raise UsageError(
            f"{baseline.path} has one run of {', '.join(alone)}, too few to tell a change from "
            "luck; make it with --seeds 5"
        )
    if not baseline.accuracies.keys() & set(models):
        raise UsageError(
            f"{baseline.path} has none of these networks, only {', '.join(baseline.accuracies)}"
        )
