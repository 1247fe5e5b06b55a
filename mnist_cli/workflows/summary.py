"""`summary`: what networks cost before anything is trained."""

from mnist_cli.networks.building import build
from mnist_cli.networks.complexity import count_operations
from mnist_cli.networks.registry import MODELS
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.results import SummaryResult


def summarize_networks(spec: ModelSpec | None, batch_size: int) -> tuple[SummaryResult, list[str]]:
    """Count the parameters and operations of one network, or of all registered ones.

    Returns:
        The figures, and torchinfo's table for each network.

    Raises:
        MnistCliError: the network cannot be made.
    """
    specs = [spec] if spec else list(MODELS.values())
    pairs = [count_operations(spec.name, build(spec, seed=0), batch_size) for spec in specs]
    return SummaryResult(tuple(figures for figures, _ in pairs)), [table for _, table in pairs]
