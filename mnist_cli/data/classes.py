"""The order of classes, and the numbers that labels have for them."""

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray


def order_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Order names: by value if all are whole numbers, else by letter."""
    names = list(names)
    numbers = all(re.fullmatch(r"-?[0-9]{1,15}", name) for name in names)
    return tuple(sorted(names, key=lambda name: (int(name) if numbers else 0, name)))


def renumber(
    labels: NDArray[np.integer], names: Sequence[str], classes: Sequence[str]
) -> NDArray[np.unsignedinteger]:
    """Make labels, positions in `names`, positions in `classes`, which has all of the names."""
    places = {name: place for place, name in enumerate(classes)}
    mapping = np.array([places[name] for name in names], choose_label_type(classes))
    numbered: NDArray[np.unsignedinteger] = mapping[labels]
    return numbered


def choose_label_type(classes: Sequence[str]) -> np.dtype[np.unsignedinteger]:
    """The type of labels: with ten classes the one of MNIST's files, and so the same hash."""
    return np.dtype(np.uint8 if len(classes) <= 256 else np.uint16)
