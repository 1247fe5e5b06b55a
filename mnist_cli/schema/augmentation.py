"""How training images are augmented, and the text in which a user writes it."""

import re
from dataclasses import dataclass, fields
from typing import Annotated

from annotated_types import Interval

from mnist_cli.errors import did_you_mean
from mnist_cli.schema.record import Record, from_strings


@dataclass(frozen=True)
class Augmentation(Record):
    """Random changes of each training image, in this order; 0 is no change.

    The first four are one affine transformation. training/augmentation.py has the definitions.
    """

    shift: Annotated[float, Interval(ge=0, le=14)] = 0.0
    """At most this many pixels, horizontally and vertically, rounded to whole pixels."""
    rotate: Annotated[float, Interval(ge=0, le=180)] = 0.0
    """At most this many degrees, in either direction."""
    scale: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    """The size is multiplied by a factor from 1 - scale to 1 + scale."""
    shear: Annotated[float, Interval(ge=0, le=45)] = 0.0
    """At most this many degrees, in either direction, parallel to the x-axis."""
    elastic: Annotated[float, Interval(ge=0, le=1000)] = 0.0
    """Strength of a smooth displacement, the alpha of torchvision's ElasticTransform."""
    erase: Annotated[float, Interval(ge=0, le=1)] = 0.0
    """The probability that a rectangle becomes black."""

    def __str__(self) -> str:
        """`shift=2+rotate=10`, or `none`; `parse_augmentation` reads it."""
        given = {name: getattr(self, name) for name in KINDS if getattr(self, name)}
        return "+".join(f"{name}={value:.10g}" for name, value in given.items()) or "none"

    def __bool__(self) -> bool:
        """Whether images are changed at all."""
        return self != NO_AUGMENTATION


NO_AUGMENTATION = Augmentation()
KINDS = tuple(field.name for field in fields(Augmentation))


def parse_augmentation(text: str) -> Augmentation:
    """Parse `shift=2,rotate=10`, also with + for the comma, or `none`.

    Raises ValueError with a message for the user if a part is unknown, is given twice, or has no
    number or one out of range.
    """
    if text.strip().lower() == "none":
        return NO_AUGMENTATION
    numbers: dict[str, str] = {}
    for part in re.split("[,+]", text.lower()):
        name, _, number = (word.strip() for word in part.partition("="))
        if name not in KINDS:
            raise ValueError(
                f"unknown augmentation '{name}'{did_you_mean(name, KINDS)}: give none, or some of "
                f"{', '.join(KINDS)} with their numbers, such as shift=2,rotate=10"
            )
        if name in numbers:
            raise ValueError(f"{name} is given twice; give it once")
        try:
            value = getattr(from_strings(Augmentation, {name: number}), name)
        except ValueError as error:
            reason = str(error).partition("Input ")[2].partition(", unable")[0]
            raise ValueError(f"{name}={number}: it {reason}") from None
        if name == "shift" and 0 < value <= 0.5:
            raise ValueError(f"{name}={number} moves no image: shifts are whole pixels; give 1")
        numbers[name] = number
    return from_strings(Augmentation, numbers)
