"""Choose the fast recipes: python -m tests.benchmarks.tune --data-dir FOLDER [NETWORK...]

Each candidate trains on 50,000 of the training images and is judged on the other 10,000, in the
mean of several seeds. The test images are never looked at. Each result is printed and appended to
tune.log, one JSON document a line.
"""

import json
import statistics
import sys
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from mnist_cli.data import datasets
from mnist_cli.data.dataset import LabelledImages
from mnist_cli.networks import registry
from mnist_cli.networks.building import build
from mnist_cli.networks.complexity import count_operations
from mnist_cli.schema.datasets import DatasetName
from mnist_cli.schema.options import DataOptions
from mnist_cli.schema.protocol import Precision, Protocol
from mnist_cli.training.device import environment, resolve_device
from mnist_cli.training.evaluation import evaluate
from mnist_cli.training.examples import Examples, to_device
from mnist_cli.training.precision import choose_precision
from mnist_cli.training.recipes import one_cycle
from tests.benchmarks.training import train_with_engine

HELD_OUT = 10_000
LOG = Path(__file__).with_name("tune.log")


def grid(*choices: list[Any]) -> list[Protocol]:
    """Every combination of epochs, batch sizes, peak rates, beta2 and dropout factors."""
    names = ("epochs", "batch_size", "lr", "beta2", "dropout")
    return [
        one_cycle(**dict(zip(names, combination, strict=False)))
        for combination in product(*choices)
    ]


CANDIDATES = {
    "mlp": grid([3, 4], [64, 128], [0.01, 0.02], [0.98, 0.999]),
    "tinycnn": grid([1, 2], [64, 128], [0.01, 0.02, 0.04], [0.98]),
    "cnn": grid([1, 2], [64, 128], [0.01, 0.02], [0.98, 0.999]),
    "strongcnn": grid([1], [64, 128], [0.002, 0.004, 0.008], [0.98], [0.0, 1.0]),
}


def run(
    name: str, protocol: Protocol, train: Examples, held_out: Examples, seed: int
) -> tuple[float, float]:
    """Training seconds and accuracy on the held-out images."""
    spec = registry.resolve(name)
    cost, _ = count_operations(name, build(spec, seed))
    device = train.labels.device
    precision = choose_precision(Precision.AUTO, device, cost.mult_adds_per_image).precision
    model, seconds = train_with_engine(spec, protocol, train, seed, precision)
    return seconds, evaluate(model, held_out).test_accuracy


def main(
    networks: Annotated[list[str] | None, typer.Argument()] = None,
    data_dir: Annotated[Path | None, typer.Option(envvar="MNIST_CLI_DATA_DIR")] = None,
    seeds: int = 3,
) -> None:
    device = resolve_device("auto")
    images = datasets.load(DataOptions(DatasetName.MNIST, data_dir), lambda event: None).train
    order = np.random.default_rng(0).permutation(len(images.labels))
    held_out, train = (
        to_device(LabelledImages(images.images[part], images.labels[part]), device)
        for part in (order[:HELD_OUT], order[HELD_OUT:])
    )
    with open(LOG, "a", encoding="utf-8") as log:
        for name in networks or CANDIDATES:
            for protocol in CANDIDATES[name]:
                results = [run(name, protocol, train, held_out, seed) for seed in range(seeds)]
                entry = {
                    "model": name,
                    "protocol": asdict(protocol),
                    "seeds": seeds,
                    "held_out_accuracy": statistics.mean(accuracy for _, accuracy in results),
                    "worst": min(accuracy for _, accuracy in results),
                    "train_seconds": statistics.median(seconds for seconds, _ in results),
                    "environment": asdict(environment(device)),
                }
                log.write(json.dumps(entry) + "\n")
                log.flush()
                p, mean, worst = protocol, entry["held_out_accuracy"], entry["worst"]
                sys.stdout.write(
                    f"{name} epochs {p.epochs} batch {p.batch_size} lr {p.lr} beta2 {p.beta2} "
                    f"dropout x{p.dropout:g}: {mean:.4f} (worst {worst:.4f}) "
                    f"in {entry['train_seconds']:.2f} s\n"
                )
                sys.stdout.flush()


if __name__ == "__main__":
    typer.run(main)
