"""A training with the engine, and a line about the machine, as the benchmarks need them."""

import torch
from torch import nn

from mnist_cli.networks.building import build
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.protocol import Precision, Protocol
from mnist_cli.training.device import environment
from mnist_cli.training.examples import Examples
from mnist_cli.training.loop import fit
from mnist_cli.training.state import Training


def train_with_engine(
    spec: ModelSpec, protocol: Protocol, examples: Examples, seed: int, precision: Precision
) -> tuple[nn.Module, float]:
    """Train a new network; returns it and its training seconds."""
    training = Training(build(spec, seed), examples, protocol, seed, precision)
    return training.model, sum(epoch.train_seconds for epoch in fit(training))


def describe_machine(device: torch.device) -> str:
    """The processor, its instructions, the threads, and the version of torch."""
    machine, known = environment(device), torch.cpu.get_capabilities()
    has = [name for name in ("amx_bf16", "avx512_bf16") if known.get(name)]
    kind = ", ".join([machine.processor, machine.device, machine.cpu_capability, *has])
    return f"{kind}, {machine.threads} threads, torch {machine.torch}"
