"""What a person would otherwise pick: Lightning, as its own introduction uses it.

Run as tests.benchmarks.article is.
"""

import time
import warnings
from collections.abc import Callable
from logging import ERROR, getLogger

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST

from mnist_cli.schema.protocol import Protocol
from tests.benchmarks.article import EpochTrainer, serve


class Classifier(lightning.LightningModule):
    """A network with its loss and its optimizer."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
        images, labels = batch
        return F.cross_entropy(self.network(images), labels)

    def configure_optimizers(self) -> Optimizer:
        return Adam(self.parameters(), lr=Protocol.lr)


def peer(images: MNIST, network: Callable[[], nn.Module], device: torch.device) -> EpochTrainer:
    """Each epoch is that of a new Trainer; its seconds are those of `fit`."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        getLogger(name).setLevel(ERROR)
    warnings.simplefilter("ignore")  # its advice on workers, which the article's loop has not
    model = Classifier(network())
    loader = DataLoader(images, batch_size=Protocol.batch_size, shuffle=True)

    def train_epoch() -> float:
        trainer = lightning.Trainer(
            max_epochs=1,
            accelerator=device.type,
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        started = time.perf_counter()
        trainer.fit(model, loader)
        return time.perf_counter() - started

    return train_epoch


if __name__ == "__main__":
    serve(peer)
