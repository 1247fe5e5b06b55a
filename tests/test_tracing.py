"""Following an image through networks of many kinds."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnist_cli.errors import MnistCliError
from mnist_cli.networks.article import StrongCNN
from mnist_cli.networks.tracing import Traced, trace

IMAGE = torch.rand(1, 28, 28, generator=torch.Generator().manual_seed(0))
Rows = list[tuple[tuple[str, ...], tuple[int, ...], int]]


def rows(traced: list[Traced]) -> Rows:
    return [
        (each.stage.operations, each.stage.output_size, each.stage.parameters) for each in traced
    ]


class Forward(nn.Module):
    """A network whose own code calls `run` with its layers."""

    def __init__(self, run: Callable[[Any, Tensor], Any], **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.run = run

    def forward(self, images: Tensor) -> Any:
        return self.run(self, images)


def test_layers_that_keep_the_size_join_the_layer_before() -> None:
    assert rows(trace("net", StrongCNN(), IMAGE)) == [
        (("input",), (1, 28, 28), 0),
        (("Conv2d 3×3", "ReLU"), (32, 28, 28), 320),
        (("Conv2d 3×3", "ReLU"), (32, 28, 28), 9248),
        (("MaxPool2d 2×2", "Dropout"), (32, 14, 14), 0),
        (("Conv2d 3×3", "ReLU"), (64, 14, 14), 18496),
        (("Conv2d 3×3", "ReLU"), (64, 14, 14), 36928),
        (("MaxPool2d 2×2", "Dropout"), (64, 7, 7), 0),
        (("Flatten",), (3136,), 0),
        (("Linear", "ReLU", "Dropout"), (128,), 401536),
        (("Linear",), (10,), 1290),
    ]


def test_a_kernel_starts_a_stage_although_the_size_stays() -> None:
    layers = (nn.MaxPool2d(3, 1, 1), nn.Sigmoid(), nn.Flatten(), nn.Linear(784, 10))
    assert rows(trace("net", nn.Sequential(*layers), IMAGE))[:2] == [
        (("input",), (1, 28, 28), 0),
        (("MaxPool2d 3×3", "Sigmoid"), (1, 28, 28), 0),
    ]


def test_functions_of_the_networks_own_code_are_seen() -> None:
    def run(net: Any, images: Tensor) -> Any:
        maps = F.max_pool2d(F.relu(net.conv(images)), 2)
        return F.log_softmax(net.out(torch.flatten(maps, 1)), dim=1)

    net = Forward(run, conv=nn.Conv2d(1, 2, 5), out=nn.Linear(288, 10))
    assert rows(trace("net", net, IMAGE)) == [
        (("input",), (1, 28, 28), 0),
        (("Conv2d 5×5", "relu"), (2, 24, 24), 52),
        (("max_pool2d",), (2, 12, 12), 0),
        (("flatten",), (288,), 0),
        (("Linear", "log_softmax"), (10,), 2890),
    ]


def test_a_layer_that_is_used_twice_has_its_weights_once() -> None:
    def run(net: Any, images: Tensor) -> Any:
        return net.out(net.twice(net.twice(images.flatten(1))))

    net = Forward(run, twice=nn.Linear(784, 784), out=nn.Linear(784, 10))
    first, second, last = (each.stage for each in trace("net", net, IMAGE)[2:])
    assert (first.parameters, first.reuses_weights) == (785 * 784, False)
    assert (second.parameters, second.reuses_weights) == (0, True)
    assert (last.parameters, last.reuses_weights) == (7850, False)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_scripted_module_is_one_layer() -> None:
    inner = torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)))
    assert rows(trace("net", inner, IMAGE))[1:] == [(("Sequential",), (10,), 7850)]
    net = nn.Sequential(inner, nn.ReLU())
    assert rows(trace("net", net, IMAGE))[1:] == [(("Sequential", "ReLU"), (10,), 7850)]


def test_a_compiled_network_is_followed_without_compiling() -> None:
    net: Any = torch.compile(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)))
    assert [row[0] for row in rows(trace("net", net, IMAGE))] == [
        ("input",),
        ("Flatten",),
        ("Linear",),
    ]


def test_a_recurrent_layer_returns_its_sequence_and_a_computed_weight_is_no_stage() -> None:
    net = Forward(
        lambda net, images: net.out(net.lstm(images.squeeze(1))[0][:, -1]),
        lstm=nn.LSTM(28, 8, batch_first=True),
        out=nn.utils.parametrizations.weight_norm(nn.Linear(8, 10)),
    )
    assert [row[:2] for row in rows(trace("net", net, IMAGE))[1:]] == [
        (("squeeze",), (28, 28)),
        (("LSTM",), (28, 8)),
        (("getitem",), (8,)),
        (("Linear",), (10,)),
    ]


def test_outputs_are_those_of_the_last_operation_of_a_stage() -> None:
    flat, relu = nn.Flatten(), nn.ReLU(inplace=True)
    linear = nn.Linear(784, 10)
    net = nn.Sequential(flat, linear, relu).train()
    traced = trace("net", net, IMAGE)
    assert torch.equal(traced[0].output, IMAGE)
    assert torch.equal(traced[1].output, IMAGE.flatten())
    assert traced[2].output.shape == (10,)
    assert torch.allclose(traced[2].output, F.relu(linear(IMAGE.view(1, -1))[0]), atol=1e-6)
    assert traced[2].weight is linear.weight
    assert not linear._forward_hooks


def test_a_change_in_place_leaves_earlier_outputs() -> None:
    def run(net: Any, images: Tensor) -> Any:
        flat = images.reshape(-1, 784)
        result = net.out(flat)
        flat.zero_()
        return result

    traced = trace("net", Forward(run, out=nn.Linear(784, 10)), IMAGE)
    assert torch.equal(traced[1].output, IMAGE.flatten())


def test_a_network_that_fails_is_one_line_and_leaves_no_hook() -> None:
    net = Forward(lambda net, images: net.out(images), out=nn.Linear(3, 10))
    with pytest.raises(MnistCliError, match=r"^cannot follow an image through net: "):
        trace("net", net, IMAGE)
    assert not torch.nn.modules.module._global_forward_hooks
    assert len(trace("net", nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), IMAGE)) == 3
