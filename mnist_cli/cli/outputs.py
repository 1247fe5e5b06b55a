"""Output files, checked before any work is done: nothing of another kind is ever replaced.

A new kind of output is a row in `KINDS`.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mnist_cli.errors import UsageError
from mnist_cli.schema.options import STDOUT, ExportOptions

PICTURE_SUFFIXES = (".png", ".svg", ".pdf")
HEAD_BYTES = 1 << 24  # a checkpoint of many epochs has a long header


@dataclass(frozen=True)
class Output:
    """A file to be written: the option that names it, where it goes, and its kind in `KINDS`."""

    option: str
    path: Path
    kind: str


# For each kind of output, whether the first bytes of a file look like one of ours.
KINDS: dict[str, Callable[[bytes], bool]] = {
    "checkpoint": lambda head: b"mnist-cli-checkpoint-" in head,
    "journal": lambda head: b"mnist-cli-journal-" in head,
    "JSON export": lambda head: b'"schema_version"' in head[:100],
    "CSV export": lambda head: head.startswith(b"model,parameters,"),
    "Markdown export": lambda head: head.startswith(b"**") and b"\n| network |" in head,
    "picture": lambda head: head.startswith((b"\x89PNG", b"<?xml", b"<svg", b"%PDF")),
}


def check_outputs(outputs: list[Output], inputs: Mapping[str, Path | None]) -> None:
    """Refuse outputs that cannot be written or would destroy something.

    Args:
        outputs: what the command will write; standard output is not among them.
        inputs: files that the same command reads, by the option that names them.

    Raises:
        UsageError: a path cannot become a regular file, holds something of another kind, or is
            that of an input or of another output.
    """
    read = {_resolved(path, option): option for option, path in inputs.items() if path}
    written: dict[Path, str] = {}
    for output in outputs:
        option, path = output.option, output.path
        if path == STDOUT:
            raise UsageError(f"{option} needs a file, not standard output")
        if output.kind == "picture" and path.suffix.lower() not in PICTURE_SUFFIXES:
            raise UsageError(f"{option} {path} must end in .png, .svg or .pdf")
        place = _resolved(path, option)
        if place in read:
            raise UsageError(f"{option} cannot replace {path}, the file of {read[place]}")
        if place in written:
            raise UsageError(f"{written[place]} and {option} cannot both write {path}")
        written[place] = option
        try:
            _check_place(output, place)
        except OSError as error:
            raise _unwritable(output, error) from error


def exports(files: ExportOptions) -> list[Output]:
    """The files that a comparison is written to; not the one that goes to standard output."""
    named = (
        ("--export-json", files.json, "JSON export"),
        ("--export-csv", files.csv, "CSV export"),
        ("--export-markdown", files.markdown, "Markdown export"),
        ("--plot", files.plot, "picture"),
    )
    return [
        Output(option, path, kind)
        for option, path, kind in named
        if path and (path != STDOUT or kind == "picture")
    ]


def _check_place(output: Output, place: Path) -> None:
    path = output.path
    if not place.parent.is_dir():
        raise UsageError(
            f"cannot write {path}: the folder {place.parent} does not exist; create it first"
        )
    if not os.access(place.parent, os.W_OK):
        raise UsageError(
            f"cannot write {path}: no permission in {place.parent}; choose another {output.option}"
        )
    if not place.exists():
        return
    if not place.is_file():
        raise UsageError(
            f"cannot write {path}: it is not a regular file; choose another {output.option}"
        )
    with open(place, "rb") as file:
        head = file.read(HEAD_BYTES)
    if head and not KINDS[output.kind](head):
        raise UsageError(
            f"{path} is there already and no {output.kind} of mnist-cli: "
            f"choose another {output.option}, or remove it first"
        )


def _resolved(path: Path, option: str) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise _unwritable(Output(option, path, ""), error) from error


def _unwritable(output: Output, error: Exception) -> UsageError:
    reason = getattr(error, "strerror", None) or "it is a loop of links"
    return UsageError(f"cannot write {output.path}: {reason}; choose another {output.option}")
