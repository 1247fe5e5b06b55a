"""How long do commands take from start to exit?

python -m tests.benchmarks.startup --data-dir FOLDER

Each round starts `python -c "import torch"`, every command and the article's script as processes of
their own, one after the other, so that a machine that drifts slows all of them. The ratios are
medians over the rounds, each to the process of the same round; the first round is not counted.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from mnist_cli.data import datasets
from mnist_cli.schema.datasets import DatasetName
from mnist_cli.schema.options import DataOptions
from tests.benchmarks.rivals import write_folder

EPOCHS = 5
IMPORT, ARTICLE = "import torch", f"the article's script, {EPOCHS} epochs"
TRAINING = f"train mlp --epochs {EPOCHS}"
SCRIPT = Path(__file__).with_name("article_script.py")
ON_EACH_DATASET = (
    f"{TRAINING} --output mlp.safetensors",  # first: the next two read its checkpoint
    "eval mlp.safetensors",
    "show-samples --checkpoint mlp.safetensors",
    "compare mlp tinycnn --epochs 1",
    "compare mlp tinycnn --epochs 1 --seeds 2",
)


def processes(folder: Path) -> dict[str, list[str]]:
    """The command lines by what the table calls them."""
    command = [sys.executable, "-m", "mnist_cli"]
    named = {
        "pass": [sys.executable, "-c", "pass"],
        IMPORT: [sys.executable, "-c", IMPORT],
        "--help": [*command, "--help"],
        "summary": [*command, "summary"],
    }
    for dataset in (DatasetName.MNIST5K, DatasetName.MNIST):
        for line in ON_EACH_DATASET:
            name = f"{line.removesuffix(' --output mlp.safetensors')}, {dataset}"
            named[name] = [*command, *line.split(), "--dataset", dataset]
    return named | {ARTICLE: [sys.executable, str(SCRIPT), str(folder), str(EPOCHS)]}


def seconds_of(command: list[str], folder: Path) -> float:
    """How long a process takes; its output goes to a pipe, as in a script."""
    started = time.perf_counter()
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if finished.returncode:
        sys.exit(f"error: {' '.join(command)} failed: {finished.stderr}")
    return seconds


def main(
    data_dir: Annotated[Path, typer.Option(envvar="MNIST_CLI_DATA_DIR")],
    rounds: Annotated[int, typer.Option(min=1, help="Counted runs of each process.")] = 5,
    output: Annotated[Path | None, typer.Option(help="Write all seconds as JSON.")] = None,
) -> None:
    """Time whole processes, interleaved."""
    train = datasets.load(DataOptions(DatasetName.MNIST, data_dir), lambda event: None).train
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_folder(folder, train)
        os.environ |= {
            "MNIST_CLI_DATA_DIR": str(data_dir.resolve()),
            "MNIST_CLI_STATE_DIR": temporary,
            "PYTHONPATH": str(Path.cwd()),
        }
        times: dict[str, list[float]] = {name: [] for name in processes(folder)}
        for number in range(rounds + 1):
            for name, command in processes(folder).items():
                seconds = seconds_of(command, folder)
                if number:
                    times[name].append(seconds)
            sys.stderr.write(f"round {number} of {rounds}\n")
    show(times)
    if output:
        output.write_text(json.dumps(times, indent=2) + "\n", encoding="utf-8")


def show(times: dict[str, list[float]]) -> None:
    """A row for each process."""
    headers = ("process", "seconds", "min-max", f"/ {IMPORT}", "article / it")
    table = Table(*headers, title=f"From start to exit, medians of {len(times[IMPORT])} rounds")
    for name, seconds in times.items():
        ratio = statistics.median(a / b for a, b in zip(seconds, times[IMPORT], strict=True))
        trains_alike = name == f"{TRAINING}, {DatasetName.MNIST}"
        faster = statistics.median(a / b for a, b in zip(times[ARTICLE], seconds, strict=True))
        table.add_row(
            name,
            f"{statistics.median(seconds):.2f}",
            f"{min(seconds):.2f}-{max(seconds):.2f}",
            f"{ratio:.2f}",
            f"{faster:.1f}" if trains_alike else "",
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    typer.run(main)
