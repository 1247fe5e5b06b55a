"""Protocols by name: the article's, and a fast one for each network.

The fast ones were chosen on 10,000 of the training images, held out, and without a look at the
test images: tests/benchmarks/tune.py does it, and its log is beside it.
"""

from dataclasses import replace

from mnist_cli.config import Protocol, Recipe, Schedule
from mnist_cli.registry import ModelSpec


def one_cycle(
    epochs: int, batch_size: int, lr: float, beta2: float, dropout: float = 1.0
) -> Protocol:
    """A fast protocol: few epochs, and a rate that rises to `lr` and falls again."""
    return Protocol(
        recipe=Recipe.FAST,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        beta2=beta2,
        schedule=Schedule.ONE_CYCLE,
        warmup=0.3,
        dropout=dropout,
    )


FAST = {
    "mlp": one_cycle(epochs=4, batch_size=128, lr=0.02, beta2=0.98),
    "tinycnn": one_cycle(epochs=2, batch_size=128, lr=0.02, beta2=0.98),
    "cnn": one_cycle(epochs=1, batch_size=64, lr=0.02, beta2=0.999),
    # A single epoch is too short to overfit, and dropout only slows it.
    "strongcnn": one_cycle(epochs=1, batch_size=64, lr=0.008, beta2=0.98, dropout=0),
}
FAST_CUSTOM = one_cycle(epochs=2, batch_size=128, lr=0.005, beta2=0.98)


def protocol(
    recipe: Recipe,
    model: ModelSpec,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
) -> Protocol:
    """The protocol of `recipe` for `model`, with what is not None in place of the recipe's.

    Raises:
        UsageError: a value is out of range.
    """
    base = FAST.get(model.name, FAST_CUSTOM) if recipe == Recipe.FAST else Protocol()
    return replace(
        base,
        epochs=base.epochs if epochs is None else epochs,
        batch_size=base.batch_size if batch_size is None else batch_size,
        lr=base.lr if lr is None else lr,
    )
