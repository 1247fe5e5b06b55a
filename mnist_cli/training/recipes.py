"""Protocols by name: the article's, and a fast one for each network.

tests/benchmarks/tune.py chose the values of the fast ones by accuracy on 10,000 held-out training
images, without the test images; tune.log has the figures.
"""

from dataclasses import replace

from mnist_cli.networks.registry import plain_name
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.protocol import Protocol, Recipe, Schedule, Settings


def one_cycle(
    epochs: int, batch_size: int, lr: float, beta2: float, dropout: float = 1.0
) -> Protocol:
    """A fast protocol: few epochs, and a learning rate that rises to `lr` and falls to zero."""
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
    # A network cannot overfit in a single epoch, and dropout would only slow the training.
    "strongcnn": one_cycle(epochs=1, batch_size=64, lr=0.008, beta2=0.98, dropout=0),
}
FAST_CUSTOM = one_cycle(epochs=2, batch_size=128, lr=0.005, beta2=0.98)


def protocol_of(settings: Settings, model: ModelSpec) -> Protocol:
    """The protocol of a recipe for `model`, with any arguments, overridden by `settings`."""
    fast = FAST.get(plain_name(model.name), FAST_CUSTOM)
    base = fast if settings.recipe == Recipe.FAST else Protocol()
    given = {name: getattr(settings, name) for name in ("epochs", "batch_size", "lr", "dropout")}
    return replace(base, **{name: value for name, value in given.items() if value is not None})
