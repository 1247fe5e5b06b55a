"""How much better a chosen setting looks: python -m tests.benchmarks.optimism --data-dir FOLDER

Ten learning rates are trained with ten seeds each. The best of them is chosen by its mean accuracy
over five of the seeds on a part of the images, and is then judged on the other images: with the
same seeds, and with the other five. The means are over random parts and seeds.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from mnist_cli.data import datasets
from mnist_cli.networks import registry
from mnist_cli.schema.datasets import DatasetName
from mnist_cli.schema.options import DataOptions
from mnist_cli.schema.protocol import Precision, Protocol
from mnist_cli.training.device import resolve_device
from mnist_cli.training.evaluation import predict
from mnist_cli.training.examples import Examples, to_device
from tests.benchmarks.training import train_with_engine

RATES = np.geomspace(0.0005, 0.01, 10)
SEEDS = 10
CHOOSING = SEEDS // 2  # seeds to choose with
SPLITS = 1000
HELD_OUT = 10_000


def find_right(name: str, train: Examples, judged: Examples) -> NDArray[np.bool_]:
    """Which of N `judged` images are right: bool rates × seeds × N."""
    right = [
        [
            predict(
                train_with_engine(
                    registry.resolve(name), Protocol(lr=float(rate)), train, seed, Precision.FP32
                )[0],
                judged.images,
            ).argmax(1)
            == judged.labels
            for seed in range(SEEDS)
        ]
        for rate in RATES
    ]
    return np.array([[row.numpy() for row in rows] for rows in right])


def measure(right: NDArray[np.bool_], chosen_on: int) -> tuple[float, float]:
    """The mean optimism in points over other images, and over other images and seeds."""
    generator = np.random.default_rng(0)
    found = []
    for _ in range(SPLITS):
        images = generator.permutation(right.shape[2])
        seeds = generator.permutation(SEEDS)
        known, new = images[:chosen_on], images[chosen_on:]
        with_seeds, others = right[:, seeds[:CHOOSING]], right[:, seeds[CHOOSING:]]
        accuracies = with_seeds[:, :, known].mean((1, 2))
        best = int(accuracies.argmax())
        found.append(
            accuracies[best]
            - np.array([part[best][:, new].mean() for part in (with_seeds, others)])
        )
    same_seeds, other_seeds = np.mean(found, axis=0) * 100
    return float(same_seeds), float(other_seeds)


def main(
    networks: Annotated[list[str] | None, typer.Argument()] = None,
    data_dir: Annotated[Path | None, typer.Option(envvar="MNIST_CLI_DATA_DIR")] = None,
) -> None:
    device = resolve_device("cpu")
    complete = datasets.load(DataOptions(DatasetName.MNIST, data_dir, HELD_OUT), lambda event: None)
    test = datasets.load(DataOptions(DatasetName.MNIST, data_dir), lambda event: None).test
    small = datasets.load(DataOptions(DatasetName.MNIST5K), lambda event: None)
    new, held_out = to_device(test, device), to_device(complete.test, device)
    both = Examples(
        torch.cat([new.images, held_out.images]), torch.cat([new.labels, held_out.labels])
    )
    for name in networks or ["mlp", "tinycnn"]:
        for dataset, judged, chosen_on in ((small, new, 1000), (complete, both, HELD_OUT)):
            right = find_right(name, to_device(dataset.train, device), judged)
            same_seeds, other_seeds = measure(right, chosen_on)
            typer.echo(
                f"{name}, {dataset.info.num_train:,} training images, chosen on {chosen_on:,}: "
                f"{same_seeds:.3f} points on other images, {other_seeds:.3f} with other seeds too"
            )


if __name__ == "__main__":
    typer.run(main)
