"""The parameters, multiply-adds and memory of a network, as torchinfo counts them."""

import re

import torch
from torch import nn
from torchinfo import ModelStatistics
from torchinfo import summary as torchinfo_summary
from torchinfo.layer_info import LayerInfo

from mnist_cli.networks.building import count_parameters
from mnist_cli.networks.isolation import running
from mnist_cli.schema.protocol import Protocol
from mnist_cli.schema.results import LayerSummary, ModelSummary


def count_operations(
    name: str, model: nn.Module, batch_size: int = Protocol.batch_size
) -> tuple[ModelSummary, str]:
    """Count what `model`, on the CPU, needs for N×1×28×28 images; return also torchinfo's table.

    This does not change `model`, but torch's global random state. Raises MnistCliError if the
    network fails.
    """
    with running(model, f"torchinfo cannot summarize {name}"):
        try:
            stats = torchinfo_summary(
                model, input_size=(batch_size, 1, 28, 28), mode="eval", device="cpu", verbose=0
            )
        except RuntimeError as error:  # the cause says more than torchinfo's own error
            raise error.__cause__ or error from None
    parameters = list(model.parameters())  # each once; torchinfo counts shared ones twice
    stats.total_params = sum(parameter.numel() for parameter in parameters)
    stats.trainable_params = count_parameters(model)
    stats.total_param_bytes = sum(p.numel() * p.element_size() for p in parameters)
    # torchinfo cannot see the layers and operations of a scripted network.
    hidden = any(isinstance(module, torch.jit.ScriptModule) for module in model.modules())
    total_bytes = stats.total_input + stats.total_output_bytes + stats.total_param_bytes
    figures = ModelSummary(
        model=name,
        batch_size=batch_size,
        parameters=stats.trainable_params,
        total_parameters=stats.total_params,
        mult_adds=None if hidden else stats.total_mult_adds or None,
        input_megabytes=stats.to_megabytes(stats.total_input),
        forward_backward_megabytes=(
            None if hidden else stats.to_megabytes(stats.total_output_bytes)
        ),
        parameter_megabytes=stats.to_megabytes(stats.total_param_bytes),
        total_megabytes=None if hidden else stats.to_megabytes(total_bytes),
        # Leaves only: torchinfo's figures for containers are not the sum of their parts.
        layers=tuple(_summarize(layer) for layer in stats.summary_list if layer.is_leaf_layer),
    )
    unknown = [] if figures.mult_adds else ["Total mult-adds"]
    unknown += ["Forward/backward pass size", "Estimated Total Size"] if hidden else []
    return figures, _render_table(stats, unknown)


def _summarize(layer: LayerInfo) -> LayerSummary:
    return LayerSummary(
        name=layer.var_name,
        type=layer.class_name,
        output_size=tuple(layer.output_size),
        parameters=0 if layer.is_recursive else layer.trainable_params,
        mult_adds=layer.macs if layer.output_size else None,
    )


def _render_table(stats: ModelStatistics, unknown: list[str]) -> str:
    # torchinfo's units are an enum, which Python 3.11 and later print as `Units.GIGABYTES`.
    table = re.sub(r"Units\.([A-Z])\w+", r"\1", str(stats))
    for figure in unknown:
        table = re.sub(rf"({figure}( \(MB\))?).*", r"\1: unknown", table)
    return table
