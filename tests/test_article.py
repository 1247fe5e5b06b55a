"""The article's networks, by the article's numbers."""

import inspect

import pytest
import torch
from torch import nn

from mnist_cli.networks import article, registry
from mnist_cli.networks.building import build, count_parameters
from mnist_cli.networks.complexity import count_operations
from mnist_cli.schema.results import ModelSummary

ARTICLE = {
    "mlp": (25_450, 1.63e6),
    "tinycnn": (4_266, 5.97e6),
    "cnn": (26_698, 20.29e6),
    "strongcnn": (467_818, 1.20e9),
}
LAYERS = {
    "mlp": "Flatten Linear784-32 ReLU Linear32-10",
    "tinycnn": "Conv1-4 ReLU Pool Conv4-8 ReLU Pool Flatten Linear392-10",
    "cnn": "Conv1-8 ReLU Pool Conv8-16 ReLU Pool Flatten Linear784-32 ReLU Linear32-10",
    "strongcnn": (
        "Conv1-32 ReLU Conv32-32 ReLU Pool Dropout0.25 "
        "Conv32-64 ReLU Conv64-64 ReLU Pool Dropout0.25 "
        "Flatten Linear3136-128 ReLU Dropout0.5 Linear128-10"
    ),
}
WITH_ARGUMENTS = {
    "mlp(hidden=128)": "Flatten Linear784-128 ReLU Linear128-10",
    "tinycnn(channels=3)": "Conv1-3 ReLU Pool Conv3-6 ReLU Pool Flatten Linear294-10",
    "cnn(channels=3, hidden=5)": (
        "Conv1-3 ReLU Pool Conv3-6 ReLU Pool Flatten Linear294-5 ReLU Linear5-10"
    ),
    "strongcnn(channels=3, dropout=0.1, hidden=5)": (
        "Conv1-3 ReLU Conv3-3 ReLU Pool Dropout0.1 Conv3-6 ReLU Conv6-6 ReLU Pool Dropout0.1 "
        "Flatten Linear294-5 ReLU Dropout0.2 Linear5-10"
    ),
}


def network(name: str) -> nn.Module:
    return build(registry.resolve(name), seed=0)


def summarize(name: str) -> ModelSummary:
    return count_operations(name, network(name))[0]


def layers(name: str) -> str:
    leaves = [module for module in network(name).modules() if not list(module.children())]
    return " ".join(map(describe, leaves))


def describe(layer: nn.Module) -> str:
    match layer:
        case nn.Conv2d(kernel_size=(3, 3), padding=(1, 1), stride=(1, 1)):
            return f"Conv{layer.in_channels}-{layer.out_channels}"
        case nn.MaxPool2d(kernel_size=2, stride=2):
            return "Pool"
        case nn.Linear():
            return f"Linear{layer.in_features}-{layer.out_features}"
        case nn.Dropout():
            return f"Dropout{layer.p}"
        case _:
            return type(layer).__name__


def test_the_registry_is_the_articles() -> None:
    assert list(registry.MODELS) == list(ARTICLE)


@pytest.mark.parametrize("name", ARTICLE)
def test_layers_parameters_and_operations(name: str) -> None:
    model = network(name)
    assert layers(name) == LAYERS[name]
    parameters, mult_adds = ARTICLE[name]
    summary = summarize(name)
    assert summary.parameters == count_parameters(model) == parameters
    assert summary.mult_adds == pytest.approx(mult_adds, rel=0.005)
    assert sum(layer.parameters for layer in summary.layers) == parameters
    assert sum(layer.mult_adds or 0 for layer in summary.layers) == summary.mult_adds
    assert model(torch.zeros(3, 1, 28, 28)).shape == (3, 10)


@pytest.mark.parametrize("name", WITH_ARGUMENTS)
def test_layers_with_arguments(name: str) -> None:
    assert layers(name) == WITH_ARGUMENTS[name]
    assert network(name)(torch.zeros(3, 1, 28, 28)).shape == (3, 10)


@pytest.mark.parametrize("name", ARTICLE)
def test_the_registry_knows_arguments_and_defaults(name: str) -> None:
    maker = getattr(article, registry.MODELS[name].target.rpartition(":")[2])
    parameters = dict(inspect.signature(maker).parameters)
    assert parameters.pop("num_classes").default == 10  # the dataset decides it, not the user
    assert {key: each.default for key, each in parameters.items()} == registry.ARGUMENTS[name]
    for key, each in parameters.items():
        assert each.annotation is type(registry.LIMITS[key][1])


@pytest.mark.parametrize(
    ("name", "megabytes"),
    [("tinycnn", (0.20, 2.41, 0.02, 2.63)), ("strongcnn", (0.20, 38.61, 1.87, 40.68))],
)
def test_memory(name: str, megabytes: tuple[float, ...]) -> None:
    summary = summarize(name)
    assert summary.forward_backward_megabytes and summary.total_megabytes
    assert (
        round(summary.input_megabytes, 2),
        round(summary.forward_backward_megabytes, 2),
        round(summary.parameter_megabytes, 2),
        round(summary.total_megabytes, 2),
    ) == megabytes
