"""`mnist-cli show-samples`."""

from mnist_cli.cli import parameters as p
from mnist_cli.cli.outputs import Output, check_outputs
from mnist_cli.cli.working import working
from mnist_cli.errors import UsageError
from mnist_cli.networks import registry
from mnist_cli.report import console
from mnist_cli.report.network_tables import samples_grid
from mnist_cli.schema.datasets import Split
from mnist_cli.schema.options import DataOptions, SamplesOptions


def show_samples(
    count: p.ImageCount = SamplesOptions.count,
    split: p.SplitOption = None,
    label: p.Label = None,
    seed: p.ImageSeed = SamplesOptions.seed,
    output: p.GridOutput = None,
    checkpoint: p.ShownCheckpoint = None,
    errors: p.Errors = False,
    model: p.Code = None,
    dataset: p.Dataset = DataOptions.dataset,
    data_dir: p.DataDir = None,
    device: p.Device = SamplesOptions.device,
    json: p.Json = False,
    quiet: p.Quiet = False,
) -> None:
    """Draw some images with their labels, and what a network makes of them."""
    if checkpoint is None and (errors or model):
        option = "--errors" if errors else "--model"
        raise UsageError(f"{option} needs --checkpoint FILE, the network to look at")
    if output:
        check_outputs([Output("--output", output, "picture")], {"--checkpoint": checkpoint})
    options = SamplesOptions(
        count=count,
        split=split,
        label=label,
        seed=seed,
        output=output,
        checkpoint=checkpoint,
        errors=errors,
        model=registry.resolve(model) if model else None,
        data=DataOptions(dataset, data_dir),
        device=device,
    )
    from mnist_cli.data.datasets import BOTH, prefetch

    prefetch(options.data, (Split.TEST,) if options.shown_split == Split.TEST else BOTH)
    from mnist_cli.report.pictures import terminal
    from mnist_cli.workflows.show_samples import choose_samples

    with working(quiet) as on_event:
        result, chosen = choose_samples(options, on_event)
    captions = [terminal.caption(sample) for sample in result.samples]
    if output:
        from mnist_cli.report.pictures.grid import save_grid

        save_grid(output, chosen.images, captions)
    if json:
        console.show_json(result)
    elif output:
        console.show(f"Saved as {output}.")
    else:
        drawn = terminal.draw(console.stdout_console(), chosen.images, captions)
        console.show(*samples_grid(result, drawn))
