"""A network by name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelSpec:
    """A network by name. `target` is `package.module:Name` or `path/file.py:Name`."""

    name: str
    target: str
    custom: bool = False

    @property
    def short_name(self) -> str:
        """The name as part of a file name: `strongcnn`, or `net` for `my/file.py:Net`."""
        return self.name.rpartition(":")[2].lower()
