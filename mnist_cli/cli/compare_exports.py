"""`mnist-cli compare --from`: exports of one comparison, put together without training."""

from pathlib import Path

from mnist_cli.cli.compare_networks import check_stdout, show
from mnist_cli.cli.outputs import check_outputs, exports
from mnist_cli.cli.working import working
from mnist_cli.errors import UsageError
from mnist_cli.report import export
from mnist_cli.schema.options import DataOptions, ExportOptions, GateOptions


def compare_exports(
    paths: list[Path],
    data: DataOptions,
    baseline: Path | None,
    gates: GateOptions,
    files: ExportOptions,
    *,
    json: bool,
    quiet: bool,
) -> int:
    """Show what the runs of several exports say, and return the exit code."""
    if gates.fail_on_regression and baseline is None:
        raise UsageError("--fail-on-regression needs --baseline FILE.json")
    if len(set(paths)) < len(paths):
        raise UsageError("an export is named twice; name each once")
    read = {f"--from {path}": path for path in paths}
    check_outputs(exports(files), read | {"--baseline": baseline})
    check_stdout(files, json=json)
    from mnist_cli.workflows.compare_exports import put_together

    with working(quiet):
        result = put_together(paths, baseline)
        export.Exports(files).write(result, last=True)
    return show(result, gates, files, data, json=json, quiet=quiet)
