"""stub"""

from dataclasses import dataclass

from mnist_cli.schema.record import Record


@dataclass(frozen=True)
class Augmentation(Record):
    shift: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.shift)

    def __str__(self) -> str:
        return "none"


def parse_augmentation(text: str) -> Augmentation:
    return Augmentation()
