"""The gradients of a chain of linear layers are autograd's, and only such a network has them so."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnist_cli.networks.article import CNN, MLP
from mnist_cli.schema.protocol import Precision, Protocol
from mnist_cli.training import linear_chain, state
from mnist_cli.training.examples import Examples
from mnist_cli.training.linear_chain import backward, find_chain, is_faithful
from mnist_cli.training.loop import fit

Layers = Callable[[], nn.Module]


def batch(size: int = 64) -> tuple[Tensor, Tensor]:
    torch.manual_seed(size)
    return torch.rand(size, 1, 28, 28), torch.randint(10, (size,))


def chain(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@pytest.mark.parametrize(
    "make",
    [MLP, lambda: MLP(hidden=48), lambda: chain(784, 10), lambda: chain(784, 40, 30, 20, 10)],
)
@pytest.mark.parametrize("size", [64, 32, 1])
def test_loss_and_gradients_are_autograds_bit_for_bit(make: Layers, size: int) -> None:
    model, (images, labels) = make(), batch(size)
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    expected = [parameter.grad for parameter in model.parameters()]
    model.zero_grad()
    assert torch.equal(backward(find_chain(model), images, labels), loss)
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        assert gradient is not None and parameter.grad is not None
        assert torch.equal(parameter.grad, gradient)
        assert parameter.grad.stride() == gradient.stride()


def test_an_infinite_loss_is_seen() -> None:
    model, (images, labels) = chain(784, 10), batch()
    with torch.no_grad():
        next(model.parameters()).fill_(torch.inf)
    assert not backward(find_chain(model), images, labels).isfinite()


class Other(MLP):
    def forward(self, images: Tensor) -> Tensor:
        return 2 * super().forward(images)


def frozen() -> nn.Module:
    model = chain(784, 20, 10)
    model[1].weight.requires_grad = False
    return model


def tied() -> nn.Module:
    model = chain(784, 10, 10, 10)
    model[5] = model[3]
    return model


def with_layer_hook() -> nn.Module:
    model = chain(784, 20, 10)
    model[1].register_forward_hook(lambda module, given, output: 2 * output)
    return model


def with_another_forward() -> nn.Module:
    model = chain(784, 20, 10)
    vars(model)["forward"] = model.forward
    return model


def with_gradient_hook() -> nn.Module:
    model = chain(784, 20, 10)
    next(model.parameters()).register_hook(lambda gradient: 2 * gradient)
    return model


@pytest.mark.parametrize(
    "make",
    [
        *(CNN, Other, frozen, tied, with_layer_hook, with_gradient_hook, with_another_forward),
        lambda: nn.Sequential(chain(784, 20, 10)),
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.ReLU()),
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 9), nn.Linear(9, 10)),
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 9), nn.Tanh(), nn.Linear(9, 10)),
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10, bias=False)),
        lambda: nn.Sequential(nn.Flatten(2), nn.Flatten(), nn.Linear(784, 10)),
        lambda: nn.Sequential(nn.Flatten(2), nn.Linear(784, 10)),
        nn.Sequential,
        lambda: nn.Linear(784, 10),
    ],
)
def test_another_network_is_no_chain(make: Layers) -> None:
    assert find_chain(make()) == []


def test_a_trial_shows_wrong_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (images, labels) = chain(784, 20, 10), batch()
    assert is_faithful(model, find_chain(model), images, labels)
    assert all(parameter.grad is None for parameter in model.parameters())

    def wrong(*arguments: Any) -> Tensor:
        right: Tensor = torch.ops.aten.threshold_backward(*arguments)
        return right * (1 + 1e-5)

    monkeypatch.setattr(linear_chain, "relu_backward", wrong)
    assert not is_faithful(model, find_chain(model), images, labels)


@pytest.mark.parametrize("schedule", ["constant", "one-cycle"])
def test_a_training_has_the_weights_of_autograd(
    monkeypatch: pytest.MonkeyPatch, schedule: Any
) -> None:
    images, labels = batch(200)
    protocol = Protocol(epochs=2, schedule=schedule, warmup=0.3)
    trained, calls = [], []
    finders: list[Callable[[nn.Module], list[nn.Linear]]] = [find_chain, lambda model: []]

    def counting(*arguments: Any) -> Tensor:
        calls.append(1)
        return backward(*arguments)

    monkeypatch.setattr(linear_chain, "backward", counting)
    for find in finders:
        monkeypatch.setattr(linear_chain, "find_chain", find)
        torch.manual_seed(0)
        training = state.Training(MLP(), Examples(images, labels), protocol, 0, Precision.FP32)
        losses = [epoch.train_loss for epoch in fit(training)]
        trained.append((losses, [tensor.clone() for tensor in training.model.parameters()]))
    assert len(calls) == 1 + 2 * 4  # the trial, and two epochs of four steps
    assert trained[0][0] == trained[1][0]
    assert all(map(torch.equal, trained[0][1], trained[1][1]))
