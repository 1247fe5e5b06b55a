"""The conditions that decide a result together with its seed, and how two comparisons differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mnist_cli.schema.comparison import ModelRuns
from mnist_cli.schema.datasets import DatasetInfo
from mnist_cli.schema.results import Environment

Conditions = Mapping[str, Any]
Key = tuple[str, ...]
NETWORKS = "networks"
THREADS = ("environment", "threads")
OF_NETWORK = ("code", "precision", "parameters", "mult_adds")
UNKNOWN_IF_FAILED = {"precision", "parameters", "mult_adds"}  # of a network that cannot be made


@dataclass(frozen=True)
class Difference:
    """One condition that differs; None is what one side does not have.

    If only one side has a network, the key ends with its name, and each side is a bool.
    """

    key: Key
    was: Any
    now: Any

    @property
    def name(self) -> str:
        """What a person reads: `mlp lr`, `dataset sha256`, `torch`."""
        first, *others = self.key
        return " ".join(others if first in {NETWORKS, "environment"} else self.key)

    def __str__(self) -> str:
        """Such as `mlp lr 0.01, now 0.1`, `without cnn`, or `nets.py of cnn has changed since`."""
        match self.key:
            case ("networks", network):
                return f"{'with' if self.was else 'without'} {network}"
            case (_, network, "code", file):
                return f"{file} of {network} has changed since"
            case _:
                return f"{self.name} {self.was}, now {self.now}"


def conditions(
    models: Sequence[ModelRuns],
    dataset: DatasetInfo,
    environment: Environment,
    target: float | None,
    number_of_seeds: str,
) -> dict[str, Any]:
    """What decides the result of a run together with its seed, as nested JSON.

    The order of `models` does not matter. `number_of_seeds` tells how it is decided: verdicts on a
    fixed number of seeds and then on added ones would be false in more than 5 %.
    """
    return {
        NETWORKS: {
            model.model: asdict(model.protocol) | {key: getattr(model, key) for key in OF_NETWORK}
            for model in models
        },
        "dataset": {"name": dataset.name, "sha256": dataset.sha256},
        "environment": environment.deciding,
        "target": target,
        "number of seeds": number_of_seeds,
    }


def differences(was: Conditions, now: Conditions) -> list[Difference]:
    """Where two conditions differ; first the networks that only one of them has."""
    known, wanted = was[NETWORKS], now[NETWORKS]
    found = [
        Difference((NETWORKS, name), name in known, name in wanted)
        for name in {**known, **wanted}
        if (name in known) != (name in wanted)
    ]
    missing = {difference.key for difference in found}
    one, other = dict(_flatten(was)), dict(_flatten(now))
    for key in one | other:
        sides = one.get(key), other.get(key)
        unknown = key[-1] in UNKNOWN_IF_FAILED and None in sides
        if sides[0] != sides[1] and key[:2] not in missing and not unknown:
            found.append(Difference(key, *sides))
    return found


def _flatten(tree: Conditions, above: Key = ()) -> Iterator[tuple[Key, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, (*above, key))
        else:
            yield (*above, key), value
