"""`summary`: counts the parameters and operations of networks."""

from dataclasses import replace

import torch

from mnist_cli.networks.building import build
from mnist_cli.networks.complexity import count_operations
from mnist_cli.networks.registry import MODELS
from mnist_cli.networks.tracing import trace
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.results import ModelSummary, SummaryResult


def summarize_networks(spec: ModelSpec | None, batch_size: int) -> tuple[SummaryResult, list[str]]:
    """Count parameters and operations of one network or all registered ones, for one batch.

    Returns also torchinfo's table of each network. Raises MnistCliError if one cannot be built.
    """
    specs = [spec] if spec else list(MODELS.values())
    pairs = [_summarize(spec, batch_size) for spec in specs]
    return SummaryResult(tuple(figures for figures, _ in pairs)), [table for _, table in pairs]


def _summarize(spec: ModelSpec, batch_size: int) -> tuple[ModelSummary, str]:
    model = build(spec, seed=0)
    figures, table = count_operations(spec.name, model, batch_size)
    stages = tuple(traced.stage for traced in trace(spec.name, model, torch.zeros(1, 28, 28)))
    return replace(figures, stages=stages), table
