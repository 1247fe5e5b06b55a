"""The lean update is torch's Adam, bit for bit."""

import torch
from torch import nn
from torch.nn import functional as F

from mnist_cli import engine
from mnist_cli.adam import make_update
from mnist_cli.config import Protocol


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


def step(model: nn.Module, number: int, unused: nn.Parameter | None = None) -> None:
    torch.manual_seed(number)
    loss = F.cross_entropy(model(torch.randn(8, 6)), torch.randint(3, (8,)))
    if unused is not None and number % 3 == 0:
        loss = loss + unused.sum()
    loss.backward()


def trained(lean: bool, sometimes: bool = False) -> tuple[nn.Module, torch.optim.Adam]:
    model = network()
    unused = nn.Parameter(torch.ones(4))
    model.register_parameter("unused", unused)
    optimizer = engine.make_optimizer(model, Protocol(beta2=0.98))
    update = make_update(optimizer)
    for number in range(12):
        rate = 0.01 / (number + 1)
        step(model, number, unused if sometimes else None)
        if lean:
            update(rate)
        else:
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()
            optimizer.zero_grad()
    return model, optimizer


def test_it_is_adams_step_bit_for_bit() -> None:
    for sometimes in (False, True):
        plain, plain_optimizer = trained(lean=False, sometimes=sometimes)
        lean, lean_optimizer = trained(lean=True, sometimes=sometimes)
        for one, other in zip(plain.parameters(), lean.parameters(), strict=True):
            assert torch.equal(one, other)
            assert other.grad is None
        states = zip(
            plain_optimizer.state_dict()["state"].values(),
            lean_optimizer.state_dict()["state"].values(),
            strict=True,
        )
        for one, other in states:
            assert one.keys() == other.keys()
            assert all(torch.equal(one[key], other[key]) for key in one)


def test_it_calls_adams_own_step_only_where_it_must() -> None:
    model = network()
    optimizer = engine.make_optimizer(model, Protocol())
    calls: list[object] = []
    optimizer.register_step_post_hook(lambda *arguments: calls.append(arguments))
    update = make_update(optimizer)
    for number in range(5):
        step(model, number)
        update(0.01)
    assert len(calls) == 1
