"""What a person would otherwise pick: Lightning, as its own introduction uses it."""

import time
import warnings
from logging import ERROR, getLogger

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer
from torch.utils.data import DataLoader

from mnist_cli.config import Protocol
from tests.benchmarks.loops import Images


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


def train_epoch_with_lightning(network: nn.Module, images: Images, device: torch.device) -> float:
    """One epoch of a new Trainer; returns the seconds of `fit`, as train_epoch does of its loop."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        getLogger(name).setLevel(ERROR)
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator=device.type,
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = DataLoader(images, batch_size=Protocol.batch_size, shuffle=True)
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its advice on workers, which the article's loop has not
        trainer.fit(Classifier(network), loader)
    return time.perf_counter() - started
