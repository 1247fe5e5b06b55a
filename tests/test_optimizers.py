"""Our optimizers are torch's, bit for bit."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mnist_cli.schema.protocol import Optimizer as Name
from mnist_cli.schema.protocol import Protocol
from mnist_cli.training.optimizers import Optimizer


def network() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    model.register_parameter("unused", nn.Parameter(torch.ones(4)))
    return model


def backward(model: nn.Sequential, number: int, use_all: bool) -> None:
    """The last parameter has a gradient in each step, or in every third only."""
    torch.manual_seed(number)
    loss = F.cross_entropy(model(torch.randn(8, 6)), torch.randint(3, (8,)))
    if use_all or number % 3 == 1:
        loss = loss + model.get_parameter("unused").sum()
    loss.backward()


CASES: list[tuple[dict[str, Any], type[torch.optim.Optimizer], dict[str, Any]]] = [
    ({"beta2": 0.98}, torch.optim.Adam, {"betas": (0.9, 0.98)}),
    ({"weight_decay": 0.1}, torch.optim.Adam, {"weight_decay": 0.1}),
    ({"optimizer": Name.ADAMW, "weight_decay": 0.1}, torch.optim.AdamW, {"weight_decay": 0.1}),
    ({"optimizer": Name.SGD}, torch.optim.SGD, {}),
    (
        {"optimizer": Name.SGD, "momentum": 0.9, "weight_decay": 0.1},
        torch.optim.SGD,
        {"momentum": 0.9, "weight_decay": 0.1},
    ),
    (
        {"optimizer": Name.SGD, "momentum": 0.5, "nesterov": True},
        torch.optim.SGD,
        {"momentum": 0.5, "nesterov": True},
    ),
]


@pytest.mark.parametrize("use_all", [True, False])
@pytest.mark.parametrize("as_tensor", [False, True])
@pytest.mark.parametrize(("settings", "kind", "options"), CASES)
def test_an_optimizer_equals_torchs_bit_for_bit(
    settings: dict[str, Any],
    kind: Callable[..., torch.optim.Optimizer],
    options: dict[str, Any],
    as_tensor: bool,
    use_all: bool,
) -> None:
    ours, theirs = network(), network()
    optimizer = Optimizer(list(ours.parameters()), Protocol(**settings))
    # torch's fused SGD fails if a parameter has its first gradient later than others.
    fused = use_all or "momentum" not in options
    reference = kind(theirs.parameters(), lr=1e-3, fused=fused, **options)
    for number in range(12):
        rate = 0.01 / (number + 1)
        backward(ours, number, use_all)
        optimizer.update(torch.tensor(rate) if as_tensor else rate)
        backward(theirs, number, use_all)
        reference.param_groups[0]["lr"] = torch.tensor(rate) if as_tensor else rate
        reference.step()
        reference.zero_grad()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other) if fused else torch.allclose(one, other, rtol=1e-5)
        assert one.grad is None
    state = optimizer.state()
    for index, values in reference.state_dict()["state"].items():
        for key, value in values.items():
            if value is not None:  # SGD without momentum
                ours_too = state.pop(f"{index}.{key}")
                assert torch.allclose(ours_too, value, rtol=0 if fused else 1e-5), (index, key)
    assert not state


def test_without_any_gradient_nothing_changes() -> None:
    model = network()
    adam = Optimizer(list(model.parameters()), Protocol())
    before = model.state_dict()
    adam.update(0.1)
    assert all(torch.equal(before[key], value) for key, value in network().state_dict().items())
    assert not any(tensor.any() for tensor in adam.state().values())


def test_the_state_is_laid_out_like_its_parameter() -> None:
    convolution = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    state = Optimizer(list(convolution.parameters()), Protocol()).state()
    assert state["0.exp_avg"].stride() == convolution.weight.stride()
