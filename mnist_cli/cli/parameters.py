"""The parameters of the command line: name, range and help, once for all commands."""

import math
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mnist_cli.networks.registry import MODELS
from mnist_cli.schema.comparison import LOOKS
from mnist_cli.schema.datasets import NUM_CLASSES, DatasetName, Split
from mnist_cli.schema.options import MAX_JOBS, MAX_SEED, MAX_SEEDS, MAX_THREADS
from mnist_cli.schema.protocol import MAX_BATCH_SIZE, Precision, Protocol, Recipe

# Headings in --help. `compare` takes options under TRAINING, FILES and GATES with networks only,
# and those under CHECKPOINTS with checkpoints only.
TRAINING, FILES, GATES = "Training", "Output files", "Gates for scripts"
CHECKPOINTS = "Checkpoints"
training_option = partial(typer.Option, rich_help_panel=TRAINING)
file_option = partial(typer.Option, rich_help_panel=FILES, metavar="FILE")
gate_option = partial(typer.Option, rich_help_panel=GATES)
checkpoint_option = partial(typer.Option, rich_help_panel=CHECKPOINTS)

DEVICE_FORM = re.compile(r"auto|cpu|mps|xpu|cuda(:\d{1,3})?")
NUMBER = r"([0-9]+\.?[0-9]*)"
DURATION_FORM = re.compile("".join(f"(?:{NUMBER}{unit})?" for unit in "hms"))
MODEL_HELP = f"{', '.join(MODELS)}, package.module:Name or path/file.py:Name."


def complete_model(incomplete: str) -> list[str]:
    """Shell completion of registered names."""
    return [name for name in MODELS if name.startswith(incomplete.lower())]


def positive_number(text: str) -> float:
    """Parse a number above zero; raises ValueError with a message for the command line."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a number") from None
    if not 0 < value < math.inf:
        raise ValueError(f"must be a positive number, not {text}")
    return value


def whole_number(least: int, most: float = math.inf) -> Callable[[str], int]:
    """What parses a whole number from `least` to `most`; raises ValueError like above."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise ValueError(f"'{text}' is not a whole number") from None
        if not least <= value <= most:
            range_ = f"{least} or more" if most == math.inf else f"from {least} to {most:.0f}"
            raise ValueError(f"must be {range_}, not {text}")
        return value

    return parse


def fraction(text: str) -> float:
    """Parse a number from 0 to 1; raises ValueError like above."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a number") from None
    if not 0 <= value <= 1:
        raise ValueError(f"must be a fraction from 0 to 1, not {text}")
    return value


def positive_fraction(text: str) -> float:
    """Parse a number above 0 and up to 1; raises ValueError like above."""
    value = positive_number(text)
    if value > 1:
        raise ValueError(f"must be a fraction, 1 at most, not {text}")
    return value


def duration(text: str) -> float:
    """Parse `90`, `90s`, `10m` or `1h30m` as seconds; raises ValueError like above.

    A number without a unit is seconds only where it stands alone: `1h30` may be meant otherwise.
    """
    lone = re.fullmatch(NUMBER, text)
    match = DURATION_FORM.fullmatch(f"{text}s" if lone else text.lower())
    hours, minutes, seconds = map(float, match.groups("0")) if match else (0.0, 0.0, 0.0)
    total = hours * 3600 + minutes * 60 + seconds
    if not 0 < total < math.inf:
        raise ValueError(f"'{text}' is no time such as 90s, 10m or 1h30m")
    return total


def number_of_jobs(text: str) -> int:
    """Parse a number of jobs, 0 for `auto`; raises ValueError like above."""
    if text.lower() == "auto":
        return 0
    if not text.isdecimal() or not 0 < int(text) <= MAX_JOBS:
        raise ValueError(f"'{text}' is neither auto nor a number from 1 to {MAX_JOBS}")
    return int(text)


def device_name(text: str) -> str:
    """Parse a device; whether the machine has it is asked later. Raises ValueError like above."""
    name = text.lower()
    if not DEVICE_FORM.fullmatch(name):
        raise ValueError(f"'{text}' is not one of auto, cpu, cuda, cuda:N, mps, xpu")
    return name


def within_generators(seed: int) -> int:
    """Refuse a seed that torch's generators do not take; too large a number to show in --help."""
    if seed > MAX_SEED:
        raise typer.BadParameter(f"must be below 2**63, not {seed}")
    return seed


model_argument = partial(typer.Argument, autocompletion=complete_model)
Model = Annotated[str, model_argument(metavar="MODEL", help=MODEL_HELP)]
OptionalModel = Annotated[
    str | None, model_argument(metavar="MODEL", help=f"{MODEL_HELP} All if omitted.")
]
Models = Annotated[
    list[str] | None,
    model_argument(
        metavar="MODELS", help=f"{MODEL_HELP} All if omitted. Or checkpoints, FILE.safetensors."
    ),
]
CheckpointFile = Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="A file from train.")]
Pictures = Annotated[
    list[Path],
    typer.Argument(metavar="IMAGE", help="Pictures, folders of them, or - for standard input."),
]

RecipeOption = Annotated[
    Recipe,
    training_option(
        "--recipe",
        case_sensitive=False,
        metavar="NAME",
        help="article or fast. fast needs fewer steps for the article's accuracy; "
        "--epochs, --batch-size and --lr override either.",
    ),
]
Vary = Annotated[
    list[str] | None,
    training_option(
        metavar="SETTING=VALUES",
        help="Compare settings as well, such as lr=0.001,0.003: recipe, epochs, batch-size, lr, "
        "dropout (a factor on the network's own) or precision. Repeatable: all combinations.",
    ),
]
Epochs = Annotated[
    int | None,
    training_option(
        parser=whole_number(1),
        metavar="N",
        help="Passes over the training images.",
        show_default=f"from the recipe: {Protocol.epochs}",
    ),
]
BatchSize = Annotated[
    int | None,
    training_option(
        parser=whole_number(1, MAX_BATCH_SIZE),
        metavar="N",
        help="Images in a training step.",
        show_default=f"from the recipe: {Protocol.batch_size}",
    ),
]
LearningRate = Annotated[
    float | None,
    training_option(
        parser=positive_number,
        metavar="NUMBER",
        help="Adam's learning rate, or its peak.",
        show_default=f"from the recipe: {Protocol.lr}",
    ),
]
PrecisionOption = Annotated[
    Precision,
    training_option(
        case_sensitive=False,
        metavar="FORMAT",
        help="auto, fp32 or bf16. auto is bf16 for a large network where the device has it.",
    ),
]
Threads = Annotated[
    int | None,
    training_option(
        parser=whole_number(1, MAX_THREADS),
        metavar="N",
        help="CPU threads per run; another number changes results slightly.",
        show_default="all cores, or 1 for each of several jobs",
    ),
]
Jobs = Annotated[
    int | None,
    training_option(
        parser=number_of_jobs,
        metavar="N|auto",
        help="Worker processes that train at the same time; auto is as many as there is room for. "
        "Times are not reported for runs that shared a machine.",
        show_default="1",
    ),
]
Cluster = Annotated[
    str | None,
    training_option(
        metavar="ADDRESS|FILE",
        help="Train on the workers of this Dask scheduler, e.g. tcp://node1:8786.",
    ),
]
RunLimit = Annotated[
    float | None,
    training_option(
        parser=duration,
        metavar="TIME",
        help="Kill a run after this long, e.g. 10m; it counts as failed.",
    ),
]
Resume = Annotated[
    Path | None,
    training_option(metavar="FILE", help="Checkpoint to continue, up to --epochs in all."),
]
Seeds = Annotated[
    int,
    training_option(
        parser=whole_number(1, MAX_SEEDS),
        metavar="N",
        help="Runs of each network, from --seed on; 5 or more tell close networks apart.",
    ),
]
UntilSettled = Annotated[
    bool,
    training_option(
        "--until-settled",
        help="Add seeds until each pair has a verdict; gives up on pairs that --max-seeds is "
        "unlikely to decide.",
    ),
]
MaxSeeds = Annotated[
    int,
    training_option(
        parser=whole_number(LOOKS[0], LOOKS[-1]),
        metavar="N",
        help=f"Most runs of each network with --until-settled, which looks at pairs after "
        f"{', '.join(map(str, LOOKS))}.",
    ),
]
TimeLimit = Annotated[
    float | None,
    training_option(
        parser=duration,
        metavar="TIME",
        help="Stop --until-settled after about this long, e.g. 90s, 10m or 1h30m.",
    ),
]
Margin = Annotated[
    float | None,
    training_option(
        parser=positive_fraction,
        metavar="FRACTION",
        help="Call networks equivalent whose accuracies differ by less, e.g. 0.002.",
    ),
]
Target = Annotated[
    float | None,
    training_option(
        parser=fraction,
        metavar="FRACTION",
        help="Train each network until it has this test accuracy, and rank by time.",
    ),
]
JournalFile = Annotated[
    Path | None,
    training_option(
        metavar="FILE",
        help="Keep finished runs in FILE; the same command goes on from there.",
        show_default="a new one in the user state folder",
    ),
]

FromExports = Annotated[
    bool,
    typer.Option(
        "--from",
        help="The arguments are exports of one comparison with other seeds, a.json b.json: put "
        "them together.",
    ),
]

CheckpointOutput = Annotated[
    Path | None,
    file_option(
        "--output",
        help="Checkpoint to write, after every epoch.",
        show_default="the network's name, e.g. mlp.safetensors",
    ),
]
CurvePlot = Annotated[
    Path | None, file_option("--plot", help="Draw the learning curve in FILE.png, .svg or .pdf.")
]
ExportJson = Annotated[
    Path | None,
    file_option(help="Write all figures as JSON, after each run; - is standard output."),
]
ExportCsv = Annotated[
    Path | None, file_option(help="Write all runs as CSV, after each run; - is standard output.")
]
ExportMarkdown = Annotated[
    Path | None, file_option(help="Write tables as Markdown, after each run; - is standard output.")
]
ExportLatex = Annotated[
    Path | None, file_option(help="Write a table for LaTeX, after each run; - is standard output.")
]
CostPlot = Annotated[
    Path | None,
    file_option(
        "--plot",
        help="Draw accuracy against size and time, and the epochs, in FILE.png, .svg or .pdf.",
    ),
]
ReportFile = Annotated[
    Path | None, file_option("--report", help="Write a self-contained HTML report, FILE.html.")
]
GridOutput = Annotated[
    Path | None, file_option("--output", help="Write a grid to FILE.png, .svg or .pdf instead.")
]

NetworkOutput = Annotated[
    Path, file_option("--output", help="File to write: .onnx, .pt2 or .safetensors.")
]

MinAccuracy = Annotated[
    float | None,
    gate_option(
        parser=fraction,
        metavar="FRACTION",
        help="Exit with code 3 if the test accuracy is lower, or with several seeds significantly "
        "lower, e.g. 0.97.",
    ),
]
MaxSeconds = Annotated[
    float | None,
    gate_option(
        parser=positive_number,
        metavar="SECONDS",
        help="Exit with code 3 if a network's training time is significantly longer.",
    ),
]
BaselineFile = Annotated[
    Path | None,
    gate_option(metavar="FILE", help="Show what changed since this file of --export-json."),
]
FailOnRegression = Annotated[
    bool,
    gate_option(
        "--fail-on-regression",
        help="Exit with code 3 if an accuracy is significantly lower than in --baseline.",
    ),
]

Code = Annotated[
    str | None,
    checkpoint_option(
        "--model", metavar="TARGET", help="The code of a checkpoint's custom network."
    ),
]
Codes = Annotated[
    list[str] | None,
    checkpoint_option(
        "--model", metavar="TARGET", help="The code of a checkpoint's custom network; repeatable."
    ),
]
ShowDisagreements = Annotated[
    bool,
    checkpoint_option(
        "--show-disagreements", help="Draw images that not all checkpoints get right or wrong."
    ),
]
ShownCheckpoint = Annotated[
    Path | None,
    checkpoint_option(
        "--checkpoint", metavar="FILE", help="Show what this network predicts for each image."
    ),
]
Errors = Annotated[
    bool, checkpoint_option("--errors", help="Only images that the network gets wrong.")
]

seed_option = partial(typer.Option, parser=whole_number(0), metavar="N", callback=within_generators)
Seed = Annotated[int, seed_option(help="Decides the first weights and the order of images.")]
ImageSeed = Annotated[int, seed_option(help="Decides which images.")]
SummaryBatchSize = Annotated[
    int,
    typer.Option(
        parser=whole_number(1, MAX_BATCH_SIZE),
        metavar="N",
        help="Images for which operations and memory are counted.",
    ),
]
ImageCount = Annotated[
    int, typer.Option(parser=whole_number(1), metavar="N", help="How many images.")
]
Raw = Annotated[
    bool, typer.Option("--raw", help="Take 28x28 pictures, light on dark, exactly as they are.")
]
SplitOption = Annotated[
    Split | None,
    typer.Option(
        metavar="NAME",
        help="Which images to choose from: train or test.",
        show_default="train; test with --checkpoint",
    ),
]
Label = Annotated[
    int | None,
    typer.Option(
        parser=whole_number(0, NUM_CLASSES - 1),
        metavar="N",
        help="Only images of this class, 0 to 9.",
    ),
]

Dataset = Annotated[
    DatasetName,
    typer.Option(
        case_sensitive=False,
        metavar="NAME",
        help="auto, mnist, mnist5k, fashion-mnist or kmnist. auto is the complete MNIST if it is "
        "on disk or soon fetched, else mnist5k; for a checkpoint, what it was trained on.",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        envvar="MNIST_CLI_DATA_DIR",
        metavar="FOLDER",
        readable=False,  # looked at where it is read, with a better message
        help="Folder with MNIST/raw in it, as torchvision has it.",
        show_default="the user cache",
    ),
]
Device = Annotated[
    str,
    typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:N, mps or xpu.", parser=device_name),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress and no notices on standard error.")
]
