"""`mnist-cli compare` with checkpoints."""

from mnist_cli.cli.working import working
from mnist_cli.errors import ExitCode, UsageError
from mnist_cli.report import console
from mnist_cli.report.comparison_tables import checkpoint_tables
from mnist_cli.schema.datasets import Split
from mnist_cli.schema.options import CheckpointsOptions


def compare_checkpoints(options: CheckpointsOptions, *, json: bool, quiet: bool) -> int:
    """Let checkpoints judge the same images, show how they differ, and return the exit code."""
    if len(set(options.checkpoints)) < max(2, len(options.checkpoints)):
        raise UsageError("name two or more checkpoints to compare, each once")
    from mnist_cli.data.datasets import prefetch

    prefetch(options.data, (Split.TEST,))
    from mnist_cli.report.pictures import terminal
    from mnist_cli.workflows import compare_checkpoints as workflow

    with working(quiet) as on_event:
        result, images = workflow.compare_checkpoints(options, on_event)
    if json:
        console.show_json(result)
        return ExitCode.OK
    captions = [terminal.disputed_caption(image) for image in result.disputed]
    drawn = terminal.draw(console.stdout_console(), images.images, captions) if captions else None
    console.show(*checkpoint_tables(result, drawn))
    return ExitCode.OK
