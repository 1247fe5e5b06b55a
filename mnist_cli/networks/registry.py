"""Names of networks: the registered ones, and targets in a user's own code."""

import ast
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from mnist_cli.errors import UsageError, did_you_mean
from mnist_cli.schema.networks import ModelSpec

MODELS = {
    "mlp": ModelSpec("mlp", "mnist_cli.networks.article:MLP"),
    "tinycnn": ModelSpec("tinycnn", "mnist_cli.networks.article:TinyCNN"),
    "cnn": ModelSpec("cnn", "mnist_cli.networks.article:CNN"),
    "strongcnn": ModelSpec("strongcnn", "mnist_cli.networks.article:StrongCNN"),
}
# The arguments of the registered networks, with the defaults of their classes.
ARGUMENTS: dict[str, dict[str, int | float]] = {
    "mlp": {"hidden": 32},
    "tinycnn": {"channels": 4},
    "cnn": {"channels": 8, "hidden": 32},
    "strongcnn": {"channels": 32, "hidden": 128, "dropout": 0.25},
}
LIMITS = {"channels": (1, 1000), "hidden": (1, 10_000), "dropout": (0, 0.5)}
# A path such as `cnn (copy)/nets.py:Net` is none, because it has a colon.
REGISTERED = re.compile(rf"\s*(?P<name>{'|'.join(MODELS)})\s*(?P<call>\([^:]*)?")
EXAMPLE = "mlp(hidden=128)"
MOST_SHOWN = 60  # characters of a part that is wrong
# `nets.py:Net` or `nets.py:Net(hidden=128)`: the source, the name, and a call if any.
TARGET = re.compile(r"(?P<source>.+?):(?P<attribute>[^\W\d]\w*)(?P<call>\(.*\))?", re.DOTALL)


def resolve(name: str) -> ModelSpec:
    """Find a network by its registered name, in any case, or parse a custom target.

    Both may end in a call with literals, `mlp(hidden=128)` or `nets.py:Net(hidden=128)`. This runs
    and imports no code. Raises UsageError if `name` is neither, its call cannot be parsed, or a
    registered network does not take the arguments.
    """
    if spec := find_registered(name):
        return spec
    if match := TARGET.fullmatch(name):
        source, attribute, call = match.groups()
        if re.search("[\ud800-\udfff]", name):  # bytes of a command line that are not UTF-8
            raise UsageError(f"{name}: the name is not UTF-8; rename the file or its folder")
        if source.endswith(".py"):  # ./nets.py and nets.py are one file
            source = str(Path(source))
        target = f"{source}:{attribute}"
        example = f'{target}(hidden=128, act="relu")'
        arguments, keywords, normal = _parse_call(target, call or "()", example)
        return ModelSpec(target + normal, target, True, arguments, keywords)
    if name.endswith(".py"):
        raise UsageError(f"write {name}:NAME to say which network of the file")
    hint = did_you_mean(name.partition("(")[0].lower(), MODELS)
    raise UsageError(
        f"unknown model '{name}'{hint}: choose from {', '.join(MODELS)}, with arguments such as "
        f"{EXAMPLE}, or give package.module:Name or path/file.py:Name"
    )


def find_registered(name: str) -> ModelSpec | None:
    """Find a registered network, with its arguments; None if `name` is not of one.

    The `name` of the result has the arguments sorted by name and without defaults, so that each
    network has one name: `cnn(channels=16)`. Raises UsageError as `resolve`.
    """
    match = REGISTERED.fullmatch(name.lower())
    if not match:
        return None
    plain, call = match.groups("()")
    defaults = ARGUMENTS[plain]
    values, keywords, _ = _parse_call(plain, call, f"{plain}({_join(defaults)})")
    _check_arguments(plain, values, keywords)
    given = {  # `or 0` makes one number of 0.0, -0.0 and 0
        key: value or 0 for key, value in sorted(keywords.items()) if value != defaults[key]
    }
    if not given:
        return MODELS[plain]
    return replace(MODELS[plain], name=f"{plain}({_join(given)})", keywords=given)


def _check_arguments(name: str, values: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
    """Raise UsageError if the registered network `name` does not take these arguments."""
    known = ARGUMENTS[name]
    if values:
        named = _join(dict(zip(known, values, strict=False)))
        raise UsageError(f"{name} takes its arguments by name: write {name}({_shorten(named)})")
    for key, value in keywords.items():
        if key not in known:
            hint = did_you_mean(key, known)
            raise UsageError(f"{name} takes {', '.join(known)}, not {_shorten(key)}{hint}")
        least, most = LIMITS[key]
        if type(value) not in {int, type(most)} or not least <= value <= most:
            kind = "a whole number" if isinstance(most, int) else "a number"
            raise UsageError(
                f"{key} of {name} is {kind} from {least} to {most:,}, not {_shorten(repr(value))}"
            )


def _join(keywords: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in keywords.items())


def _shorten(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def call_of(name: str) -> str:
    """The call in a network's name, such as `(hidden=128)`, or an empty string."""
    match = REGISTERED.fullmatch(name) or TARGET.fullmatch(name)
    return (match["call"] or "") if match else ""


def plain_name(name: str) -> str:
    """A network's name without a call: `cnn` for `cnn(channels=16)`."""
    return name.removesuffix(call_of(name))


class _SetSorter(ast.NodeTransformer):
    """Sorts the items of sets, whose order differs between processes."""

    def visit_Set(self, node: ast.Set) -> ast.Set:
        items = {ast.unparse(item): item for item in node.elts}
        return ast.Set([items[text] for text in sorted(items)])


def _parse_call(
    target: str, call: str, example: str
) -> tuple[tuple[Any, ...], dict[str, Any], str]:
    """Parse the arguments of a call; also return the call in normal form: `(128, act='relu')`."""
    with suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        match ast.parse(f"_{call}", mode="eval").body:
            case ast.Call(ast.Name(), values, words) if len(
                {word.arg for word in words} - {None}
            ) == len(words):
                arguments = tuple(map(ast.literal_eval, values))
                keywords = {str(word.arg): ast.literal_eval(word.value) for word in words}
                words.sort(key=lambda word: str(word.arg))
                texts = [ast.unparse(_SetSorter().visit(part)) for part in (*values, *words)]
                return arguments, keywords, f"({', '.join(texts)})" if texts else ""
    raise UsageError(
        f"cannot read {target}{_shorten(call)}: arguments are literals, such as {example}"
    )
