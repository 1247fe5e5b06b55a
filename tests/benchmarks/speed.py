"""How fast is a training step? python -m tests.benchmarks.speed --data-dir FOLDER

Interleaves an epoch of the article's loop and an epoch of the engine, on the same images, with the
same batch size and optimizer, and quotes the median of the ratios of neighbours: a machine that
drifts slows both. The article's loop has a process of its own for each network. The peak is that
of a large matrix product in the same format, measured in every round; a network's operations are
three times its forward pass's.

With --peer, an epoch with Lightning is interleaved too; the extra `bench` installs it.
With --seeds N, the fast recipe is trained with N seeds too, and its time set against five of the
article's epochs.
"""

import json
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from mnist_cli.data import datasets
from mnist_cli.data.dataset import LabelledImages
from mnist_cli.networks import registry
from mnist_cli.networks.building import build
from mnist_cli.networks.complexity import count_operations
from mnist_cli.schema.datasets import DatasetName
from mnist_cli.schema.options import DataOptions
from mnist_cli.schema.protocol import Precision, Protocol, Recipe, Settings
from mnist_cli.training import recipes
from mnist_cli.training.device import environment, resolve_device, synchronize
from mnist_cli.training.evaluation import evaluate
from mnist_cli.training.examples import Examples, to_device
from mnist_cli.training.precision import choose_precision
from tests.benchmarks.rivals import Rival, write_folder
from tests.benchmarks.training import describe_machine, train_with_engine

ARTICLE_EPOCHS = 5
DTYPES = {Precision.FP32: torch.float32, Precision.BF16: torch.bfloat16}


def peak(precision: Precision, device: torch.device, size: int = 2048) -> float:
    """Operations a second of a square matrix product."""
    a = torch.randn(size, size, device=device).to(DTYPES[precision])
    torch.mm(a, a)
    synchronize(device)
    started = time.perf_counter()
    for _ in range(5):
        torch.mm(a, a)
    synchronize(device)
    return 5 * 2 * size**3 / (time.perf_counter() - started)


class Contest:
    """One network in both loops."""

    def __init__(
        self,
        name: str,
        examples: Examples,
        asked: Precision,
        article: Rival,
        lightning: Rival | None,
    ) -> None:
        self.name, self.examples = name, examples
        self.rivals = article, lightning
        self.device = examples.labels.device
        self.spec = registry.resolve(name)
        cost, _ = count_operations(name, build(self.spec, seed=0))
        assert cost.mult_adds_per_image is not None  # known for the article's networks
        self.choice = choose_precision(asked, self.device, cost.mult_adds_per_image)
        self.precision = self.choice.precision
        self.operations = 3 * 2 * cost.mult_adds_per_image * len(examples.labels)
        self.article: list[float] = []
        self.engine: list[float] = []
        self.peer: list[float] = []
        self.peaks: list[float] = []

    def round(self) -> None:
        """An epoch of each, one after the other."""
        article, lightning = self.rivals
        self.article.append(article.train_epoch())
        if lightning:
            self.peer.append(lightning.train_epoch())
        self.peaks.append(peak(self.precision, self.device))
        self.engine.append(self.fit(Protocol(epochs=1), seed=len(self.engine))[1])

    def fit(self, protocol: Protocol, seed: int) -> tuple[torch.nn.Module, float]:
        """Train a new network with the engine; returns it and its training seconds."""
        return train_with_engine(self.spec, protocol, self.examples, seed, self.precision)

    def result(self) -> dict[str, Any]:
        """The figures so far; seconds are for an epoch."""
        ratios = [a / e for a, e in zip(self.article, self.engine, strict=True)]
        shares = [
            self.operations / seconds / top
            for seconds, top in zip(self.engine, self.peaks, strict=True)
        ]
        return {
            "model": self.name,
            "precision": str(self.precision),
            "precision_reason": self.choice.reason,
            "article_seconds": self.article,
            "engine_seconds": self.engine,
            "lightning_seconds": self.peer,
            "ratio": statistics.median(ratios),
            "peak_gflops": statistics.median(self.peaks) / 1e9,
            "share_of_peak": statistics.median(shares),
        }


def main(
    networks: Annotated[list[str] | None, typer.Argument(help="All if omitted.")] = None,
    data_dir: Annotated[Path | None, typer.Option(envvar="MNIST_CLI_DATA_DIR")] = None,
    rounds: Annotated[int, typer.Option(help="Epochs of each loop.")] = 3,
    images: Annotated[int, typer.Option(help="Training images in an epoch.")] = 60_000,
    seeds: Annotated[int, typer.Option(help="Trainings with the fast recipe.")] = 0,
    peer: Annotated[bool, typer.Option("--peer", help="Time Lightning too.")] = False,
    precision: Precision = Precision.AUTO,
    device: str = "auto",
    output: Annotated[Path | None, typer.Option(help="Write the figures as JSON.")] = None,
) -> None:
    """Compare the engine with the article's loop, side by side."""
    place = resolve_device(device)
    data = datasets.load(DataOptions(DatasetName.MNIST, data_dir), lambda event: None)
    train = LabelledImages(data.train.images[:images], data.train.labels[:images])
    examples = to_device(train, place)
    test = to_device(data.test, place)
    fast: dict[str, list[tuple[float, float]]] = {name: [] for name in networks or registry.MODELS}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        write_folder(folder, train)

        def rival(module: str, name: str) -> Rival:
            return stack.enter_context(Rival(module, folder, name, place))

        contests = [
            Contest(
                name,
                examples,
                precision,
                rival("article", name),
                rival("peer", name) if peer else None,
            )
            for name in fast
        ]
        for number in range(max(rounds, seeds)):
            for contest in contests:
                if number < rounds:
                    contest.round()
                if number < seeds:
                    protocol = recipes.protocol_of(Settings(Recipe.FAST), contest.spec)
                    model, seconds = contest.fit(protocol, seed=number)
                    fast[contest.name].append((seconds, evaluate(model, test).test_accuracy))
                sys.stderr.write(f"round {number + 1}: {contest.name}\n")
    results = [contest.result() for contest in contests]
    machine = environment(place)
    show(results, describe_machine(place))
    if seeds:
        show_fast(results, fast)
    if output:
        document = {
            "environment": asdict(machine),
            "images": images,
            "networks": results,
            "fast_seconds_and_accuracy": fast,
        }
        output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def show(results: list[dict[str, Any]], machine: str) -> None:
    """The table of epochs."""
    headers = (
        *("network", "article", "Lightning", "engine", "ratio"),
        *("format", "GFLOP/s", "peak", "share"),
    )
    table = Table(*headers, title=f"Seconds an epoch, medians ({machine})")
    for row in results:
        table.add_row(
            row["model"],
            f"{statistics.median(row['article_seconds']):.2f}",
            f"{statistics.median(row['lightning_seconds']):.2f}"
            if row["lightning_seconds"]
            else "-",
            f"{statistics.median(row['engine_seconds']):.2f}",
            f"{row['ratio']:.2f}x",
            f"{row['precision']}, {row['precision_reason']}",
            f"{row['share_of_peak'] * row['peak_gflops']:.0f}",
            f"{row['peak_gflops']:.0f}",
            f"{row['share_of_peak']:.0%}",
        )
    Console(width=130).print(table)


def show_fast(results: list[dict[str, Any]], fast: dict[str, list[tuple[float, float]]]) -> None:
    """The table of the fast recipe."""
    title = f"Fast recipe, and {ARTICLE_EPOCHS} epochs of the article's loop"
    table = Table("network", "article", "fast", "ratio", "mean accuracy", "worst", title=title)
    article_total = fast_total = 0.0
    for row in results:
        article = ARTICLE_EPOCHS * statistics.median(row["article_seconds"])
        seconds = statistics.median(seconds for seconds, _ in fast[row["model"]])
        accuracies = [accuracy for _, accuracy in fast[row["model"]]]
        article_total, fast_total = article_total + article, fast_total + seconds
        table.add_row(
            row["model"],
            f"{article:.1f} s",
            f"{seconds:.2f} s",
            f"{article / seconds:.1f}x",
            f"{statistics.mean(accuracies):.4f} (n = {len(accuracies)})",
            f"{min(accuracies):.4f}",
        )
    ratio = f"{article_total / fast_total:.1f}x"
    table.add_row("together", f"{article_total:.1f} s", f"{fast_total:.2f} s", ratio, "", "")
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)
