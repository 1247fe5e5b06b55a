"""A training step recorded once and replayed: one launch of a CUDA graph instead of some fifty.

A replay repeats the recorded kernels on the same memory, which is wrong for a network whose steps
differ. So a step is replayed only if a trial shows that this is safe: it can be recorded, three
replays give the losses of three plain steps, and the network's own code neither counts its calls
nor draws random numbers on the host.
"""

import pickle
import random
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from mnist_cli.training.state import Step, Training

TRIALS = 3
TOLERANCE = 1e-2  # relative; two bf16 steps differ by less, a step that does not train by more

Work = Callable[[], None]
"""Computations that read and write the same tensors whenever they are called."""
Capture = Callable[[Work], Work]
"""Records some work, which may run it a few times, and returns what replays the recording."""


def capture_on(device: torch.device) -> Capture | None:
    """How to record work on `device`; None if that is not possible."""
    return partial(_capture_cuda, device) if device.type == "cuda" else None


def record(step: Step, training: Training, batch: Tensor, capture: Capture) -> Step:
    """Record `step`, the step of `training`, if a trial shows that replaying it is safe.

    The trial restores weights, buffers and Adam's state, but not torch's random state. An exception
    of the network's own code in a plain step is passed on.

    Args:
        step: the step to record.
        training: its network is in training mode.
        batch: indices of as many images as a recorded step takes, int64 B on the device.
        capture: records it.

    Returns:
        A step that replays the recording for batches of B images and calls `step` for others, such
        as the shorter last one of an epoch; or `step` itself if replaying is not safe.
    """
    saved = _saved(training)
    static_batch, loss = batch.clone(), batch.new_zeros((), dtype=torch.float32)
    rate = batch.new_full((), training.protocol.lr, dtype=torch.float32)

    def work() -> None:
        loss.copy_(step(static_batch, rate))

    def losses_of(work: Work) -> Tensor:
        _restore(saved)
        torch.manual_seed(0)
        losses = []
        for _ in range(TRIALS):
            work()
            losses.append(loss.clone())
        return torch.stack(losses)

    step(static_batch, training.protocol.lr)  # what fails here is the network's own
    try:
        torch.manual_seed(0)
        before = host_state(training.model, batch.device)
        expected = losses_of(work)
        if host_state(training.model, batch.device) != before:
            return step
        replay = capture(work)
        if not torch.allclose(losses_of(replay), expected, rtol=TOLERANCE):
            return step
    except RuntimeError:  # the step waits for the device, say, which no recording may do
        return step
    finally:
        _restore(saved)
        training.optimizer.clear_gradients()

    def replayed(batch: Tensor, rate_now: float | Tensor) -> Tensor:
        if len(batch) != len(static_batch):
            return step(batch, rate_now)
        static_batch.copy_(batch)
        rate.fill_(rate_now)
        replay()
        return loss.clone()

    return replayed


def host_state(model: nn.Module, device: torch.device) -> bytes:
    """State outside of `device`, which a recording does not see, as bytes to compare.

    It is the numbers among the attributes of the modules, such as a counter of calls, and the
    random states on the host.
    """
    plain = [
        {name: value for name, value in vars(module).items() if isinstance(value, int | float)}
        for module in model.modules()
    ]
    states = [random.getstate(), np.random.get_state()]  # noqa: NPY002 - the global state
    if device.type != "cpu":  # on a CPU, dropout draws from this one
        states.append(torch.get_rng_state().numpy())
    return pickle.dumps((plain, states))


def _capture_cuda(device: torch.device, work: Work) -> Work:
    """Record as torch's notes on CUDA graphs ask: on a side stream, after three runs of it."""
    with torch.cuda.device(device):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                work()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            work()
    return graph.replay


def _saved(training: Training) -> list[tuple[Tensor, Tensor]]:
    """All tensors that a step changes, each with a copy."""
    model, optimizer = training.model, training.optimizer
    tensors = [*model.parameters(), *model.buffers(), *optimizer.state().values()]
    return [(tensor, tensor.detach().clone()) for tensor in tensors]


@torch.no_grad()
def _restore(saved: list[tuple[Tensor, Tensor]]) -> None:
    for tensor, value in saved:
        tensor.copy_(value)
