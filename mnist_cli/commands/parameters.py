"""The parameters of the command line that several commands share: form, name and help."""

from pathlib import Path
from typing import Annotated

import typer

from mnist_cli import registry
from mnist_cli.config import DatasetName, Precision, Protocol, Recipe

MODEL_HELP = "mlp, tinycnn, cnn, strongcnn, package.module:Name or path/file.py:Name."


def complete_model(incomplete: str) -> list[str]:
    """Shell completion of registered names."""
    return [name for name in registry.MODELS if name.startswith(incomplete.lower())]


Model = Annotated[
    str, typer.Argument(metavar="MODEL", help=MODEL_HELP, autocompletion=complete_model)
]
OptionalModel = Annotated[
    str | None,
    typer.Argument(
        metavar="[MODEL]", help=f"{MODEL_HELP} All if omitted.", autocompletion=complete_model
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MODELS]...",
        help=f"{MODEL_HELP} All if omitted. Or checkpoints, FILE.safetensors.",
        autocompletion=complete_model,
    ),
]
Code = Annotated[
    str | None,
    typer.Option("--model", metavar="TARGET", help="The code of a checkpoint's custom network."),
]
Codes = Annotated[
    list[str] | None,
    typer.Option(
        "--model", metavar="TARGET", help="The code of a checkpoint's custom network; repeatable."
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
        readable=False,  # looked at where it is read, with a better message
        help="Folder with MNIST/raw in it, as torchvision has it.",
        show_default="the user cache",
    ),
]
Device = Annotated[
    str,
    typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:N, mps or xpu.", parser=str.lower),
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        case_sensitive=False,
        metavar="FORMAT",
        help="auto, fp32 or bf16. auto is bf16 for a large network where the device has it.",
    ),
]
RecipeOption = Annotated[
    Recipe,
    typer.Option(
        "--recipe",
        case_sensitive=False,
        metavar="NAME",
        help="article or fast. fast needs fewer steps for the article's accuracy; "
        "--epochs, --batch-size and --lr override either.",
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        help="Passes over the training images.", show_default=f"{Protocol.epochs}, or the recipe's"
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        help="Images in a training step.", show_default=f"{Protocol.batch_size}, or the recipe's"
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        help="Adam's learning rate, or its peak.", show_default=f"{Protocol.lr}, or the recipe's"
    ),
]
Seed = Annotated[int, typer.Option(help="Decides the first weights and the order of images.")]
MinAccuracy = Annotated[
    float | None,
    typer.Option(
        metavar="FRACTION", help="Exit with code 3 if the test accuracy is lower, e.g. 0.97."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress and no notices on standard error.")
]
