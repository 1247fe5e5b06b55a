"""`summary`: what networks cost before anything is trained."""

from mnist_cli import complexity, engine
from mnist_cli.config import (
    SummaryOptions,
)
from mnist_cli.registry import MODELS
from mnist_cli.results import (
    SummaryResult,
)


def summary(options: SummaryOptions) -> tuple[SummaryResult, list[str]]:
    """Count the parameters and operations of one network, or of all registered ones.

    Returns:
        The figures, and torchinfo's table for each network.

    Raises:
        MnistCliError: the network cannot be made.
    """
    specs = [options.model] if options.model else list(MODELS.values())
    pairs = [
        complexity.summarize(spec.name, engine.build(spec, seed=0), options.batch_size)
        for spec in specs
    ]
    return SummaryResult(tuple(figures for figures, _ in pairs)), [table for _, table in pairs]
