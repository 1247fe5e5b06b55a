"""A training with the engine, as the benchmarks need it."""

from torch import nn

from mnist_cli.networks.building import build
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.protocol import Precision, Protocol
from mnist_cli.training.examples import Examples
from mnist_cli.training.loop import fit
from mnist_cli.training.state import set_up


def train_with_engine(
    spec: ModelSpec, protocol: Protocol, examples: Examples, seed: int, precision: Precision
) -> tuple[nn.Module, float]:
    """Train a new network; returns it and its training seconds."""
    training = set_up(build(spec, seed), examples, protocol, seed, precision)
    return training.model, sum(epoch.train_seconds for epoch in fit(training))
