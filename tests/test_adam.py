"""Our Adam is torch's, bit for bit."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mnist_cli.training.adam import Adam


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


@pytest.mark.parametrize("use_all", [True, False])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_adam_equals_torchs_bit_for_bit(use_all: bool, as_tensor: bool) -> None:
    ours, theirs = network(), network()
    adam = Adam(list(ours.parameters()), beta2=0.98)
    reference = torch.optim.Adam(theirs.parameters(), betas=(0.9, 0.98), fused=True)
    for number in range(12):
        rate = 0.01 / (number + 1)
        backward(ours, number, use_all)
        adam.update(torch.tensor(rate) if as_tensor else rate)
        backward(theirs, number, use_all)
        reference.param_groups[0]["lr"] = torch.tensor(rate) if as_tensor else rate
        reference.step()
        reference.zero_grad()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)
        assert one.grad is None
    state = adam.state()
    for index, values in reference.state_dict()["state"].items():
        for key, value in values.items():
            assert torch.equal(state.pop(f"{index}.{key}"), value), (index, key)
    assert not state


def test_without_any_gradient_nothing_changes() -> None:
    model = network()
    adam, before = Adam(list(model.parameters()), beta2=0.98), model.state_dict()
    adam.update(0.1)
    assert all(torch.equal(before[key], value) for key, value in network().state_dict().items())
    assert not any(tensor.any() for tensor in adam.state().values())


def test_the_state_is_laid_out_like_its_parameter() -> None:
    convolution = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    state = Adam(list(convolution.parameters()), beta2=0.98).state()
    assert state["0.exp_avg"].stride() == convolution.weight.stride()
