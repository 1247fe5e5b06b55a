"""How long until the question is answered? python -m tests.benchmarks.verdicts --data-dir FOLDER

First the article's six verdicts: `compare --recipe fast --seeds auto --jobs auto`, a process from a
cold start to its exit, against the article's loop that trains each of its four networks once, for
five epochs. An epoch of the loop is timed before and after the process, so that a machine that
drifts counts for both.

Then scheduling alone: workers that do nothing settle the pairs of eight networks.
"""

import json
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from mnist_cli.data import datasets
from mnist_cli.execution import answers
from mnist_cli.networks.registry import MODELS
from mnist_cli.schema.comparison import SETTLED, CompareResult, Settling
from mnist_cli.schema.datasets import DatasetName
from mnist_cli.schema.options import (
    CompareOptions,
    DataOptions,
    Entry,
    ExecutionOptions,
)
from mnist_cli.schema.protocol import Protocol
from mnist_cli.workflows.compare_networks import compare_networks
from tests.benchmarks.parallel import nothing
from tests.benchmarks.rivals import Rival, write_folder
from tests.benchmarks.training import describe_machine

ARTICLE_EPOCHS = 5
COMMAND = ("compare", "--recipe", "fast", "--seeds", "auto", "--jobs", "auto", "--dataset", "mnist")
RATES = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128)  # `nothing` tells them apart


def main(
    data_dir: Annotated[Path, typer.Option(envvar="MNIST_CLI_DATA_DIR")],
    rounds: Annotated[int, typer.Option(min=0, help="Comparisons to time.")] = 1,
) -> None:
    """Time the article's verdicts, and scheduling with several numbers of workers."""
    data = DataOptions(DatasetName.MNIST, data_dir)
    table = Table(
        *("article", "verdicts", "ratio", "settled", "runs", "jobs", "training", "first run"),
        title=f"Seconds to the article's verdicts ({describe_machine(torch.device('cpu'))})",
    )
    for _ in range(rounds):
        before = article_seconds(data)
        seconds, first, result = compare_once(data_dir)
        article = statistics.mean((before, article_seconds(data)))
        table.add_row(*row(article, seconds, first, result))
    Console(width=110).print(table)
    for workers in (2, 4, 8):
        sys.stdout.write(f"{schedule(data, workers)}\n")


def article_seconds(data: DataOptions) -> float:
    """Five times an epoch of each of the article's networks in its own loop."""
    train = datasets.load(data, lambda event: None).train
    total = 0.0
    with TemporaryDirectory() as name, ExitStack() as stack:
        write_folder(Path(name), train)
        for network in MODELS:
            rival = stack.enter_context(Rival("article", Path(name), network, torch.device("cpu")))
            total += ARTICLE_EPOCHS * rival.train_epoch()
            sys.stderr.write(f"article: {network}\n")
    return total


def compare_once(data_dir: Path) -> tuple[float, float, dict[str, Any]]:
    """The seconds of the command, those until its first run was finished, and its result."""
    with TemporaryDirectory() as folder:
        journal = Path(folder) / "runs.jsonl"
        files = ("--data-dir", str(data_dir.resolve()), "--journal", str(journal), "--json")
        started, first = time.perf_counter(), 0.0
        with subprocess.Popen(
            [sys.executable, "-m", "mnist_cli", *COMMAND, *files], stdout=subprocess.PIPE
        ) as process:
            while not first and process.poll() is None:
                time.sleep(0.05)
                if journal.exists() and journal.read_bytes().count(b"\n") > 1:
                    first = time.perf_counter() - started
            out, _ = process.communicate()
        seconds = time.perf_counter() - started
        if process.returncode:
            sys.exit("error: the comparison failed: its own message is above")
        return seconds, first, json.loads(out)


def row(article: float, seconds: float, first: float, result: dict[str, Any]) -> list[str]:
    """The figures of one comparison; `training` is the share of all jobs' time."""
    runs = [run for model in result["models"] for run in model["runs"]]
    jobs = max(run["runs_at_once"] for run in runs)
    settled = sum(verdict["outcome"] in SETTLED for verdict in result["verdicts"])
    trained = sum(run["train_seconds"] for run in runs)
    return [
        f"{article:.0f}",
        f"{seconds:.0f}",
        f"{seconds / article:.2f}",
        f"{settled} of {len(result['verdicts'])}",
        str(len(runs)),
        str(jobs),
        f"{trained / jobs / seconds:.0%}",
        f"{first:.1f}",
    ]


def schedule(data: DataOptions, workers: int) -> str:
    """How many runs a second and verdicts a minute come from workers that do nothing."""
    answers.make_ask = lambda: nothing
    with TemporaryDirectory() as folder:
        options = CompareOptions(
            tuple(Entry(MODELS["mlp"], Protocol(lr=rate), varied={"lr": rate}) for rate in RATES),
            data,
            device="cpu",
            settle=Settling(max_seeds=80),
            journal=Path(folder) / "runs.jsonl",
            execution=ExecutionOptions(jobs=workers, threads=1),
        )
        seen: list[tuple[float, CompareResult]] = [
            (time.perf_counter(), result)
            for result in compare_networks(options, lambda event: None)
        ]
    (begun, _), (ended, last) = seen[1], seen[-1]
    runs = sum(len(model.runs) for model in last.models)
    settled = sum(verdict.outcome in SETTLED for verdict in last.verdicts)
    return (
        f"{workers} workers that do nothing: {runs / (ended - begun):.0f} runs a second, "
        f"{60 * settled / (ended - begun):.0f} verdicts a minute ({settled} of "
        f"{len(last.verdicts)} pairs settled, {runs} runs)"
    )


if __name__ == "__main__":
    typer.run(main)
