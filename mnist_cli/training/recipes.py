"""Protocols by name: the article's, and a fast one for each network.

tests/benchmarks/tune.py chose the values of the fast ones by accuracy on 10,000 held-out training
images, without the test images; tune.log has the figures.
"""

from dataclasses import replace
from functools import partial
from typing import Any

from mnist_cli.errors import UsageError
from mnist_cli.networks.registry import plain_name
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.protocol import Optimizer, Protocol, Recipe, Schedule, Settings

# A fast protocol: few epochs, and a learning rate that rises to `lr` and falls to zero.
one_cycle = partial(Protocol, recipe=Recipe.FAST, schedule=Schedule.ONE_CYCLE, warmup=0.3)

FAST = {
    "mlp": one_cycle(epochs=4, batch_size=128, lr=0.02, beta2=0.98),
    "tinycnn": one_cycle(epochs=2, batch_size=128, lr=0.02, beta2=0.98),
    "cnn": one_cycle(epochs=1, batch_size=64, lr=0.02, beta2=0.999),
    # A network cannot overfit in a single epoch, and dropout would only slow the training.
    "strongcnn": one_cycle(epochs=1, batch_size=64, lr=0.008, beta2=0.98, dropout=0),
}
FAST_CUSTOM = one_cycle(epochs=2, batch_size=128, lr=0.005, beta2=0.98)


# Defaults that the recipe does not decide: those of Keras for SGD, of torch for AdamW, and of
# fastai and torch's OneCycleLR for the part of a cycle in which the learning rate rises.
SGD_LR, SGD_MOMENTUM, ADAMW_DECAY, ONE_CYCLE_WARMUP = 0.01, 0.9, 0.01, 0.3


def protocol_of(settings: Settings, model: ModelSpec) -> Protocol:
    """The protocol of a recipe for `model`, overridden by explicit `settings`.

    Raises UsageError if a setting means nothing with the optimizer, or has no default with it.
    """
    base = Protocol()
    if settings.recipe == Recipe.FAST:
        base = FAST.get(plain_name(model.name), FAST_CUSTOM)
    given = {key: value for key, value in vars(settings).items() if value is not None}
    del given["precision"]
    optimizer = given.get("optimizer", base.optimizer)
    for key in ("momentum", "nesterov"):
        if key in given and optimizer != Optimizer.SGD:
            raise UsageError(f"--{key} is a setting of SGD; give --optimizer sgd, or drop it")
    if settings.recipe == Recipe.FAST and optimizer != base.optimizer and "lr" not in given:
        raise UsageError(f"the fast recipe has no learning rate for {optimizer}; give --lr too")
    if optimizer == Optimizer.SGD:
        given = {"lr": SGD_LR, "momentum": SGD_MOMENTUM} | given
    if optimizer == Optimizer.ADAMW:
        given = {"weight_decay": ADAMW_DECAY} | given
    if given.get("schedule", base.schedule) == Schedule.ONE_CYCLE and not base.warmup:
        given = {"warmup": ONE_CYCLE_WARMUP} | given
    protocol = replace(base, **given)
    if protocol.nesterov and not protocol.momentum:
        raise UsageError("--nesterov needs a --momentum above 0, e.g. 0.9")
    return protocol


def settings_of(protocol: Protocol, model: ModelSpec) -> dict[str, Any]:
    """The settings, by name, that give `protocol` for `model` and differ from the recipe's.

    `protocol_of` with these settings returns `protocol`.
    """
    recipe = protocol_of(Settings(protocol.recipe), model)
    chosen = {key: getattr(protocol, key) for key in ("lr", "optimizer", "schedule")}
    usual = protocol_of(Settings(protocol.recipe, **chosen), model)
    usual = replace(usual, recipe=Settings.recipe, **{key: getattr(recipe, key) for key in chosen})
    found = {key: value for key, value in vars(protocol).items() if value != getattr(usual, key)}
    if "optimizer" in found:
        found["lr"] = protocol.lr  # the recipe's is of another optimizer
    return found
