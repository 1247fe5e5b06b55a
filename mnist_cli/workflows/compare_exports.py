"""`compare` with exports: merges exports of one comparison."""

from collections.abc import Sequence
from pathlib import Path

from mnist_cli.comparison import baseline
from mnist_cli.comparison.merging import merge
from mnist_cli.errors import UsageError
from mnist_cli.schema.comparison import CompareResult
from mnist_cli.schema.options import LEAST_RUNS


def merge_exports(paths: Sequence[Path], baseline_file: Path | None) -> CompareResult:
    """Merge exports into one comparison, and compare it with a baseline if there is one.

    Raises UsageError if the exports are not of one comparison or the baseline does not fit, and
    MnistCliError if a file cannot be read.
    """
    result = merge({path: baseline.load_baseline(path) for path in paths})
    if baseline_file is None:
        return result
    then = baseline.load_baseline(baseline_file)
    finds_best = result.settling is not None and result.settling.find_best
    if result.target is not None or finds_best or len(result.seeds) < LEAST_RUNS:
        raise UsageError(
            f"--baseline needs {LEAST_RUNS} seeds or more, trained without --target and --find-best"
        )
    names = [model.model for model in result.models]
    baseline.check_comparable(baseline_file, then, names, result.dataset)
    return baseline.compare(result, baseline_file, then)
