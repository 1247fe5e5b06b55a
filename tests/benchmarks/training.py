"""A training with the engine, as the benchmarks need it."""

from torch import nn

from mnist_cli import engine
from mnist_cli.config import Precision, Protocol
from mnist_cli.engine import Examples
from mnist_cli.registry import ModelSpec


def train_with_engine(
    spec: ModelSpec, protocol: Protocol, examples: Examples, seed: int, precision: Precision
) -> tuple[nn.Module, float]:
    """Train a new network; returns it and its training seconds."""
    model = engine.place(engine.build(spec, seed), examples.labels.device)
    optimizer = engine.make_optimizer(model, protocol)
    epochs = engine.fit(model, optimizer, examples, protocol, seed, precision)
    return model, sum(epoch.train_seconds for epoch in epochs)
