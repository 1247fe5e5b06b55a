"""The conditions of a comparison, which decide a run together with its seed; how two differ."""

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
UNKNOWN_IF_FAILED = {"precision", "parameters", "mult_adds"}  # if a network cannot be built


@dataclass(frozen=True)
class Difference:
    """A condition that differs; a value is None if that side does not have the condition.

    If only one side has a network, the key ends with its name, and the values are bools.
    """

    key: Key
    was: Any
    now: Any

    @property
    def name(self) -> str:
        """The condition as text: `mlp lr`, `dataset sha256`, `torch`."""
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
    """All that, with the seed, decides the result of a run, as nested JSON.

    The order of `models` does not matter. `number_of_seeds` says how that number is chosen: if
    seeds were added to a fixed number, more than 5 % of verdicts could be false.
    """
    return {
        NETWORKS: {
            model.model: asdict(model.protocol) | {key: getattr(model, key) for key in OF_NETWORK}
            for model in models
        },
        "dataset": {
            "name": dataset.name,
            "hold-out": dataset.hold_out,
            "sha256": dataset.sha256,
        },
        "environment": environment.deciding,
        "target": target,
        "number of seeds": number_of_seeds,
    }


def differences(was: Conditions, now: Conditions) -> list[Difference]:
    """List where two sets of conditions differ; first the networks that only one of them has."""
    before, after = was[NETWORKS], now[NETWORKS]
    found = [
        Difference((NETWORKS, name), name in before, name in after)
        for name in {**before, **after}
        if (name in before) != (name in after)
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
