"""The article's loop, as such loops are usually written.

python -m tests.benchmarks.article FOLDER NETWORK DEVICE trains one more epoch for each line on
standard input, once it has said that it is ready, and prints its seconds. FOLDER is in
torchvision's layout. Nothing of the engine is used: this process is what it would be without it.
"""

import sys
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor

from mnist_cli.networks import registry
from mnist_cli.networks.building import build
from mnist_cli.schema.protocol import Protocol

EpochTrainer = Callable[[], float]


def serve(make: Callable[[MNIST, Callable[[], nn.Module], torch.device], EpochTrainer]) -> None:
    """Train an epoch for each line read; `make` gets images, what makes a network, and a device."""
    folder, name, device = sys.argv[1:]
    images = MNIST(folder, train=True, transform=ToTensor())
    network = partial(build, registry.resolve(name), seed=0)
    train_epoch = make(images, network, torch.device(device))
    print("ready", flush=True)  # noqa: T201
    for _ in sys.stdin:
        print(train_epoch(), flush=True)  # noqa: T201


def article(images: MNIST, network: Callable[[], nn.Module], device: torch.device) -> EpochTrainer:
    """The seconds of an epoch include loading, as the article's learning time does."""
    model, criterion = network().to(device), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=Protocol.lr)
    loader = DataLoader(images, batch_size=Protocol.batch_size, shuffle=True)
    # As the engine has it: one-time costs are paid before the clock runs.
    model(torch.rand(Protocol.batch_size, 1, 28, 28, device=device)).sum().backward()

    def train_epoch() -> float:
        started = time.perf_counter()
        model.train()
        total = 0.0
        for batch, labels in loader:
            inputs, targets = batch.to(device), labels.to(device)
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()
            total += loss.item()
        return time.perf_counter() - started

    return train_epoch


if __name__ == "__main__":
    serve(article)
