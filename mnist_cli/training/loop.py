"""The training loop: a generator of epochs that times only the training steps.

All images are one tensor on the device, and a batch is an index into it, so that no Python code
runs for each image. Augmentation is a part of training and of its time. On a CPU, faster layers
replace some of the network's (fast_layers.py); on CUDA, its step is recorded and replayed
(cuda_graph.py).

Seed and epoch decide all random numbers: an interruption or an evaluation between epochs does not
change the weights.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnist_cli.errors import MnistCliError
from mnist_cli.networks.building import seed_all
from mnist_cli.networks.isolation import running
from mnist_cli.schema.protocol import Protocol, Schedule
from mnist_cli.schema.results import EpochResult, Evaluation
from mnist_cli.training.augmentation import augment
from mnist_cli.training.cuda_graph import capture_on, record
from mnist_cli.training.device import synchronize
from mnist_cli.training.examples import derived_seed, prepare, shuffle
from mnist_cli.training.fast_layers import exchange_layers, is_faithful, scale_dropout
from mnist_cli.training.state import Step, Training, make_step

PROGRESS_SECONDS = 0.25

OnStep = Callable[[int, int, int], None]
"""Called a few times a second with (epoch, steps done, steps of an epoch)."""


@dataclass
class FittedEpoch:
    """An epoch, counted from 1, that is trained but not evaluated."""

    epoch: int
    train_loss: float = math.nan
    train_seconds: float = 0.0
    cpu_seconds: float = 0.0
    """The CPU time of all threads of the process."""

    @contextmanager
    def timing(self, device: torch.device) -> Iterator[None]:
        """Add the time in the context, until the device has finished the work."""
        synchronize(device)
        cpu_started = time.process_time()
        started = time.perf_counter()
        yield
        synchronize(device)
        self.train_seconds += time.perf_counter() - started
        self.cpu_seconds += time.process_time() - cpu_started

    def judged(self, evaluation: Evaluation) -> EpochResult:
        """Add the evaluation on the test images."""
        return EpochResult(
            epoch=self.epoch,
            train_loss=self.train_loss,
            test_loss=evaluation.test_loss,
            test_accuracy=evaluation.test_accuracy,
            train_seconds=self.train_seconds,
        )


def fit(
    training: Training, first_epoch: int = 1, on_step: OnStep | None = None
) -> Iterator[FittedEpoch]:
    """Train a network in place from `first_epoch` on; yield after each epoch, for an evaluation.

    The time of an epoch is that of the augmentation and of the steps. A warm-up step before the
    first epoch keeps one-time costs out of it. Each epoch sets the global random states.

    Raises:
        MnistCliError: the network's code failed, or the loss is infinite or NaN; the message names
            the epoch.
    """
    model, protocol = training.model, training.protocol
    with running(model, "the network failed in its first step"):
        images = training.images[: protocol.batch_size]
        fast = training.device.type == "cpu" and is_faithful(model, images)
        layers = exchange_layers if fast else nullcontext
        with layers(model):
            _warm_up(training)
        step = _make_fastest_step(training)
    report = _throttle(on_step) if on_step else None
    for epoch in range(first_epoch, protocol.epochs + 1):
        order = shuffle(len(training.examples.labels), training.seed, epoch).to(training.device)
        seed_all(derived_seed(training.seed, epoch, "network"))
        training.optimizer.clear_gradients()
        fitted = FittedEpoch(epoch)
        if protocol.augment:
            with fitted.timing(training.device):
                _augment(training, epoch)
        isolation = running(model, f"the network failed in epoch {epoch}")
        with isolation, scale_dropout(model, protocol.dropout), layers(model):
            model.train()
            with fitted.timing(training.device):
                losses = _take_steps(training, step, order, epoch, report)
        fitted.train_loss = _mean_loss(losses, order, protocol.batch_size, epoch)
        yield fitted


def learning_rate(protocol: Protocol, progress: float) -> float:
    """The learning rate after the fraction `progress`, from 0 to 1, of all steps."""
    lr, warmup = protocol.lr, protocol.warmup
    if progress < warmup:
        return lr * progress / warmup
    if protocol.schedule == Schedule.CONSTANT:
        return lr
    if protocol.schedule == Schedule.COSINE:
        return lr * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup))) / 2
    return lr * (1 - progress) / (1 - warmup)


def _make_fastest_step(training: Training) -> Step:
    """Make the step, which replays a recording if the device and the network allow it."""
    step = make_step(training)
    capture = capture_on(training.device)
    if capture is None:
        return step
    training.model.train()
    batch_size = min(training.protocol.batch_size, len(training.examples.labels))
    batch = torch.arange(batch_size, device=training.device)
    with scale_dropout(training.model, training.protocol.dropout):
        return record(step, training, batch, capture)


def _augment(training: Training, epoch: int) -> None:
    """Make the images of one epoch; outside of the network's own torch settings."""
    protocol, images = training.protocol, training.images
    augment(training.examples.images, protocol.augment, training.seed, epoch, images)
    images.copy_(prepare(images, protocol))


def _take_steps(
    training: Training, step: Step, order: Tensor, epoch: int, report: OnStep | None
) -> list[Tensor]:
    """Take all steps of one epoch, and return their losses."""
    protocol = training.protocol
    batches = order.split(protocol.batch_size)
    losses: list[Tensor] = []
    for done, batch in enumerate(batches):
        progress = (epoch - 1 + (done + 0.5) / len(batches)) / protocol.epochs
        losses.append(step(batch, learning_rate(protocol, progress)))
        if report:
            report(epoch, done + 1, len(batches))
    return losses


def _throttle(on_step: OnStep) -> OnStep:
    """Return a function that calls `on_step` every PROGRESS_SECONDS at most."""
    reported = time.perf_counter()

    def report(epoch: int, done: int, steps: int) -> None:
        nonlocal reported
        if time.perf_counter() - reported > PROGRESS_SECONDS:
            on_step(epoch, done, steps)
            reported = time.perf_counter()

    return report


def _warm_up(training: Training) -> None:
    """Do a forward and backward pass without an update; eval mode keeps batch statistics."""
    model, size = training.model, training.protocol.batch_size
    if any(isinstance(module, nn.RNNBase) for module in model.modules()):
        return  # cuDNN has no backward pass for it in eval mode
    model.eval()
    with training.autocast:
        logits = model(training.images[:size])
        F.cross_entropy(logits, training.examples.labels[:size]).backward()
    model.zero_grad()


def _mean_loss(losses: list[Tensor], order: Tensor, batch_size: int, epoch: int) -> float:
    """The mean loss over all images, read once an epoch, because reading waits for the device.

    Raises MnistCliError if the loss of a step is infinite or NaN.
    """
    values = torch.stack(losses).cpu().double()  # .cpu() first, because MPS has no float64
    bad = (~values.isfinite()).nonzero()
    if len(bad):
        step = int(bad[0]) + 1
        untrained = epoch == 1 and step == 1
        raise MnistCliError(
            f"the training loss is not finite at epoch {epoch}, step {step}: this network "
            + ("gives no finite logits" if untrained else "diverged; lower the learning rate")
        )
    sizes = torch.tensor([len(batch) for batch in order.split(batch_size)], dtype=torch.float64)
    return float((values * sizes).sum() / sizes.sum())
