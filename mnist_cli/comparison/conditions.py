"""What decides a result beside its seed, and where two comparisons differ in that."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mnist_cli.schema.comparison import ModelRuns
from mnist_cli.schema.datasets import DatasetInfo
from mnist_cli.schema.results import Environment

Conditions = Mapping[str, Any]
NETWORKS = "networks"
THREADS = ("environment", "threads")
UNKNOWN_IF_FAILED = {"precision", "parameters", "mult_adds"}  # of a network that cannot be made


@dataclass(frozen=True)
class Difference:
    """One condition that differs; None is what one side does not have.

    Of a network that only one side has, the key ends with its name, and each side is a bool.
    """

    key: tuple[str, ...]
    was: Any
    now: Any

    @property
    def name(self) -> str:
        """What a person reads: `mlp lr`, `dataset sha256`, `torch`."""
        return " ".join(self.key[self.key[0] in {NETWORKS, "environment"} :])

    def __str__(self) -> str:
        """Such as `mlp lr 0.01, now 0.1`, `without cnn`, or that a file has changed since."""
        match self.key:
            case (_, network) if self.key[0] == NETWORKS:
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
    """All that decides the result of a run beside its seed, as nested JSON.

    Args:
        models: rows with or without runs; their order is no condition.
        dataset: the images.
        environment: of which `deciding` counts.
        target: accuracy to train up to.
        number_of_seeds: how it is decided. Verdicts at the full 5 % of a fixed number, and then
            others while seeds are added to it, would be false in more than 5 %.
    """
    of_network = ("code", "precision", "parameters", "mult_adds")
    return {
        NETWORKS: {
            model.model: asdict(model.protocol) | {key: getattr(model, key) for key in of_network}
            for model in models
        },
        "dataset": {"name": dataset.name, "sha256": dataset.sha256},
        "environment": environment.deciding,
        "target": target,
        "number of seeds": number_of_seeds,
    }


def differences(was: Conditions, now: Conditions) -> list[Difference]:
    """Where two conditions differ: first the networks that only one has, by name alone."""
    known, wanted = was[NETWORKS], now[NETWORKS]
    found = [
        Difference((NETWORKS, name), name in known, name in wanted)
        for name in {**known, **wanted}
        if (name in known) != (name in wanted)
    ]
    alone = {difference.key for difference in found}
    one, other = dict(_flat(was)), dict(_flat(now))
    return found + [
        Difference(key, one.get(key), other.get(key))
        for key in one | other
        if one.get(key) != other.get(key)
        and key[:2] not in alone
        and not (key[-1] in UNKNOWN_IF_FAILED and None in (one.get(key), other.get(key)))
    ]


def _flat(tree: Conditions, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, (*above, key))
        else:
            yield (*above, key), value
