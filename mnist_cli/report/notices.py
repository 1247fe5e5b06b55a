"""What a person should know while a command runs: a sentence for each kind of event."""

from mnist_cli.formatting import plural
from mnist_cli.schema.datasets import NOT_COMPARABLE
from mnist_cli.schema.events import (
    CheckpointReplaced,
    CodeChanged,
    ComparisonInterrupted,
    Event,
    FewerDisputedImages,
    FewerImages,
    JournalFound,
    JournalUnavailable,
    MarginTooFine,
    NetworkUnusable,
    OutputIsProbability,
    SeedIgnored,
    SubsetUsed,
    TimeLimitReached,
    TrainingImagesReused,
    TrainingInterrupted,
    WorkersAwaited,
)


def notice(event: Event) -> str | None:
    """An event in words; None for one that is progress."""
    match event:
        case SubsetUsed(folder, missing, reason):
            some = f"{', '.join(missing)} of MNIST are" if len(missing) < 4 else "MNIST is"
            return (
                f"{some} not in {folder} and {reason}; using mnist5k, 5,000 of its images: "
                f"{NOT_COMPARABLE} (--dataset mnist5k does so without asking the network)"
            )
        case TrainingImagesReused():
            return (
                "mnist5k consists of MNIST training images, which this network was trained on: "
                "this accuracy says nothing about new images"
            )
        case CodeChanged(path, files):
            return f"{', '.join(files)} changed since {path} was trained"
        case SeedIgnored(model):
            return (
                f"{model} has the same first weights with every seed: the seeds show less than "
                "they do for other networks"
            )
        case OutputIsProbability(model):
            return (
                f"{model} seems to end in softmax: its outputs are taken for logits, with which it "
                "learns badly; leave it out, or use log_softmax"
            )
        case FewerImages(found, wanted, split):
            return f"only {found} of {wanted} images fit in the {split} set"
        case FewerDisputedImages(found):
            few = f"they disagree on {plural(found, 'image')} only"
            return few if found else "they are right and wrong on the same images"
        case CheckpointReplaced(path):
            return f"{path} will be replaced; --output FILE writes elsewhere"
        case TrainingInterrupted(path, done, epochs):
            return f"{path} holds {done} of {epochs} epochs; go on with --resume {path}"
        case JournalUnavailable(reason):
            return f"{reason}; until then an interrupted comparison starts again"
        case JournalFound(path, finished, total):
            left = "going on from there" if finished < total else "nothing is left to train"
            return f"{path} has {finished} of {plural(total, 'run')}; {left}"
        case ComparisonInterrupted(path, finished, total):
            has = f"{path} has {finished} of {plural(total, 'run')}"
            return f"{has}; the same command goes on from there"
        case MarginTooFine(margin, half_width, seeds, num_test):
            return (
                f"--margin {margin:g} can hardly be met with {num_test:,} test images and "
                f"{seeds} seeds: expect intervals of about ±{half_width:.2g}"
            )
        case TimeLimitReached(left, path):
            state = f"{plural(left, 'pair')} not settled yet" if left else "some runs were left"
            way_on = "; the same command goes on from there" if path else ""
            return f"--time-limit leaves no time for another run: {state}{way_on}"
        case WorkersAwaited(address):
            return f"no worker is connected to {address}; waiting for one (dask worker {address})"
        case NetworkUnusable(model):
            return f"{model} cannot be trained; the others go on"
        case _:
            return None
