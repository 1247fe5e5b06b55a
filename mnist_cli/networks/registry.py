"""Names of networks: the built-in table, and targets that point at a user's own code."""

import ast
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from mnist_cli.errors import UsageError
from mnist_cli.schema.networks import ModelSpec

MODELS = {
    "mlp": ModelSpec("mlp", "mnist_cli.networks.article:MLP"),
    "tinycnn": ModelSpec("tinycnn", "mnist_cli.networks.article:TinyCNN"),
    "cnn": ModelSpec("cnn", "mnist_cli.networks.article:CNN"),
    "strongcnn": ModelSpec("strongcnn", "mnist_cli.networks.article:StrongCNN"),
}
# `nets.py:Net` or `nets.py:Net(hidden=128)`: where the code is, its name, and a call if any.
TARGET = re.compile(r"(?P<source>.+?):(?P<attribute>[^\W\d]\w*)(?P<call>\(.*\))?", re.DOTALL)


def resolve(name: str) -> ModelSpec:
    """Find a network by its registered name, in any case, or take a custom target.

    A target may end in a call with literals, `nets.py:Net(hidden=128)`. It is parsed and never
    evaluated as code; nothing is imported yet.

    Raises:
        UsageError: `name` is neither, which lists the registered names, or the call is no such one.
    """
    spec = MODELS.get(name.lower())
    if spec is not None:
        return spec
    if match := TARGET.fullmatch(name):
        source, attribute, call = match.groups()
        if source.endswith(".py"):  # ./nets.py and nets.py are one file
            source = str(Path(source))
        target = f"{source}:{attribute}"
        arguments, keywords = _literals(target, call) if call else ((), {})
        return ModelSpec(target + _written(arguments, keywords), target, True, arguments, keywords)
    if name.endswith(".py"):
        raise UsageError(f"write {name}:NAME to say which network of the file")
    raise UsageError(
        f"unknown model '{name}': choose from {', '.join(MODELS)}, "
        "or give package.module:Name or path/file.py:Name"
    )


def call_of(name: str) -> str:
    """The arguments in a custom network's name: `(hidden=128)`; empty where there are none."""
    match = TARGET.fullmatch(name)
    return (match["call"] or "") if match else ""


def _literals(target: str, call: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The values of a call's arguments; raises UsageError where one is no literal."""
    with suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        match ast.parse(f"_{call}", mode="eval").body:
            case ast.Call(ast.Name(), values, words) if all(word.arg for word in words):
                return (
                    tuple(map(ast.literal_eval, values)),
                    {str(word.arg): ast.literal_eval(word.value) for word in words},
                )
    raise UsageError(
        f"cannot read {target}{call}: arguments are literals, such as "
        f'{target}(hidden=128, act="relu")'
    )


def _written(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    """A call in one way, so that a network has one name: `(128, act='relu')`, or nothing."""
    words = [*map(repr, arguments), *(f"{key}={keywords[key]!r}" for key in sorted(keywords))]
    return f"({', '.join(words)})" if words else ""
