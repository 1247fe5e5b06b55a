"""Names of networks: the built-in table, and targets that point at a user's own code."""

from pathlib import Path

from mnist_cli.errors import UsageError
from mnist_cli.schema.networks import ModelSpec

MODELS = {
    "mlp": ModelSpec("mlp", "mnist_cli.networks.article:MLP"),
    "tinycnn": ModelSpec("tinycnn", "mnist_cli.networks.article:TinyCNN"),
    "cnn": ModelSpec("cnn", "mnist_cli.networks.article:CNN"),
    "strongcnn": ModelSpec("strongcnn", "mnist_cli.networks.article:StrongCNN"),
}


def resolve(name: str) -> ModelSpec:
    """Find a network by its registered name, in any case, or take a custom target.

    Nothing is imported yet.

    Raises:
        UsageError: `name` is neither; the message lists the registered names.
    """
    spec = MODELS.get(name.lower())
    if spec is not None:
        return spec
    source, _, attribute = name.rpartition(":")
    if source and attribute.isidentifier():
        if source.endswith(".py"):  # ./nets.py and nets.py are one file
            name = f"{Path(source)}:{attribute}"
        return ModelSpec(name, name, custom=True)
    if name.endswith(".py"):
        raise UsageError(f"write {name}:NAME to say which network of the file")
    raise UsageError(
        f"unknown model '{name}': choose from {', '.join(MODELS)}, "
        "or give package.module:Name or path/file.py:Name"
    )
