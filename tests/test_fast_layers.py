from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnist_cli.networks import registry
from mnist_cli.networks.building import build
from mnist_cli.training.fast_layers import (
    ByteDropout,
    PooledConv,
    exchange_layers,
    is_faithful,
    scale_dropout,
)

IMAGES = torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(64) % 10


@pytest.fixture(autouse=True)
def avx512(monkeypatch: pytest.MonkeyPatch) -> None:
    """All exchanges are tried, whatever processor runs the tests."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")


def network(name: str) -> nn.Module:
    return build(registry.resolve(name), seed=0)


def gradients(model: nn.Module) -> tuple[Tensor, list[Tensor]]:
    output = model(IMAGES)
    model.zero_grad()
    F.cross_entropy(output, LABELS).backward()
    return output.detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("name", registry.MODELS)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_outputs_and_gradients_are_the_plain_networks(
    name: str, memory_format: torch.memory_format
) -> None:
    model = network(name).to(memory_format=memory_format)
    plain_output, plain = gradients(model)
    with exchange_layers(model):
        output, exchanged = gradients(model)
    torch.testing.assert_close(output, plain_output, rtol=1e-5, atol=1e-6)
    assert len(exchanged) == len(plain) > 0
    for ours, theirs in zip(exchanged, plain, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("kernel", "padding", "bias", "size"),
    [(3, 1, True, (28, 28)), (5, 2, False, (27, 30)), ((3, 5), (0, 1), True, (29, 28))],
)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_first_convolution_is_pooled_like_the_plain_one(
    kernel: int | tuple[int, int],
    padding: int | tuple[int, int],
    bias: bool,
    size: tuple[int, int],
    memory_format: torch.memory_format,
) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(1, 3, kernel, padding=padding, bias=bias)
    model = nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(2)).to(memory_format=memory_format)
    images = torch.rand(6, 1, *size)
    images[0] = 0  # all places of a window are equal there
    target = torch.rand_like(model(images))
    results = []
    for context in (nullcontext, exchange_layers):
        model.zero_grad()
        with context(model):
            exchanged = type(model[0]) is PooledConv
            output = model(images)
        (output * target).sum().backward()
        results.append((exchanged, output, [p.grad for p in model.parameters()]))
    (before, output, plain), (within, other, ours) = results
    assert (before, within) == (False, True)
    torch.testing.assert_close(other, output, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(1, 5, 3), nn.ReLU(), nn.MaxPool2d(2)],
        [nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2)],
        [nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.MaxPool2d(2)],
        [nn.Conv2d(1, 4, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2)],
        [nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular"), nn.ReLU(), nn.MaxPool2d(2)],
        [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(3)],
        [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)],
        [nn.Conv2d(1, 4, 3), nn.GELU(), nn.MaxPool2d(2)],
    ],
)
def test_other_convolutions_stay(layers: list[nn.Module]) -> None:
    model = nn.Sequential(*layers)
    with exchange_layers(model):
        assert model[0] is layers[0]


@pytest.mark.parametrize("capability", ["AVX2", "DEFAULT"])
def test_without_avx512_a_first_convolution_stays(
    monkeypatch: pytest.MonkeyPatch, capability: str
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    model = network("tinycnn")
    with exchange_layers(model):
        kinds = [type(module) for module in model.modules()]
    assert PooledConv not in kinds
    assert nn.Conv2d in kinds


def test_layers_are_exchanged_within_the_context_only() -> None:
    model = network("strongcnn")
    before = [type(module) for module in model.modules()]
    with exchange_layers(model):
        within = [type(module) for module in model.modules()]
        assert ByteDropout in within
        assert nn.Dropout not in within
        first_pool = within.index(nn.MaxPool2d)
        assert within[first_pool + 1] is nn.ReLU
    assert [type(module) for module in model.modules()] == before
    with pytest.raises(KeyboardInterrupt), exchange_layers(model):
        raise KeyboardInterrupt
    assert [type(module) for module in model.modules()] == before


@pytest.mark.parametrize("p", [0.25, 0.5])
def test_bytes_drop_like_dropout(p: float) -> None:
    torch.manual_seed(0)
    dropout = ByteDropout(p)
    ones = torch.ones(1000, 3, 701, requires_grad=True)
    output = dropout(ones)
    kept = output > 0
    assert torch.equal(output[kept], torch.full_like(output[kept], 1 / (1 - p)))
    # Within four standard deviations, in all and for each of eight neighbours (bytes of a word).
    flat = kept.flatten()
    for part in (flat, *(flat[start::8] for start in range(8))):
        deviation = (p * (1 - p) / len(part)) ** 0.5
        assert abs(part.double().mean().item() - (1 - p)) < 4 * deviation
    assert abs(torch.corrcoef(torch.stack([flat[:-1], flat[1:]]).double())[0, 1]) < 0.015
    output.sum().backward()
    assert ones.grad is not None
    assert torch.equal(ones.grad, output.detach())


def test_bytes_follow_the_memory_and_the_seed() -> None:
    dropout, last = ByteDropout(0.5), torch.ones(2, 3, 4, 5).to(memory_format=torch.channels_last)
    torch.manual_seed(3)
    first = dropout(last)
    torch.manual_seed(3)
    assert torch.equal(first, dropout(last))
    assert first.is_contiguous(memory_format=torch.channels_last)
    assert dropout(torch.ones(4, 6)[:, ::2]).shape == (4, 3)
    assert torch.equal(dropout.eval()(last), last)


@pytest.mark.parametrize("layer", [nn.Dropout(0.1), nn.Dropout(1.0), nn.Dropout(0.5, inplace=True)])
def test_other_dropout_stays_with_torch(layer: nn.Module) -> None:
    model = nn.Sequential(layer)
    with exchange_layers(model):
        assert model[0] is layer


def test_dropout_is_scaled_within_the_context_only() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.Dropout2d(0.25))
    with scale_dropout(model, 0.5):
        assert [layer.p for layer in model] == [0.25, 0.125]
    assert [layer.p for layer in model] == [0.5, 0.25]
    with scale_dropout(model, 2):
        assert [layer.p for layer in model] == [1, 0.5]
    with scale_dropout(model, 0), exchange_layers(model):
        assert torch.equal(model(IMAGES), IMAGES)


def test_layers_with_hooks_stay() -> None:
    model = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.5))
    seen: list[torch.Size] = []
    model[0].register_forward_hook(lambda module, args, output: seen.append(output.shape))
    model[2].register_forward_pre_hook(lambda module, args: None)
    with exchange_layers(model):
        assert [type(layer) for layer in model] == [nn.ReLU, nn.MaxPool2d, nn.Dropout]
        model(IMAGES)
    assert seen == [IMAGES.shape]


class Indexed(nn.Module):
    """Takes layers by number, so that exchanging them would change what it does."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2))
        self.out = nn.Linear(2 * 26 * 26, 10)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.out(self.layers[1](self.layers[0](images)).flatten(1))
        return logits


@pytest.mark.parametrize(("make", "faithful"), [(lambda: network("cnn"), True), (Indexed, False)])
def test_a_network_that_would_change_is_left_alone(
    make: Callable[[], nn.Module], faithful: bool
) -> None:
    assert is_faithful(make(), IMAGES) is faithful


def test_the_default_device_of_a_networks_code_does_not_matter() -> None:
    layers = (nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.5))
    model = nn.Sequential(*layers)
    with torch.device("meta"), exchange_layers(model):
        assert type(model[0]) is PooledConv and type(model[3]) is ByteDropout
        assert model(IMAGES).device.type == "cpu"
