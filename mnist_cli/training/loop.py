"""The training loop: a generator of epochs, with nothing but steps on the clock.

The images lie on the device as one tensor, so that a batch is an index into it and no Python runs
for a single image. While a network trains on a CPU, some of its layers are exchanged for faster
ones (fast_layers.py); on CUDA, its step is recorded and replayed (cuda_graph.py).

All randomness is a function of the seed and the epoch: an interruption or an evaluation between
epochs does not change the weights.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnist_cli.errors import MnistCliError
from mnist_cli.networks.building import seed_all
from mnist_cli.networks.isolation import running
from mnist_cli.schema.protocol import Precision, Protocol, Schedule
from mnist_cli.schema.results import EpochResult, Evaluation
from mnist_cli.training.cuda_graph import capture_on, record
from mnist_cli.training.device import keep_freed, synchronize
from mnist_cli.training.examples import derived_seed, shuffle
from mnist_cli.training.fast_layers import exchange_layers, is_faithful, scale_dropout
from mnist_cli.training.state import Step, Training, make_step

PROGRESS_SECONDS = 0.25

OnStep = Callable[[int, int, int], None]
"""Called a few times a second with (epoch, steps done, steps of an epoch)."""


@dataclass(frozen=True)
class FittedEpoch:
    """An epoch, counted from 1, before its evaluation."""

    epoch: int
    train_loss: float
    train_seconds: float
    cpu_seconds: float
    """The CPU time of all threads of the process."""

    def judged(self, evaluation: Evaluation) -> EpochResult:
        """The epoch with its evaluation on the test images."""
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
    """Train a network in place, from `first_epoch` on, and yield after each epoch.

    The caller may evaluate in between. The clock runs from the first step of an epoch until the
    device has finished the last one; a warm-up step before the first epoch keeps one-time costs out
    of it. Each epoch sets the global random states.

    Raises:
        MnistCliError: the network's code failed, or the loss became infinite or NaN; the message
            names the epoch.
    """
    keep_freed()
    model, protocol = training.model, training.protocol
    with running(model, "the network failed in its first step"):
        images = training.examples.images[: protocol.batch_size]
        fast = training.device.type == "cpu" and is_faithful(model, images)
        layers = exchange_layers if fast else nullcontext
        with layers(model):
            _warm_up(training)
        step = _fastest_step(training)
    report = _throttled(on_step) if on_step else None
    for epoch in range(first_epoch, protocol.epochs + 1):
        order = shuffle(len(training.examples.labels), training.seed, epoch).to(training.device)
        seed_all(derived_seed(training.seed, epoch, "network"))
        training.optimizer.clear_gradients()
        apart = running(model, f"the network failed in epoch {epoch}")
        with apart, scale_dropout(model, protocol.dropout), layers(model):
            model.train()
            losses, *seconds = _timed_epoch(training, step, order, epoch, report)
        yield FittedEpoch(epoch, _mean_loss(losses, order, protocol.batch_size, epoch), *seconds)


def learning_rate(protocol: Protocol, progress: float) -> float:
    """The learning rate after the fraction `progress`, from 0 to 1, of all steps."""
    if protocol.schedule == Schedule.CONSTANT:
        return protocol.lr
    if progress < protocol.warmup:
        return protocol.lr * progress / protocol.warmup
    return protocol.lr * (1 - progress) / (1 - protocol.warmup)


def _fastest_step(training: Training) -> Step:
    """The step, recorded if the device and the network allow it."""
    step = make_step(training)
    capture = capture_on(training.device)
    if capture is None:
        return step
    training.model.train()
    batch_size = min(training.protocol.batch_size, len(training.examples.labels))
    batch = torch.arange(batch_size, device=training.device)
    with scale_dropout(training.model, training.protocol.dropout):
        return record(step, training, batch, capture)


def _timed_epoch(
    training: Training, step: Step, order: Tensor, epoch: int, report: OnStep | None
) -> tuple[Tensor, float, float]:
    """Take all steps of one epoch; return the loss of each, the seconds and the CPU seconds."""
    protocol = training.protocol
    batches = order.split(protocol.batch_size)
    losses: list[Tensor] = []
    synchronize(training.device)
    cpu_started = time.process_time()
    started = time.perf_counter()
    for done, batch in enumerate(batches):
        progress = (epoch - 1 + (done + 0.5) / len(batches)) / protocol.epochs
        losses.append(step(batch, learning_rate(protocol, progress)))
        if report:
            report(epoch, done + 1, len(batches))
    synchronize(training.device)
    seconds = time.perf_counter() - started
    return torch.stack(losses), seconds, time.process_time() - cpu_started


def _throttled(on_step: OnStep) -> OnStep:
    """Pass on a call every PROGRESS_SECONDS, however short the epochs are."""
    reported = time.perf_counter()

    def report(epoch: int, done: int, steps: int) -> None:
        nonlocal reported
        if time.perf_counter() - reported > PROGRESS_SECONDS:
            on_step(epoch, done, steps)
            reported = time.perf_counter()

    return report


def _warm_up(training: Training) -> None:
    """One forward and backward pass without an update; in eval mode, batch statistics stay too."""
    model, size = training.model, training.protocol.batch_size
    if any(isinstance(module, nn.RNNBase) for module in model.modules()):
        return  # cuDNN has no backward pass for it in eval mode
    bf16 = training.precision == Precision.BF16
    model.eval()
    with torch.autocast(training.device.type, torch.bfloat16, enabled=bf16):
        logits = model(training.examples.images[:size])
        F.cross_entropy(logits, training.examples.labels[:size]).backward()
    model.zero_grad()


def _mean_loss(losses: Tensor, order: Tensor, batch_size: int, epoch: int) -> float:
    """The mean loss over all images; raises MnistCliError if a step's is infinite or NaN.

    It is read once an epoch, because reading waits for the device.
    """
    values = losses.cpu().double()  # in this order: MPS has no float64
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
