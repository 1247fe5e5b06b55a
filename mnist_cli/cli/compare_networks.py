"""`mnist-cli compare` with networks or exports: check options, train or merge, report, gates."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from mnist_cli.cli.outputs import check_outputs, list_outputs
from mnist_cli.cli.working import report_gates, working
from mnist_cli.errors import ExitCode, Terminated, UsageError
from mnist_cli.report import console, export, phrases
from mnist_cli.report.comparison_tables import comparison_tables
from mnist_cli.report.progress import show_sign_of_life
from mnist_cli.schema.comparison import LOOKS, MAX_NETWORKS, CompareResult
from mnist_cli.schema.options import LEAST_RUNS, MAX_SEED, CompareOptions
from mnist_cli.schema.protocol import Schedule
from mnist_cli.system.cpus import start_watching
from mnist_cli.system.streams import say


def compare_networks(options: CompareOptions, *, json: bool, quiet: bool) -> int:
    """Train networks, show the comparison, and return the exit code."""
    _check_options(options)
    _check_files(options, {}, json=json)
    show_sign_of_life(quiet)
    start_watching()
    from mnist_cli.data.datasets import prefetch

    prefetch(options.data)
    from mnist_cli.workflows.compare_networks import compare_networks as train_all

    exports = export.Exports(options.files)
    result = None
    try:
        with working(quiet) as on_event:
            for result in train_all(options, on_event):
                exports.write(result)
    except (KeyboardInterrupt, Terminated):
        if result and any(row.runs for row in result.models):
            _print(result, options, json=json)
        raise
    assert result  # train_all yields a result before the first run
    exports.write(result, last=True)
    return _show(result, options, json=json, quiet=quiet)


def compare_exports(paths: list[Path], options: CompareOptions, *, json: bool, quiet: bool) -> int:
    """Combine exports without training, show the comparison, and return the exit code."""
    if len(set(paths)) < len(paths):
        raise UsageError("an export is named twice; name each once")
    _check_files(options, {f"argument {path}": path for path in paths}, json=json)
    from mnist_cli.workflows.compare_exports import merge_exports

    with working(quiet):
        result = merge_exports(paths, options.baseline)
        export.Exports(options.files).write(result, last=True)
    return _show(result, options, json=json, quiet=quiet)


def _show(result: CompareResult, options: CompareOptions, *, json: bool, quiet: bool) -> int:
    """Print a comparison, write its plot and report, and return the exit code."""
    from mnist_cli.comparison.gates import judge_gates

    plot, report = options.files.plot, options.files.report
    with ExitStack() as stack:  # if one of them fails, the others are still written
        if report:
            stack.callback(_write_report, report, result, options)
        if plot and any(row.figures for row in result.models):
            stack.callback(_write_plot, plot, result)
        _print(result, options, json=json)
    code = report_gates(judge_gates(result, options.gates), quiet=quiet)
    failures = phrases.failures(result)
    if failures:
        say(f"error: {'; '.join(failures)}")
        return ExitCode.FAILURE
    return code


def _write_plot(path: Path, result: CompareResult) -> None:
    from mnist_cli.report.pictures.plots import plot_comparison

    plot_comparison(path, result)


def _write_report(path: Path, result: CompareResult, options: CompareOptions) -> None:
    from mnist_cli.data.datasets import test_images_on_disk
    from mnist_cli.report.html.document import write_report
    from mnist_cli.workflows.summary import trace_networks

    names = [row.network for row in result.models]
    specs = [entry.model for entry in options.entries]
    stages = trace_networks(names, specs, len(result.dataset.classes))
    write_report(path, result, test_images_on_disk(result.dataset, options.data), stages)


def _print(result: CompareResult, options: CompareOptions, *, json: bool) -> None:
    if options.files.num_to_stdout:
        export.write_stdout(result, options.files)
    else:
        console.emit(result, comparison_tables, as_json=json)


def _check_options(options: CompareOptions) -> None:
    seeds, option, execution = options.seeds, "--seeds", options.execution
    if options.settle:
        seeds, option = options.settle.max_seeds, "--max-seeds"
    margin, target = options.margin is not None, options.target is not None
    if options.settle and len(options.entries) < 2:
        raise UsageError("--seeds auto compares networks with each other; name two or more")
    if len(options.entries) > MAX_NETWORKS:
        raise UsageError(f"at most {MAX_NETWORKS} networks can be compared; name fewer")
    if options.seed + max(seeds, LOOKS[-1]) - 1 > MAX_SEED:
        raise UsageError(f"--seed and {option} together must stay below 2**63")
    if options.baseline and seeds < LEAST_RUNS:
        raise UsageError(
            f"--baseline needs {option} {LEAST_RUNS} or more, to tell a change from luck"
        )
    if margin and seeds == 1:
        raise UsageError("--margin needs verdicts; give --seeds 5 or --seeds auto too")
    for name, given in (("--margin", margin), ("--baseline", options.baseline)):
        if given and target:
            raise UsageError(
                f"{name} compares accuracies, but --target trains all networks to the same one; "
                "drop one"
            )
    if execution.cluster == "":
        raise UsageError("--cluster needs the address of a scheduler, or the file that it wrote")
    max_seconds = options.gates.max_seconds is not None
    for name, given in (("--target", target), ("--max-seconds", max_seconds)):
        if given and (execution.jobs != 1 or execution.cluster):
            raise UsageError(
                f"{name} needs times, which are not measured while runs share a machine; "
                "drop --jobs and --cluster"
            )
    if execution.cluster and execution.jobs != 1:
        raise UsageError("--cluster uses the workers of its scheduler; drop --jobs")
    if target and any(e.protocol.schedule != Schedule.CONSTANT for e in options.entries):
        raise UsageError(
            "--target evaluates a network after each epoch, but the learning rate of this schedule "
            "is low only at the end of the last one; use --recipe article, or --schedule constant"
        )


def _check_files(options: CompareOptions, inputs: Mapping[str, Path], *, json: bool) -> None:
    if options.gates.fail_on_regression and options.baseline is None:
        raise UsageError("--fail-on-regression needs --baseline FILE.json")
    outputs = list_outputs(options.files, options.journal)
    networks = [entry.model for entry in options.entries]
    check_outputs(outputs, {**inputs, "--baseline": options.baseline}, networks)
    if options.files.num_to_stdout > 1:
        raise UsageError("two exports cannot both go to standard output")
    if json and options.files.num_to_stdout:
        raise UsageError("--json and an export to - cannot both go to standard output")
