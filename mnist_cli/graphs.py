"""A step recorded once and replayed whole: a CUDA graph, one launch instead of some fifty.

What a network computes must then be the same in each step. Where that is not certain the step stays
as it is: where it cannot be recorded, where its replay gives another loss, and where the network's
own code counts or draws on the host.
"""

import pickle
import random
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam

from mnist_cli.steps import Step

TRIALS = 3
TOLERANCE = 1e-2  # wide for bf16, narrow for a step that does not train

Work = Callable[[], None]
Capture = Callable[[Work], Work]
"""From work on static tensors to what does it again; it may be done a few times on the way."""


def capture_on(device: torch.device) -> Capture | None:
    """How to record work on `device`; None where that is not possible."""
    return partial(_capture_cuda, device) if device.type == "cuda" else None


def recorded(
    step: Step, model: nn.Module, optimizer: Adam, batch: Tensor, capture: Capture
) -> Step:
    """`step` for batches as long as `batch` as a recording, for others as it is; or `step` itself.

    Weights, buffers and Adam's state are tried out, and left as they were; torch's random state is
    not. Raises what the network's own code raises.
    """
    _initialise(step, model, optimizer, batch)
    saved = _saved(model, optimizer)
    static_batch, loss = batch.clone(), batch.new_zeros((), dtype=torch.float32)
    rate = batch.new_full((), optimizer.defaults["lr"], dtype=torch.float32)

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

    try:
        torch.manual_seed(0)
        before = host_state(model, batch.device)
        expected = losses_of(work)
        if host_state(model, batch.device) != before:
            return step
        replay = capture(work)
        if not torch.allclose(losses_of(replay), expected, rtol=TOLERANCE):
            return step
    except RuntimeError:  # it worked as it is, but waits for the device, say
        return step
    finally:
        _restore(saved)
        optimizer.zero_grad()

    def replayed(batch: Tensor, rate_now: float | Tensor) -> Tensor:
        if len(batch) != len(static_batch):
            return step(batch, rate_now)
        static_batch.copy_(batch)
        rate.fill_(rate_now)
        replay()
        return loss.clone()

    return replayed


def host_state(model: nn.Module, device: torch.device) -> bytes:
    """What decides a network's next step on `device`, but is no part of a recording of this one.

    Plain attributes of its modules, and the random states that live on the host.
    """
    plain = [
        {name: value for name, value in vars(module).items() if isinstance(value, int | float)}
        for module in model.modules()
    ]
    states = [random.getstate(), np.random.get_state()]  # noqa: NPY002 - what its code may use
    if device.type != "cpu":  # a CPU's own work draws from this one
        states.append(torch.get_rng_state().numpy())
    return pickle.dumps((plain, states))


def _capture_cuda(device: torch.device, work: Work) -> Work:
    """As torch's notes on CUDA graphs ask: on a stream of its own, where it was done before."""
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


def _initialise(step: Step, model: nn.Module, optimizer: Adam, batch: Tensor) -> None:
    """Let Adam make its state, which it does in its first step, and take that step back."""
    fresh = not optimizer.state
    saved = _saved(model, optimizer)
    step(batch, optimizer.defaults["lr"])
    _restore(saved)
    if fresh:
        for state in optimizer.state.values():
            for tensor in state.values():
                tensor.zero_()


def _saved(model: nn.Module, optimizer: Adam) -> list[tuple[Tensor, Tensor]]:
    """All that a step changes, each with a copy of what it is now."""
    moments = [tensor for state in optimizer.state.values() for tensor in state.values()]
    tensors = [*model.parameters(), *model.buffers(), *moments]
    return [(tensor, tensor.detach().clone()) for tensor in tensors]


@torch.no_grad()
def _restore(saved: list[tuple[Tensor, Tensor]]) -> None:
    for tensor, value in saved:
        tensor.copy_(value)
