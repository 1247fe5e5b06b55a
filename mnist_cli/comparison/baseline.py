"""An earlier export of `compare`, to measure progress or a regression against."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mnist_cli.comparison.analysis import with_baseline
from mnist_cli.comparison.conditions import Conditions, conditions, differences
from mnist_cli.errors import MnistCliError, UsageError
from mnist_cli.schema.comparison import CompareResult
from mnist_cli.schema.datasets import DatasetInfo
from mnist_cli.schema.options import LEAST_RUNS
from mnist_cli.schema.record import check_seal, from_json
from mnist_cli.system.files import read

WAY_OUT = "make one with compare --export-json"
NOTED = 5  # differences that a note names


def load_baseline(path: Path) -> CompareResult:
    """Read an export of `compare`.

    Raises:
        MnistCliError: there is no such file, or it is something else, or of another version.
    """
    content = read(path, WAY_OUT)
    try:
        result = from_json(CompareResult, content)
        check_seal(content)
        _check_once([model.model for model in result.models])
        for model in result.models:
            _check_once([f"seed {run.seed} of {model.model}" for run in model.runs])
    except ValueError as error:
        raise MnistCliError(f"{path} is no export of compare ({error}); {WAY_OUT}") from error
    return result


def _check_once(names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"it holds {twice[0]} twice")


def compared(result: CompareResult, file: Path, baseline: CompareResult) -> CompareResult:
    """`result` with what changed since `baseline`, which was read from `file`."""
    note = training_note(baseline, result)
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


def training_note(baseline: CompareResult, result: CompareResult) -> str | None:
    """Where the training differed from now, such as `mlp epochs 5, now 1`; None if it did not.

    The code of a network is not told: to measure its changes is what a baseline is for.
    """
    found = [
        str(each)
        for each in differences(_training(baseline), _training(result))
        if each.key[0] == "environment"
        or (len(each.key) == 3 and each.key[-1] not in {"parameters", "mult_adds"})
    ]
    more = f"; and {len(found) - NOTED} more" if len(found) > NOTED else ""
    return f"trained otherwise: {'; '.join(found[:NOTED])}{more}" if found else None


def _training(result: CompareResult) -> Conditions:
    processor = {"processor": result.environment.processor}
    environment = result.environment.deciding | processor
    return conditions(result.models, result.dataset, result.environment, result.target, "fixed") | {
        "environment": environment
    }
