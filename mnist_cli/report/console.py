"""Standard output: Rich for a person, JSON for a script."""

import os
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table

from mnist_cli.schema.record import Sealed, seal, to_json
from mnist_cli.system.streams import visible

WIDTH_OF_A_FILE = 200  # wide enough for every sentence
LEAST_WIDTH = 80  # for the tables: a narrower terminal breaks lines, but cuts no number


def stdout_console(width_of_a_file: int = LEAST_WIDTH) -> Console:
    """A console with the width of the terminal or of COLUMNS, else `width_of_a_file`."""
    fixed = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(
        file=sys.stdout, width=width_of_a_file if fixed else None, highlight=False, markup=False
    )


def show(*parts: RenderableType) -> None:
    """Print for a person, tables between blank lines."""
    console = stdout_console(WIDTH_OF_A_FILE)
    console.width = max(console.width, LEAST_WIDTH)
    for part in parts:
        match part:
            case Table():
                console.print(Padding(part, (1, 0), expand=False))
            case str():
                console.print(visible(part))
            case _:
                console.print(part)


def show_verbatim(text: str) -> None:
    """Print text line by line as it is."""
    sys.stdout.writelines(f"{visible(line)}\n" for line in text.split("\n"))


def json_document(result: Any) -> str:
    """A result, a dataclass, as an indented JSON document; a Sealed one has its checksum."""
    return to_json(seal(result) if isinstance(result, Sealed) else result, indent=2) + "\n"


def show_json(result: Any) -> None:
    """Print a result, a dataclass, as one JSON document."""
    sys.stdout.write(json_document(result))


def emit(result: Any, render: Callable[[Any], list[RenderableType]], *, as_json: bool) -> None:
    """Print a result as JSON, or as `render` draws it."""
    if as_json:
        show_json(result)
    else:
        show(*render(result))
