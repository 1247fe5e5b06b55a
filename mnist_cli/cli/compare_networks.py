"""`mnist-cli compare` with networks or their exports: checks, training, tables, files, gates."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mnist_cli.cli.outputs import Output, check_outputs, exports, journal
from mnist_cli.cli.working import exit_code_of, working
from mnist_cli.errors import ExitCode, Terminated, UsageError
from mnist_cli.report import console, export, phrases
from mnist_cli.report.comparison_tables import comparison_tables
from mnist_cli.report.progress import show_sign_of_life
from mnist_cli.schema.comparison import LOOKS, MAX_NETWORKS, CompareResult
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.options import (
    LEAST_RUNS,
    MAX_SEED,
    STDOUT,
    CompareOptions,
    DataOptions,
    ExportOptions,
    GateOptions,
)
from mnist_cli.schema.protocol import Schedule
from mnist_cli.system.streams import say


def compare_networks(
    options: CompareOptions, gates: GateOptions, files: ExportOptions, *, json: bool, quiet: bool
) -> int:
    """Train networks, show what is known of them at the end, and return the exit code."""
    _check(options, gates, files, json=json)
    show_sign_of_life(quiet)
    from mnist_cli.data.datasets import prefetch

    prefetch(options.data)
    from mnist_cli.workflows.compare_networks import compare_networks as train_all

    written = export.Exports(files)
    result = None
    try:
        with working(quiet) as on_event:
            for result in train_all(options, on_event):
                written.write(result)
    except (KeyboardInterrupt, Terminated):
        if result and any(row.runs for row in result.models):
            _print(result, files, json=json)
        raise
    assert result  # the first comes before any run
    written.write(result, last=True)
    return _show(result, gates, files, options.data, json=json, quiet=quiet)


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
    """Show what the runs of several exports say, without training; return the exit code."""
    if len(set(paths)) < len(paths):
        raise UsageError("an export is named twice; name each once")
    read = {f"--from {path}": path for path in paths}
    _check_files(files, gates, baseline, exports(files), read, json=json)
    from mnist_cli.workflows.compare_exports import put_together

    with working(quiet):
        result = put_together(paths, baseline)
        export.Exports(files).write(result, last=True)
    return _show(result, gates, files, data, json=json, quiet=quiet)


def _show(
    result: CompareResult,
    gates: GateOptions,
    files: ExportOptions,
    data: DataOptions,
    *,
    json: bool,
    quiet: bool,
) -> int:
    """Print a comparison, draw it if that was asked for, and return the exit code.

    For a report, the test images are those of `data` if they are on this disk.
    """
    from mnist_cli.comparison.gates import judge_gates

    try:
        _print(result, files, json=json)
    finally:  # each of them may fail, and the others be wanted all the more
        try:
            if files.plot and any(row.figures for row in result.models):
                from mnist_cli.report.pictures.plots import plot_comparison

                plot_comparison(files.plot, result)
        finally:
            if files.report:
                from mnist_cli.data.datasets import test_images_on_disk
                from mnist_cli.report.html.document import write_report

                images = test_images_on_disk(result.dataset, data)
                write_report(files.report, result, images)
    code = exit_code_of(judge_gates(result, gates), quiet=quiet)
    failures = phrases.failures(result)
    if failures:
        say(f"error: {'; '.join(failures)}")
        return ExitCode.FAILURE
    return code


def _print(result: CompareResult, files: ExportOptions, *, json: bool) -> None:
    if files.to_stdout:
        export.write_stdout(result, files)
    else:
        console.emit(result, comparison_tables, as_json=json)


def _check(
    options: CompareOptions, gates: GateOptions, files: ExportOptions, *, json: bool
) -> None:
    """Raise UsageError where options do not go together, before anything is trained."""
    seeds, option = options.seeds, "--seeds"
    if options.settle:
        seeds, option = options.settle.max_seeds, "--max-seeds"
        if len(options.entries) < 2:
            raise UsageError("--until-settled compares networks with each other; name two or more")
    if len(options.entries) > MAX_NETWORKS:
        raise UsageError(f"at most {MAX_NETWORKS} networks can be compared; name fewer")
    if options.seed + max(seeds, LOOKS[-1]) - 1 > MAX_SEED:
        raise UsageError(f"--seed and {option} together must stay below 2**63")
    if options.baseline is not None and seeds < LEAST_RUNS:
        raise UsageError(
            f"--baseline needs {option} {LEAST_RUNS} or more, to tell a change from luck"
        )
    if options.margin is not None and options.target is not None:
        raise UsageError("--margin is for accuracies, which --target makes alike; drop one")
    if options.margin is not None and seeds == 1:
        raise UsageError("--margin needs verdicts; give --seeds 5 or --until-settled too")
    if options.baseline is not None and options.target is not None:
        raise UsageError("--baseline compares accuracies, which --target makes alike; drop one")
    if options.execution.cluster == "":
        raise UsageError("--cluster needs the address of a scheduler, or the file that it wrote")
    if options.execution.jobs != 1 or options.execution.cluster:
        timed = {"--target": options.target, "--max-seconds": gates.max_seconds}
        for option, value in timed.items():
            if value is not None:
                raise UsageError(
                    f"{option} needs times, which only a run that has the machine to itself tells; "
                    "drop --jobs and --cluster"
                )
    if options.execution.cluster and options.execution.jobs != 1:
        raise UsageError("--cluster has the workers that were started there; drop --jobs")
    one_cycle = [e for e in options.entries if e.protocol.schedule == Schedule.ONE_CYCLE]
    if options.target is not None and one_cycle:
        raise UsageError(
            "--target looks at a network after each epoch, but with this recipe the rate is low "
            "only at the end of the last one; use --recipe article"
        )
    outputs = [*exports(files), *journal(options.journal)]
    networks = [entry.model for entry in options.entries]
    _check_files(files, gates, options.baseline, outputs, {}, networks, json=json)


def _check_files(
    files: ExportOptions,
    gates: GateOptions,
    baseline: Path | None,
    outputs: list[Output],
    inputs: Mapping[str, Path],
    networks: Sequence[ModelSpec] = (),
    *,
    json: bool,
) -> None:
    if gates.fail_on_regression and baseline is None:
        raise UsageError("--fail-on-regression needs --baseline FILE.json")
    check_outputs(outputs, {**inputs, "--baseline": baseline}, networks)
    if [files.json, files.csv, files.markdown, files.latex].count(STDOUT) > 1:
        raise UsageError("two exports cannot both have standard output")
    if json and files.to_stdout:
        raise UsageError("--json and an export to - cannot both have standard output")
