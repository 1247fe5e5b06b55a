"""`--vary`: parses settings with several values, and combines them into entries."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from itertools import product

from mnist_cli.errors import UsageError
from mnist_cli.schema.augmentation import Augmentation, parse_augmentation
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.options import Entry, written
from mnist_cli.schema.protocol import Settings
from mnist_cli.schema.record import from_strings
from mnist_cli.training.recipes import protocol_of

Value = str | bool | int | float | Augmentation
Values = tuple[Value, ...]
KEYS = {field.name.replace("_", "-"): field.name for field in fields(Settings)}


def parse_varied(texts: Sequence[str]) -> dict[str, Values]:
    """Parse `["lr=0.001,0.003"]` as `{"lr": (0.001, 0.003)}`.

    Raises UsageError if a text has another form, or repeats a setting or value, or is out of range.
    """
    varied: dict[str, Values] = {}
    for text in texts:
        key, equals, listed = text.lower().partition("=")
        if not equals or key not in KEYS:
            raise UsageError(
                f"--vary {text}: give one of {', '.join(KEYS)} with its values, "
                "such as lr=0.001,0.003"
            )
        if key in varied:
            raise UsageError(f"--vary {key} is given twice; list all its values in one")
        varied[key] = tuple(_parse_value(key, value) for value in listed.split(","))
        if len(set(map(written, varied[key]))) < len(varied[key]):
            raise UsageError(f"--vary {text} has a value twice (to ten digits); give each once")
    return varied


def combine(
    models: Sequence[ModelSpec], settings: Settings, varied: Mapping[str, Values]
) -> tuple[Entry, ...]:
    """Pair each network with each combination of `varied` values; `settings` give the others."""
    entries = []
    for model in models:
        for values in product(*varied.values()):
            chosen = dict(zip(varied, values, strict=True))
            own = replace(settings, **{KEYS[key]: chosen[key] for key in chosen})  # type: ignore[arg-type]
            plain = {
                key: str(value) if isinstance(value, Augmentation) else value
                for key, value in chosen.items()
            }
            entries.append(Entry(model, protocol_of(own, model), own.precision, plain))
    return tuple(entries)


def _parse_value(key: str, text: str) -> Value:
    if key == "augment":
        try:
            return parse_augmentation(text)
        except ValueError as error:
            raise UsageError(f"--vary augment: {error}") from error
    try:
        settings = from_strings(Settings, {KEYS[key]: text})
    except ValueError as error:
        reason = str(error).partition("Input ")[2].partition(", unable")[0]
        reason = reason.replace("a valid boolean", "on or off")
        raise UsageError(f"--vary {key}={text}: it {reason}") from error
    value: Value = getattr(settings, KEYS[key])
    return value
