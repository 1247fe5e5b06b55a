"""Records a training step once and replays it: one launch of a CUDA graph instead of about fifty.

A replay repeats the recorded kernels on the same memory, which is wrong for a network whose steps
differ. A step is therefore replayed only if a trial shows that this is safe: it can be recorded,
three replays have the losses of three plain steps, and the network's own code neither counts its
calls nor draws random numbers on the host.
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
TOLERANCE = 1e-2  # relative; two bf16 steps differ by less, and a step without training by more

_State = list[tuple[Tensor, Tensor]]  # all tensors that a step changes, each with a copy
Work = Callable[[], None]
"""A computation that reads and writes the same tensors in each call."""
Capture = Callable[[Work], Work]
"""Records a computation, which it may run a few times, and returns one that replays it."""


def capture_on(device: torch.device) -> Capture | None:
    """Return what records work on `device`; None if that is not possible."""
    return partial(_capture_cuda, device) if device.type == "cuda" else None


def record(step: Step, training: Training, batch: Tensor, capture: Capture) -> Step:
    """Return a step that replays a recording of `step`, or `step` itself if that is not safe.

    The returned step replays batches of as many images as `batch`, int64 indices on the device, and
    calls `step` for others, such as the shorter last one of an epoch. The network of `training` is
    in training mode. The trial restores weights, buffers and the optimizer's state, but not torch's
    random state. Exceptions of the network's own code in a plain step reach the caller.
    """
    static_batch, loss = batch.clone(), batch.new_zeros((), dtype=torch.float32)
    static_rate = batch.new_full((), training.protocol.lr, dtype=torch.float32)

    def work() -> None:
        loss.copy_(step(static_batch, static_rate))

    saved = _copy_state(training)
    step(static_batch, training.protocol.lr)  # if this fails, the network's own code is wrong
    try:
        replay = _capture_if_safe(work, loss, training.model, saved, capture)
    finally:
        _restore(saved)
        training.optimizer.clear_gradients()
    if replay is None:
        return step

    def replay_step(batch: Tensor, rate: float | Tensor) -> Tensor:
        if len(batch) != len(static_batch):
            return step(batch, rate)
        static_batch.copy_(batch)
        static_rate.fill_(rate)
        replay()
        return loss.clone()

    return replay_step


def _capture_if_safe(
    work: Work, loss: Tensor, model: nn.Module, saved: _State, capture: Capture
) -> Work | None:
    """Record `work`; None if it changes host state, or replays have other values of `loss`."""

    def compute_losses(work: Work) -> Tensor:
        _restore(saved)
        torch.manual_seed(0)
        losses = []
        for _ in range(TRIALS):
            work()
            losses.append(loss.clone())
        return torch.stack(losses)

    torch.manual_seed(0)
    before = host_state(model, loss.device)
    try:
        expected = compute_losses(work)
        if host_state(model, loss.device) != before:
            return None
        replay = capture(work)
        return replay if torch.allclose(compute_losses(replay), expected, rtol=TOLERANCE) else None
    except RuntimeError:  # for example, the step waits for the device, which cannot be recorded
        return None


def host_state(model: nn.Module, device: torch.device) -> bytes:
    """Numbers in module attributes and host random states, which a recording misses, as bytes."""
    plain = [
        {name: value for name, value in vars(module).items() if isinstance(value, int | float)}
        for module in model.modules()
    ]
    states = [random.getstate(), np.random.get_state()]  # noqa: NPY002 - the global state
    if device.type != "cpu":  # on a CPU, dropout changes this state
        states.append(torch.get_rng_state().numpy())
    return pickle.dumps((plain, states))


def _capture_cuda(device: torch.device, work: Work) -> Work:
    """Record on a side stream after three runs, as torch's notes on CUDA graphs require."""
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


def _copy_state(training: Training) -> _State:
    model, optimizer = training.model, training.optimizer
    tensors = [*model.parameters(), *model.buffers(), *optimizer.state().values()]
    return [(tensor, tensor.detach().clone()) for tensor in tensors]


@torch.no_grad()
def _restore(saved: _State) -> None:
    for tensor, value in saved:
        tensor.copy_(value)
