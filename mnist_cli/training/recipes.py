"""Protocols by name: the article's, and a fast one for each network.

The values of the fast ones were chosen by accuracy on 10,000 training images that were held out;
the test images played no part. tests/benchmarks/tune.py chose them, tune.log has its figures.
"""

from dataclasses import replace

from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.protocol import Protocol, Recipe, Schedule, Settings


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


def protocol_of(settings: Settings, model: ModelSpec) -> Protocol:
    """The protocol of a recipe for `model`, overridden by explicit `settings`."""
    base = FAST.get(model.name, FAST_CUSTOM) if settings.recipe == Recipe.FAST else Protocol()
    given = {name: getattr(settings, name) for name in ("epochs", "batch_size", "lr", "dropout")}
    return replace(base, **{name: value for name, value in given.items() if value is not None})
