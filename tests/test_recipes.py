"""Protocols from settings: defaults of each optimizer, and settings that mean nothing."""

from dataclasses import replace
from typing import Any

import pytest

from mnist_cli.errors import UsageError
from mnist_cli.networks.registry import MODELS, resolve
from mnist_cli.schema.augmentation import Augmentation
from mnist_cli.schema.protocol import Optimizer, Protocol, Recipe, Schedule, Settings
from mnist_cli.training.recipes import protocol_of, settings_of

MLP = resolve("mlp")


def test_without_settings_the_protocol_is_the_articles() -> None:
    assert protocol_of(Settings(), MLP) == Protocol()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(optimizer=Optimizer.SGD), {"lr": 0.01, "momentum": 0.9}),
        (Settings(optimizer=Optimizer.SGD, lr=0.1, momentum=0.0), {"lr": 0.1, "momentum": 0.0}),
        (Settings(optimizer=Optimizer.ADAMW), {"lr": 0.001, "weight_decay": 0.01}),
        (Settings(optimizer=Optimizer.ADAMW, weight_decay=0.0), {"weight_decay": 0.0}),
        (Settings(schedule=Schedule.ONE_CYCLE), {"warmup": 0.3}),
        (Settings(schedule=Schedule.ONE_CYCLE, warmup=0.0), {"warmup": 0.0}),
        (Settings(schedule=Schedule.COSINE), {"warmup": 0.0}),
        (Settings(Recipe.FAST, schedule=Schedule.COSINE), {"warmup": 0.3, "lr": 0.02}),
        (
            Settings(augment=Augmentation(shift=2, rotate=10)),
            {"augment": Augmentation(shift=2, rotate=10)},
        ),
        (Settings(shuffle_pixels=True), {"shuffle_pixels": True}),
    ],
)
def test_a_setting_has_defaults_that_fit_it(settings: Settings, expected: dict[str, Any]) -> None:
    protocol = protocol_of(settings, MLP)
    assert {key: getattr(protocol, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(momentum=0.5), "--momentum is a setting of SGD; give --optimizer sgd"),
        (Settings(nesterov=True, optimizer=Optimizer.ADAMW), "--nesterov is a setting of SGD"),
        (
            Settings(nesterov=True, optimizer=Optimizer.SGD, momentum=0.0),
            "--nesterov needs a --momentum above 0",
        ),
        (Settings(Recipe.FAST, optimizer=Optimizer.SGD), "no learning rate for sgd; give --lr"),
    ],
)
def test_a_setting_without_meaning_is_refused(settings: Settings, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        protocol_of(settings, MLP)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("recipe", Recipe)
@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"epochs": 3, "batch_size": 32, "lr": 0.5},
        {"optimizer": Optimizer.SGD, "lr": 0.01},
        {"optimizer": Optimizer.SGD, "momentum": 0.0, "lr": 0.02, "weight_decay": 0.1},
        {"optimizer": Optimizer.SGD, "lr": 0.001},
        {"optimizer": Optimizer.ADAMW, "lr": 0.002},
        {"optimizer": Optimizer.ADAMW, "weight_decay": 0.0, "lr": 0.002},
        {"schedule": Schedule.ONE_CYCLE, "warmup": 0.0},
        {"schedule": Schedule.CONSTANT, "warmup": 0.1},
        {"augment": Augmentation(shift=2), "shuffle_pixels": True},
    ],
)
def test_the_settings_of_a_protocol_give_it_again(
    name: str, recipe: Recipe, chosen: dict[str, Any]
) -> None:
    protocol = protocol_of(Settings(recipe, **chosen), resolve(name))
    found = settings_of(protocol, resolve(name))
    assert protocol_of(Settings(**found), resolve(name)) == protocol


def test_the_recipes_own_settings_are_not_repeated() -> None:
    assert settings_of(Protocol(), MLP) == {}
    fast = protocol_of(Settings(Recipe.FAST), MLP)
    assert settings_of(fast, MLP) == {"recipe": Recipe.FAST}
    assert settings_of(replace(fast, epochs=9), MLP) == {"recipe": Recipe.FAST, "epochs": 9}
