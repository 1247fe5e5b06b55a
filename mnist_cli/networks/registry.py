"""Names of networks: the registered ones, and targets in a user's own code."""

import ast
import re
from contextlib import suppress
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
MOST_SHOWN = 60  # characters of a call that cannot be read
# `nets.py:Net` or `nets.py:Net(hidden=128)`: the source, the name, and a call if any.
TARGET = re.compile(r"(?P<source>.+?):(?P<attribute>[^\W\d]\w*)(?P<call>\(.*\))?", re.DOTALL)


def resolve(name: str) -> ModelSpec:
    """Find a network by its registered name, in any case, or parse a custom target.

    A target may end in a call with literals, `nets.py:Net(hidden=128)`. This runs and imports no
    code. Raises UsageError if `name` is neither, or its call cannot be parsed.
    """
    spec = MODELS.get(name.lower())
    if spec is not None:
        return spec
    if match := TARGET.fullmatch(name):
        source, attribute, call = match.groups()
        if re.search("[\ud800-\udfff]", name):  # bytes of a command line that are not UTF-8
            raise UsageError(f"{name}: the name is not UTF-8; rename the file or its folder")
        if source.endswith(".py"):  # ./nets.py and nets.py are one file
            source = str(Path(source))
        target = f"{source}:{attribute}"
        arguments, keywords, normal = _parse_call(target, call) if call else ((), {}, "")
        return ModelSpec(target + normal, target, True, arguments, keywords)
    if name.endswith(".py"):
        raise UsageError(f"write {name}:NAME to say which network of the file")
    raise UsageError(
        f"unknown model '{name}'{did_you_mean(name.lower(), MODELS)}: choose from "
        f"{', '.join(MODELS)}, or give package.module:Name or path/file.py:Name"
    )


def call_of(name: str) -> str:
    """The call in a custom network's name, such as `(hidden=128)`, or an empty string."""
    match = TARGET.fullmatch(name)
    return (match["call"] or "") if match else ""


class _SetSorter(ast.NodeTransformer):
    """Sorts the items of sets, whose order differs between processes."""

    def visit_Set(self, node: ast.Set) -> ast.Set:
        items = {ast.unparse(item): item for item in node.elts}
        return ast.Set([items[text] for text in sorted(items)])


def _parse_call(target: str, call: str) -> tuple[tuple[Any, ...], dict[str, Any], str]:
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
    shown = call if len(call) <= MOST_SHOWN else f"{call[:MOST_SHOWN]}...)"
    raise UsageError(
        f"cannot read {target}{shown}: arguments are literals, such as "
        f'{target}(hidden=128, act="relu")'
    )
