"""An earlier export of `compare`, to measure progress or a regression against."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mnist_cli.comparison.analysis import with_baseline
from mnist_cli.errors import MnistCliError, UsageError
from mnist_cli.schema.comparison import CompareResult, ModelRuns
from mnist_cli.schema.datasets import DatasetInfo
from mnist_cli.schema.options import LEAST_RUNS
from mnist_cli.schema.record import check_seal, from_json
from mnist_cli.system.files import explaining

WAY_OUT = "make one with compare --export-json"


def load_baseline(path: Path) -> CompareResult:
    """Read an export of `compare`.

    Raises:
        MnistCliError: there is no such file, or it is something else, or of another version.
    """
    with explaining(f"read {path}", WAY_OUT):
        content = path.read_bytes()
    try:
        result = from_json(CompareResult, content)
        check_seal(content)
    except ValueError as error:
        raise MnistCliError(f"{path} is no export of compare ({error}); {WAY_OUT}") from error
    return result


def compared(result: CompareResult, file: Path, baseline: CompareResult) -> CompareResult:
    """`result` with what changed since `baseline`, which was read from `file`."""
    note = differences(baseline, result.models)
    return with_baseline(result, str(file), accuracies(baseline), note)


def accuracies(baseline: CompareResult) -> dict[str, dict[int, float]]:
    """The test accuracies of each network that did not fail, by seed."""
    return {
        model.model: {run.seed: run.test_accuracy for run in model.runs}
        for model in baseline.models
        if not model.failure
    }


def check_comparable(
    file: Path, baseline: CompareResult, models: Sequence[str], dataset: DatasetInfo
) -> None:
    """Refuse a baseline that says nothing about the comparison at hand.

    Raises:
        UsageError: it has other images, a target, none of the networks or too few runs of one.
    """
    if baseline.dataset.sha256 != dataset.sha256:
        raise UsageError(
            f"{file} was measured on other images, those of {baseline.dataset.name}; "
            "choose another dataset or baseline"
        )
    if baseline.target is not None:
        raise UsageError(
            f"{file} was trained up to a target, which makes accuracies alike; choose another"
        )
    known = accuracies(baseline)
    few = [name for name in models if name in known and len(known[name]) < LEAST_RUNS]
    if few:
        raise UsageError(
            f"{file} has fewer than {LEAST_RUNS} runs of {', '.join(few)}, too few to tell a "
            f"change from luck; make it with --seeds {LEAST_RUNS}"
        )
    if not known.keys() & set(models):
        has = ", ".join(known) or "none that finished"
        raise UsageError(f"{file} has none of these networks; those it has: {has}")


def differences(baseline: CompareResult, models: Sequence[ModelRuns]) -> str | None:
    """Where the training differed from now, such as `mlp epochs 5, now 1`; None if it did not."""
    then = {model.model: _protocol(model) for model in baseline.models}
    found = [
        f"{model.model} {key} {was}, now {now}"
        for model in models
        if model.model in then
        for key, now in _protocol(model).items()
        if (was := then[model.model][key]) != now
    ]
    return f"trained otherwise: {'; '.join(found)}" if found else None


def _protocol(model: ModelRuns) -> Mapping[str, Any]:
    return asdict(model.protocol) | {"precision": model.precision}
