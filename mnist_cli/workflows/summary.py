"""`summary`: counts the parameters and operations of networks, and finds their stages."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

import torch
from torch import nn

from mnist_cli.errors import MnistCliError
from mnist_cli.networks.building import build
from mnist_cli.networks.complexity import count_operations
from mnist_cli.networks.registry import MODELS, find_registered
from mnist_cli.networks.tracing import trace
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.results import ModelSummary, Stage, SummaryResult


def summarize_networks(spec: ModelSpec | None, batch_size: int) -> tuple[SummaryResult, list[str]]:
    """Count parameters and operations of one network or all registered ones, for one batch.

    Returns also torchinfo's table of each network. Raises MnistCliError if one cannot be built.
    """
    specs = [spec] if spec else list(MODELS.values())
    pairs = [_summarize(spec, batch_size) for spec in specs]
    return SummaryResult(tuple(figures for figures, _ in pairs)), [table for _, table in pairs]


def trace_networks(
    names: Iterable[str], specs: Iterable[ModelSpec], num_classes: int
) -> dict[str, tuple[Stage, ...]]:
    """The stages of the named networks: of registered ones, and of custom ones among `specs`.

    Networks that fail are left out.
    """
    known = {spec.name: spec for spec in specs}
    stages = {}
    for name in dict.fromkeys(names):
        with suppress(MnistCliError):
            if spec := known.get(name) or find_registered(name):
                stages[name] = _trace(spec.name, build(spec, 0, num_classes))
    return stages


def _summarize(spec: ModelSpec, batch_size: int) -> tuple[ModelSummary, str]:
    model = build(spec, seed=0)
    figures, table = count_operations(spec.name, model, batch_size)
    return replace(figures, stages=_trace(spec.name, model)), table


def _trace(name: str, model: nn.Module) -> tuple[Stage, ...]:
    return tuple(traced.stage for traced in trace(name, model, torch.zeros(1, 28, 28)))
