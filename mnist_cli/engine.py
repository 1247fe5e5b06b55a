"""Training and evaluation: tensors in, numbers out, nothing printed.

The images lie on the device as one tensor, so that a step is an index and no Python runs for
a single image. While a network trains on a CPU, some of its layers are exchanged for faster ones;
on CUDA, its step is recorded and replayed.
All randomness is a function of the seed and the epoch: an epoch gives the same weights whether or
not the run was interrupted before it, and whatever was evaluated meanwhile.
"""

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from mnist_cli.config import NUM_CLASSES, Precision, Protocol, Schedule
from mnist_cli.device import synchronize
from mnist_cli.errors import MnistCliError
from mnist_cli.graphs import capture_on, recorded
from mnist_cli.memory import keep_freed
from mnist_cli.registry import ModelSpec, describe, factory
from mnist_cli.results import Evaluation
from mnist_cli.rewrites import dropout_scaled, is_faithful, rewritten
from mnist_cli.steps import make_step

EVALUATION_BATCH = 500
PROGRESS_SECONDS = 0.25

OnStep = Callable[[int, int, int], None]


@dataclass(frozen=True)
class Examples:
    """`images` float32 N×1×28×28 in [0, 1] and `labels` int64 N, on the device."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class FittedEpoch:
    """What training alone tells of an epoch, counted from 1."""

    epoch: int
    train_loss: float
    train_seconds: float


@contextmanager
def naming_failures(what: str) -> Iterator[None]:
    """Turn whatever a network's own code raises into one line that starts with `what`."""
    try:
        yield
    except MnistCliError:
        raise
    except (Exception, SystemExit) as error:
        raise MnistCliError(f"{what}: {describe(error)}") from error


def build(spec: ModelSpec, seed: int) -> nn.Module:
    """Import the code of a network and `instantiate` it; raises MnistCliError as both do."""
    return instantiate(spec.name, factory(spec), seed)


def instantiate(name: str, make: Callable[[], Any], seed: int) -> nn.Module:
    """Make a network with the weights that `seed` gives it, on the CPU, and try it once.

    Args:
        name: what messages call it.
        make: a callable without arguments that returns the network.
        seed: of the random states of torch, numpy and Python, all set anew.

    Raises:
        MnistCliError: it cannot be made, or does not map N×1×28×28 to N×10.
    """
    _seed_all(seed)
    with naming_failures(f"{name} cannot be made"):
        model = make()
    if not isinstance(model, nn.Module):
        raise MnistCliError(f"{name} returned {type(model).__name__}, not an nn.Module")
    with naming_failures(f"{name} failed on a batch of 2x1x28x28 images"), torch.no_grad():
        output = model.eval()(torch.zeros(2, 1, 28, 28))
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if shape != (2, NUM_CLASSES):
        raise MnistCliError(
            f"{name} maps 2x1x28x28 images to {shape}, not to (2, {NUM_CLASSES}) logits"
        )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise MnistCliError(f"{name} has no trainable parameters")
    return model


def count_parameters(model: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def to_device(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], device: torch.device
) -> Examples:
    """Put N×28×28 pixels and N labels on `device`, pixels scaled to [0, 1] as ToTensor does."""
    pixels = torch.tensor(images).to(device)
    return Examples(
        pixels.unsqueeze(1).float().div_(255),
        torch.tensor(labels).to(device, torch.int64),
    )


def place(model: nn.Module, device: torch.device) -> nn.Module:
    """Move `model` to `device`; on a CPU, with convolutions laid out channels last: faster."""
    if device.type == "cpu":
        return model.to(memory_format=torch.channels_last)
    return model.to(device)


def make_optimizer(model: nn.Module, protocol: Protocol) -> Adam:
    """Adam as `protocol` says, in its one-kernel form."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    return Adam(trainable, lr=protocol.lr, betas=(0.9, protocol.beta2), fused=True)


def learning_rate(protocol: Protocol, progress: float) -> float:
    """The rate when the fraction `progress` of all steps, from 0 to 1, is done."""
    if protocol.schedule == Schedule.CONSTANT:
        return protocol.lr
    if progress < protocol.warmup:
        return protocol.lr * progress / protocol.warmup
    return protocol.lr * (1 - progress) / (1 - protocol.warmup)


def fit(
    model: nn.Module,
    optimizer: Adam,
    examples: Examples,
    protocol: Protocol,
    seed: int,
    precision: Precision = Precision.FP32,
    first_epoch: int = 1,
    on_step: OnStep | None = None,
) -> Iterator[FittedEpoch]:
    """Train `model` in place, and yield after each epoch; the caller may evaluate in between.

    The clock runs from the first to the last step of an epoch, and is read when the device has
    finished. A first step, thrown away, keeps one-time costs out of it. The global
    random states are set anew at each epoch.

    Args:
        model: on the device of `examples`.
        optimizer: over the parameters of `model`, with its state so far.
        examples: the training set.
        protocol: epochs and batch size.
        seed: decides the order of the images and what the network itself draws.
        precision: BF16 for autocast to bfloat16; weights, loss and optimizer stay float32.
        first_epoch: where to go on, counted from 1.
        on_step: called a few times a second with (epoch, steps done, steps of an epoch).

    Raises:
        MnistCliError: the network's code failed, or the loss became infinite or NaN; the message
            names the epoch.
    """
    device = examples.labels.device
    steps = -(-len(examples.labels) // protocol.batch_size)
    first = Examples(examples.images[: protocol.batch_size], examples.labels[: protocol.batch_size])
    bf16 = precision == Precision.BF16
    autocast = torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext()
    keep_freed()
    with naming_failures("the network failed in its first step"):
        fast = device.type == "cpu" and is_faithful(model, first.images)
        exchange = rewritten if fast else nullcontext
        with exchange(model), autocast:
            _warm_up(model, first)
        step = make_step(model, optimizer, examples.images, examples.labels, autocast)
        if capture := capture_on(device):
            model.train()
            with dropout_scaled(model, protocol.dropout):
                batch = torch.arange(len(first.labels), device=device)
                step = recorded(step, model, optimizer, batch, capture)
    for epoch in range(first_epoch, protocol.epochs + 1):
        order = shuffled(len(examples.labels), seed, epoch).to(device)
        _seed_all(_stream(seed, epoch, "network"))
        losses: list[Tensor] = []
        optimizer.zero_grad()
        model.train()
        synchronize(device)
        started = reported = time.perf_counter()
        failing = naming_failures(f"the network failed in epoch {epoch}")
        with failing, dropout_scaled(model, protocol.dropout), exchange(model):
            for done, batch in enumerate(order.split(protocol.batch_size)):
                progress = (epoch - 1 + (done + 0.5) / steps) / protocol.epochs
                losses.append(step(batch, learning_rate(protocol, progress)))
                if on_step and time.perf_counter() - reported > PROGRESS_SECONDS:
                    on_step(epoch, done + 1, steps)
                    reported = time.perf_counter()
            synchronize(device)
        seconds = time.perf_counter() - started
        mean_loss = _mean_loss(torch.stack(losses), order, protocol.batch_size, epoch)
        yield FittedEpoch(epoch, mean_loss, seconds)


def shuffled(num_samples: int, seed: int, epoch: int) -> Tensor:
    """The order of the training images in one epoch, the same for every network: int64 N."""
    generator = torch.Generator().manual_seed(_stream(seed, epoch, "order"))
    return torch.randperm(num_samples, generator=generator)


@torch.inference_mode()
def predict(model: nn.Module, images: Tensor) -> Tensor:
    """The logits for N×1×28×28 images, float32 N×10 on the CPU, with `model` in eval mode.

    The batch is always the same, so that the same weights give the same bits.
    """
    model.eval()
    with naming_failures("the network failed in evaluation"):
        batches = [model(batch) for batch in images.split(EVALUATION_BATCH)]
        return torch.cat(batches).float().cpu()


def score(logits: Tensor, labels: Tensor) -> Evaluation:
    """Compare N×10 logits with N labels: exact means over all of them.

    Raises:
        MnistCliError: the loss is infinite or NaN.
    """
    labels = labels.cpu()
    loss = F.cross_entropy(logits.double(), labels).item()
    if not np.isfinite(loss):
        raise MnistCliError("the test loss is not finite: this network diverged; lower --lr")
    pairs = labels * NUM_CLASSES + logits.argmax(1)
    matrix = torch.bincount(pairs, minlength=NUM_CLASSES**2).view(NUM_CLASSES, NUM_CLASSES)
    return Evaluation(
        test_accuracy=int(matrix.trace()) / len(labels),
        test_loss=loss,
        num_samples=len(labels),
        confusion_matrix=tuple(map(tuple, matrix.tolist())),
    )


def evaluate(model: nn.Module, examples: Examples) -> Evaluation:
    """`score` of what `model` predicts for `examples`."""
    return score(predict(model, examples.images), examples.labels)


def _stream(seed: int, epoch: int, purpose: str) -> int:
    """A seed for one purpose in one epoch: hashed, so that no two streams are neighbours."""
    digest = hashlib.sha256(f"{seed}/{epoch}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def _seed_all(seed: int) -> None:
    """Torch's random state, and those that a network's own code may use."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the global one is what is meant
    random.seed(seed)


def _warm_up(model: nn.Module, examples: Examples) -> None:
    """One forward and backward pass that leaves no trace: eval mode spares batch statistics."""
    if any(isinstance(module, nn.RNNBase) for module in model.modules()):
        return  # cuDNN has no backward pass for it in eval mode
    model.eval()
    F.cross_entropy(model(examples.images), examples.labels).backward()
    model.zero_grad()


def _mean_loss(losses: Tensor, order: Tensor, batch_size: int, epoch: int) -> float:
    """The mean over all images; looked at once an epoch, as a look waits for the device."""
    values = losses.cpu().double()  # in this order: MPS has no float64
    bad = (~values.isfinite()).nonzero()
    if len(bad):
        step = int(bad[0]) + 1
        untrained = epoch == 1 and step == 1
        raise MnistCliError(
            f"the training loss is not finite at epoch {epoch}, step {step}: this network "
            + ("gives no finite logits" if untrained else "diverged; lower --lr")
        )
    sizes = torch.tensor([len(batch) for batch in order.split(batch_size)], dtype=torch.float64)
    return float((values * sizes).sum() / sizes.sum())
