"""`mnist-cli show-samples`."""

from pathlib import Path
from typing import Annotated

from mnist_cli.cli import parameters as p
from mnist_cli.cli.outputs import Output, check_outputs
from mnist_cli.cli.working import working
from mnist_cli.errors import UsageError
from mnist_cli.report import console
from mnist_cli.report.network_tables import samples_grid
from mnist_cli.schema.augmentation import NO_AUGMENTATION
from mnist_cli.schema.datasets import Split
from mnist_cli.schema.options import DataOptions, SamplesOptions

EXAMPLES = """
mnist-cli show-samples
mnist-cli show-samples --label 7 --count 25 --output sevens.png
mnist-cli show-samples --augment shift=2,rotate=10,elastic=30
mnist-cli show-samples --checkpoint cnn.safetensors --errors
"""


def show_samples(
    count: Annotated[
        int, p.data_option(parser=p.whole_number(1), metavar="N", help="How many images.")
    ] = SamplesOptions.count,
    split: Annotated[
        Split | None,
        p.data_option(
            metavar="NAME",
            help="Which images to choose from: train or test.",
            show_default="train; test with --checkpoint",
        ),
    ] = None,
    label: Annotated[
        str | None,
        p.data_option(metavar="CLASS", help="Only images of this class, e.g. 7."),
    ] = None,
    seed: Annotated[
        int,
        p.seed_option(help="Seed of the choice and of --augment.", rich_help_panel=p.DATA),
    ] = SamplesOptions.seed,
    dataset: p.Dataset = DataOptions.dataset,  # type: ignore[assignment]
    as_digits: p.AsDigits = DataOptions.as_digits,
    data_dir: p.DataDir = None,
    augment: p.Augment = None,
    checkpoint: Annotated[
        Path | None,
        p.checkpoint_option(metavar="FILE", help="Show what this network predicts for each image."),
    ] = None,
    errors: Annotated[
        bool, p.checkpoint_option("--errors", help="Only images that the network gets wrong.")
    ] = False,
    model: p.Code = None,
    output: Annotated[
        Path | None, p.file_option(help="Write a grid to FILE.png, .svg or .pdf instead.")
    ] = None,
    device: p.Device = SamplesOptions.device,
    json: p.Json = False,
    quiet: p.Quiet = False,
) -> None:
    """Draw some images with their labels, and the predictions of a network."""
    if checkpoint is None and (errors or model):
        option = "--errors" if errors else "--model"
        raise UsageError(f"{option} needs --checkpoint FILE, the network that predicts")
    if augment and (checkpoint or split == Split.TEST):
        option = "--checkpoint" if checkpoint else "--split test"
        raise UsageError(f"--augment changes training images alone; drop it or {option}")
    if output:
        check_outputs([Output("--output", output, "picture")], {"--checkpoint": checkpoint})
    options = SamplesOptions(
        count=count,
        split=split,
        label=label,
        augmentation=augment or NO_AUGMENTATION,
        seed=seed,
        output=output,
        checkpoint=checkpoint,
        errors=errors,
        model=model,
        data=p.data_options(dataset, data_dir, as_digits=as_digits),
        device=device,
    )
    from mnist_cli.data.datasets import prefetch

    prefetch(options.data, test_only=options.shown_split == Split.TEST)
    from mnist_cli.report.pictures import terminal
    from mnist_cli.workflows.show_samples import choose_samples

    with working(quiet) as on_event:
        result, chosen = choose_samples(options, on_event)
    captions = [terminal.caption(sample, result.dataset.classes) for sample in result.samples]
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
