"""Parsers of option values, and the options that several commands share."""

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from mnist_cli.errors import UsageError, did_you_mean
from mnist_cli.networks.registry import ARGUMENTS, EXAMPLE, MODELS, resolve
from mnist_cli.schema.augmentation import Augmentation, parse_augmentation
from mnist_cli.schema.datasets import DatasetName
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.options import AUTO, MAX_SEED, MAX_THREADS, VAL, DataOptions
from mnist_cli.schema.protocol import (
    MAX_BATCH_SIZE,
    Optimizer,
    Precision,
    Protocol,
    Recipe,
    Schedule,
    Settings,
)

# The panels of --help, in their order.
DATA, TRAINING, SEEDS = "Networks and data", "Training", "Seeds and verdicts"
OPTIMIZER = "Optimizer"
OUTPUT, GATES, EXECUTION = "Output", "Gates for scripts", "Execution"
CHECKPOINTS = "Checkpoints"
data_option = partial(typer.Option, rich_help_panel=DATA)
training_option = partial(typer.Option, rich_help_panel=TRAINING)
optimizer_option = partial(typer.Option, rich_help_panel=OPTIMIZER, show_default="from the recipe")
seeds_option = partial(typer.Option, rich_help_panel=SEEDS)
output_option = partial(typer.Option, rich_help_panel=OUTPUT)
file_option = partial(output_option, metavar="FILE")
gate_option = partial(typer.Option, rich_help_panel=GATES)
execution_option = partial(typer.Option, rich_help_panel=EXECUTION)
checkpoint_option = partial(typer.Option, rich_help_panel=CHECKPOINTS)

DEVICE_FORM = re.compile(r"auto|cpu|mps|xpu|cuda(:\d{1,3})?")
NUMBER = r"([0-9]+\.?[0-9]*)"
DURATION_FORM = re.compile("".join(f"(?:{NUMBER}{unit})?" for unit in "hms"))
MODEL_HELP = f'{", ".join(MODELS)}, "{EXAMPLE}", package.module:Name or path/file.py:Name.'


def complete_model(incomplete: str) -> list[str]:
    """Shell completion of registered names, and after `cnn(` of a first argument."""
    calls = [f"{name}({key}=" for name, keys in ARGUMENTS.items() for key in keys]
    names = calls if "(" in incomplete else MODELS
    return [name for name in names if name.startswith(incomplete.lower())]


def number(
    rules: Mapping[str, Callable[[Any], bool]],
    convert: Callable[[str], Any] = float,
    kind: str = "a number",
) -> Callable[[str], Any]:
    """Return a parser of numbers that fulfil all rules; the keys say what they must be.

    This parser and the others raise ValueError with a message for the user.
    """

    def parse(text: str) -> Any:
        try:
            value = convert(text)
        except ValueError:
            raise ValueError(f"'{text}' is not {kind}") from None
        for description, is_fulfilled in rules.items():
            if not is_fulfilled(value):
                raise ValueError(f"must be {description}, not {text}")
        return value

    return parse


def whole_number(least: int, most: float = math.inf) -> Callable[[str], int]:
    """Return a parser of whole numbers from `least` to `most`."""
    range_ = f"{least} or more" if most == math.inf else f"from {least} to {most:.0f}"
    return number({range_: lambda value: least <= value <= most}, int, "a whole number")


positive_number = number({"a positive number": lambda value: 0 < value < math.inf})
number_from_0 = number({"0 or more": lambda value: 0 <= value < math.inf})
fraction = number({"a fraction from 0 to 1": lambda value: 0 <= value <= 1})
fraction_below_1 = number(
    {"a fraction from 0 to 1": lambda value: 0 <= value <= 1, "below 1": lambda value: value < 1}
)
positive_fraction = number(
    {
        "a positive number": lambda value: 0 < value < math.inf,
        "a fraction, 1 at most": lambda value: value <= 1,
    }
)
seed = number(
    {"0 or more": lambda value: value >= 0, "below 2**63": lambda value: value <= MAX_SEED},
    int,
    "a whole number",
)


def dataset(text: str) -> DatasetName | Path:
    """Parse the name of a published dataset, in any case; anything else is a path."""
    if not text:
        raise ValueError("name a dataset, a folder or a file")
    if text.lower() in list(DatasetName):
        return DatasetName(text.lower())
    return Path(os.path.expanduser(text))  # noqa: PTH111 - Path fails for an unknown user


def number_of_images(text: str) -> float:
    """Parse a number of images, a fraction below 1 of them, or `val`, as VAL."""
    if text.lower() == "val":
        return VAL
    value: float = positive_number(text)
    if (value > 1 and not text.isdecimal()) or text == "1.0":
        raise ValueError(f"'{text}' is neither a number of images nor a fraction below 1")
    return value


def duration(text: str) -> float:
    """Parse `90`, `90s`, `10m` or `1h30m` as seconds; `1h30` is ambiguous and refused."""
    is_number = re.fullmatch(NUMBER, text)
    match = DURATION_FORM.fullmatch(f"{text}s" if is_number else text.lower())
    hours, minutes, seconds = map(float, match.groups("0")) if match else (0.0, 0.0, 0.0)
    total = hours * 3600 + minutes * 60 + seconds
    if not 0 < total < math.inf:
        raise ValueError(f"'{text}' is not a time such as 90s, 10m or 1h30m")
    return total


def number_or_auto(most: int) -> Callable[[str], int]:
    """Return a parser of `auto`, as AUTO, and of numbers from 1 to `most`."""

    def parse(value: str | int) -> int:  # the default value is an int
        text = str(value)
        if text.lower() == "auto":
            return AUTO
        if not text.isdecimal() or not 0 < int(text) <= most:
            raise ValueError(f"'{text}' is neither auto nor a number from 1 to {most}")
        return int(text)

    return parse


def device_name(text: str) -> str:
    """Parse the name of a device, which this machine may not have."""
    name = text.lower()
    if not DEVICE_FORM.fullmatch(name):
        raise ValueError(f"'{text}' is not one of auto, cpu, cuda, cuda:N, mps, xpu")
    return name


def data_options(
    dataset: DatasetName | Path,
    data_dir: Path | None,
    *,
    hold_out: float | None = None,
    as_digits: bool = False,
) -> DataOptions:
    """Combine options; raises UsageError if the path does not exist, or --as-digits lacks one."""
    if isinstance(dataset, Path) and not dataset.exists():
        names, hint = ", ".join(DatasetName), did_you_mean(str(dataset).lower(), DatasetName)
        raise UsageError(
            f"--dataset {dataset} is neither a file or folder nor one of {names}{hint}"
        )
    if as_digits and not isinstance(dataset, Path):
        raise UsageError("--as-digits is for your own pictures; name them with --dataset PATH")
    return DataOptions(dataset, data_dir, hold_out, as_digits)


def settings_from(options: Mapping[str, Any]) -> Settings:
    """The settings among the `locals()` of a command; `dropout` is an option of --vary alone."""
    names = {field.name for field in fields(Settings)} - {"dropout"}
    return Settings(**{name: options[name] for name in names})


model_argument = partial(
    typer.Argument, parser=resolve, metavar="MODEL", autocompletion=complete_model
)
CheckpointFile = Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="A file from train.")]
RAW_HELP = "Do not convert pictures: they have 28x28 pixels, light on dark."
Raw = Annotated[bool, data_option("--raw", help=RAW_HELP)]

Dataset = Annotated[
    Path,
    data_option(
        parser=dataset,
        metavar="DATA",
        help="auto, mnist, mnist5k, fashion-mnist, kmnist, or your own: a folder of class folders, "
        "or FILE.npz. auto is the checkpoint's, else MNIST if it is on disk or downloads quickly, "
        "else mnist5k.",
    ),
]
AsDigits = Annotated[
    bool,
    data_option(
        "--as-digits",
        help="Convert your own pictures to MNIST's form, as predict does.",
    ),
]
DataDir = Annotated[
    Path | None,
    data_option(
        envvar="MNIST_CLI_DATA_DIR",
        metavar="FOLDER",
        readable=False,  # reading it gives a better message
        help="Folder that contains MNIST/raw, in torchvision's layout.",
        show_default="the user cache",
    ),
]

RecipeOption = Annotated[
    Recipe,
    training_option(
        "--recipe",
        case_sensitive=False,
        metavar="NAME",
        help="article or fast. fast reaches the article's accuracy in fewer steps. "
        "Other options override it.",
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
        help="Learning rate, or its peak if it changes.",
        show_default=f"from the recipe: {Protocol.lr}; 0.01 for SGD",
    ),
]
OptimizerOption = Annotated[
    Optimizer | None,
    optimizer_option(
        "--optimizer",
        case_sensitive=False,
        metavar="NAME",
        help="adam, adamw or sgd.",
        show_default=str(Protocol.optimizer),
    ),
]
Momentum = Annotated[
    float | None,
    optimizer_option(
        parser=fraction_below_1, metavar="NUMBER", help="Momentum of SGD.", show_default="0.9"
    ),
]
Nesterov = Annotated[
    bool | None, optimizer_option("--nesterov", help="Use Nesterov's momentum.", show_default=False)
]
WeightDecay = Annotated[
    float | None,
    optimizer_option(
        parser=number_from_0,
        metavar="NUMBER",
        help="Weight decay: L2 regularisation, or decoupled with adamw.",
        show_default="0; 0.01 for adamw",
    ),
]
ScheduleOption = Annotated[
    Schedule | None,
    optimizer_option(
        "--schedule",
        case_sensitive=False,
        metavar="NAME",
        help="How the learning rate changes: constant; one-cycle, which falls linearly to zero; or "
        "cosine.",
    ),
]
Warmup = Annotated[
    float | None,
    optimizer_option(
        parser=fraction_below_1,
        metavar="FRACTION",
        help="Part of all steps in which the learning rate rises from zero.",
        show_default="0; 0.3 for one-cycle",
    ),
]
ShufflePixels = Annotated[
    bool | None,
    data_option(
        "--shuffle-pixels",
        help="Put the pixels of all images in one random order.",
        show_default=False,
    ),
]
HoldOut = Annotated[
    float | None,
    data_option(
        parser=number_of_images,
        metavar="N|val",
        help="Use this many training images, or a fraction, or your own val images for validation "
        "instead of the test images.",
    ),
]
Augment = Annotated[
    Augmentation | None,
    data_option(
        parser=parse_augmentation,
        metavar="KINDS",
        help="Change training images at random, by at most shift=PIXELS, rotate=DEGREES, "
        "scale=FRACTION and shear=DEGREES; elastic=ALPHA bends them, and erase=PROBABILITY "
        "blackens a rectangle.",
        show_default="none",
    ),
]

seed_option = partial(typer.Option, parser=seed, metavar="N")
SEED_HELP = "A seed decides the initial weights and the order of images."

Json = Annotated[bool, output_option("--json", help="Print one JSON document instead of tables.")]
Quiet = Annotated[
    bool, output_option("--quiet", "-q", help="No progress and no notices on standard error.")
]
min_accuracy_option = partial(gate_option, parser=fraction, metavar="FRACTION")
MinAccuracy = Annotated[
    float | None,
    min_accuracy_option(help="Exit with code 3 if the test accuracy is lower, e.g. 0.97."),
]

Device = Annotated[
    str,
    execution_option(
        parser=device_name, metavar="DEVICE", help="auto, cpu, cuda, cuda:N, mps or xpu."
    ),
]
PrecisionOption = Annotated[
    Precision,
    execution_option(
        case_sensitive=False,
        metavar="FORMAT",
        help="auto, fp32 or bf16. auto is bf16 for a large network where the device supports it.",
    ),
]
threads_option = partial(
    execution_option,
    parser=whole_number(1, MAX_THREADS),
    metavar="N",
    help="CPU threads per run; a different number changes results slightly.",
)
CODE_HELP = "Code of a checkpoint's custom network, path/file.py:Name."
code_option = partial(checkpoint_option, "--model", parser=resolve, metavar="CODE")
Code = Annotated[ModelSpec | None, code_option(help=CODE_HELP)]
