"""Writes dataclasses as JSON, and reads them with checks of the types of their fields."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from annotated_types import Interval

if TYPE_CHECKING:
    from pydantic import TypeAdapter

# Escapes in JSON: a backslash, a surrogate pair, and a lone surrogate.
SURROGATES = r"\\\\|\\ud[89ab]..\\ud[c-f]..|(?P<lone>\\ud[89a-f]..)"
MOST = 2**63 - 1  # so that sums and products of numbers from a file are finite
Count = Annotated[int, Interval(ge=0, le=MOST)]
Positive = Annotated[int, Interval(ge=1, le=MOST)]

T = TypeVar("T", bound="Record")
S = TypeVar("S", bound="Sealed")


class Record:
    """Base of the dataclasses that are written to files, with settings of pydantic.

    Reading rejects a wrong type, NaN or infinity, and ignores unknown fields, which a newer version
    may have written. The docstring under a field describes it in the JSON schema.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "strict": True,
        "allow_inf_nan": False,
        "use_attribute_docstrings": True,
        "json_schema_serialization_defaults_required": True,
    }


@dataclass(frozen=True, kw_only=True)
class Sealed(Record):
    """A record with a checksum, which reveals changes."""

    checksum: str = ""
    """First 16 hex digits of the SHA-256 of all fields as JSON on one line, with sorted keys, this
    field empty and all numbers as floats, so that other programs may reformat the file."""


def seal(record: S) -> S:
    """Add the checksum to a record."""
    return replace(record, checksum=_checksum(json.loads(to_json(record), parse_int=float)))


def check_seal(text: str | bytes) -> None:
    """Raise ValueError if the checksum of a sealed document is wrong.

    The checksum covers all its fields, because another version may have written more or fewer.
    """
    document = json.loads(text, parse_int=float)
    if document.get("checksum") != _checksum(document):
        raise ValueError("its checksum is another one, so it was changed")


def _checksum(document: Mapping[str, Any]) -> str:
    text = json.dumps({**document, "checksum": ""}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def to_json(record: Any, indent: int | None = None) -> str:
    """A dataclass as one JSON document, on one line unless `indent` is given.

    A byte of a file name that is not UTF-8 becomes a doubly escaped surrogate. Raises ValueError if
    a number is NaN or infinite.
    """
    text = json.dumps(asdict(record), indent=indent, allow_nan=False)
    return re.sub(SURROGATES, lambda match: rf"\{match[0]}" if match["lone"] else match[0], text)


def from_json(kind: type[T], text: str | bytes) -> T:
    """Read what `to_json` wrote as an instance of `kind`, a dataclass or a union of dataclasses.

    Raises ValueError if `text` is not JSON, or for the first field that is missing or invalid.
    """
    with _one_reason():
        record: T = adapter(kind).validate_json(text)  # type: ignore[arg-type]
    return record


def from_strings(kind: type[T], values: Mapping[str, str]) -> T:
    """Read strings as the fields of an instance of `kind`; raises ValueError as `from_json`."""
    with _one_reason():
        record: T = adapter(kind).validate_strings(values)  # type: ignore[arg-type]
    return record


@contextmanager
def _one_reason() -> Iterator[None]:
    """Turn a ValidationError of pydantic into a ValueError for the first invalid field."""
    from pydantic import ValidationError

    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from None


@cache
def adapter(kind: Any) -> "TypeAdapter[Any]":
    """Pydantic's adapter of `kind`; imported here, as the import takes 0.05 s."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
