"""The name of a network, and where its code is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ModelSpec:
    """A network by name. `target` is `package.module:Name` or `path/file.py:Name`.

    The program calls Name with the literals `arguments` and `keywords`, which `name` includes. The
    code can also import from `folders`.
    """

    name: str
    target: str
    custom: bool = False
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)
    folders: tuple[str, ...] = ()

    @property
    def short_name(self) -> str:
        """The name as part of a file name: `mlp`, or `Net` for `my/file.py:Net(3)`."""
        return (self.target if self.custom else self.name.partition("(")[0]).rpartition(":")[2]
