"""The two contestants: the article's loop, as such loops are usually written, and the engine."""

import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import ToTensor

from mnist_cli import engine
from mnist_cli.config import Precision, Protocol
from mnist_cli.engine import Examples
from mnist_cli.registry import ModelSpec


class Images(Dataset[tuple[torch.Tensor, int]]):
    """As torchvision.datasets.MNIST: a PIL image, transformed when it is asked for."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
        self.images, self.labels, self.transform = torch.tensor(images), labels, ToTensor()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        image = Image.fromarray(self.images[index].numpy())
        return self.transform(image), int(self.labels[index])


def train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Images,
    device: torch.device,
    batch_size: int = 64,
) -> float:
    """One epoch; returns its seconds, loading included, as the article's learning time does."""
    criterion, total = nn.CrossEntropyLoss(), 0.0
    started = time.perf_counter()
    model.train()
    for batch, labels in DataLoader(images, batch_size=batch_size, shuffle=True):
        inputs, targets = batch.to(device), labels.to(device)
        optimizer.zero_grad()
        loss = criterion(model(inputs), targets)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return time.perf_counter() - started


def train_with_engine(
    spec: ModelSpec, protocol: Protocol, examples: Examples, seed: int, precision: Precision
) -> tuple[nn.Module, float]:
    """Train a new network; returns it and its training seconds."""
    model = engine.place(engine.build(spec, seed), examples.labels.device)
    optimizer = engine.make_optimizer(model, protocol)
    epochs = engine.fit(model, optimizer, examples, protocol, seed, precision)
    return model, sum(epoch.train_seconds for epoch in epochs)
