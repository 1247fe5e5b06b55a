"""Checks of output files before any work: a file of another kind is never replaced."""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mnist_cli.errors import UsageError
from mnist_cli.networks.identity import code_files
from mnist_cli.report.export import LATEX_START
from mnist_cli.report.html import GENERATOR
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.options import STDOUT, ExportOptions
from mnist_cli.system.files import absolute, open_regular

SUFFIXES = {
    "checkpoint": (".safetensors",),
    "picture": (".png", ".svg", ".pdf"),
    "report": (".html", ".htm"),
}
HEAD_BYTES = 1 << 24  # a checkpoint of many epochs has a long header


@dataclass(frozen=True)
class Output:
    """A file to write: the option that names it, its path, and its kind in `KINDS`."""

    option: str
    path: Path
    kind: str


# Each kind of output, with a test whether the first bytes of a file look like ours.
KINDS: dict[str, Callable[[bytes], bool]] = {
    # A safetensors file begins with eight bytes of length, then has its metadata.
    "checkpoint": lambda head: (
        head[8:].startswith(b'{"__metadata__":') and b"mnist-cli-checkpoint-" in head
    ),
    "journal": lambda head: head.startswith(b'{"format": "mnist-cli-journal-'),
    "lock": lambda head: False,  # ours are empty
    "JSON export": lambda head: head.startswith(b'{\n  "checksum": "'),
    "CSV export": lambda head: head.startswith(b"model,parameters,total_parameters,mult_adds,"),
    "Markdown export": lambda head: head.startswith(b"**") and b"\n| network |" in head,
    "LaTeX export": lambda head: head.startswith(LATEX_START.encode()),
    "report": lambda head: head.startswith(b"<!doctype html>") and GENERATOR.encode() in head[:999],
    "ONNX export": lambda head: head.startswith(b"\x08") and b"mnist-cli-export-" in head[:99],
    "PT2 export": lambda head: head.startswith(b"PK") and b"extra/mnist-cli.json" in head,
    "weights export": lambda head: b'"format":"mnist-cli-export-' in head,
    "picture": lambda head: head.startswith((b"\x89PNG", b"<?xml", b"<svg", b"%PDF")),
}
# The kinds that `export` writes, by suffix.
NETWORK_KINDS = {".onnx": "ONNX export", ".pt2": "PT2 export", ".safetensors": "weights export"}


def check_outputs(
    outputs: list[Output], inputs: Mapping[str, Path | None], networks: Iterable[ModelSpec] = ()
) -> None:
    """Check that a command can write its outputs, and that they replace nothing of value.

    The command reads the `inputs`, by the option that names them, and the code of the `networks`.
    Raises UsageError if an output cannot be written, would replace a file of another kind, or is
    also an input or another output.
    """
    read: dict[object, str] = {}
    for spec in networks:
        for file in code_files(spec).values():
            read[_identify(file)] = f"a file of {spec.name}"
    for option, path in inputs.items():
        if path:
            read[_identify(_resolve(path, option, "read"))] = f"the file of {option}"
    written: dict[object, str] = {}
    for output in outputs:
        option, path = output.option, output.path
        if path == STDOUT:
            raise UsageError(f"{option} needs a file, not standard output")
        resolved = _resolve(path, option)
        identity = _identify(resolved)
        if identity in read:
            raise UsageError(f"{option} cannot replace {path}, {read[identity]}; choose another")
        if identity in written:
            raise UsageError(f"{written[identity]} and {option} cannot both write {path}")
        written[identity] = option
        try:
            _check_file(output, resolved)
        except OSError as error:
            raise _make_error(path, option, "write", error) from error
        suffixes = SUFFIXES.get(output.kind)
        if suffixes and path.suffix.lower() not in suffixes:
            *others, last = suffixes
            ends = f"{', '.join(others)} or {last}" if others else last
            raise UsageError(f"{option} {path} must end in {ends}")


def list_outputs(files: ExportOptions, journal: Path | None) -> list[Output]:
    """The files that a comparison writes, without an export to standard output."""
    lock = Path(f"{_resolve(journal, '--journal')}.lock") if journal else None  # deleted at the end
    rows = (
        ("--export-json", files.json, "JSON export"),
        ("--export-csv", files.csv, "CSV export"),
        ("--export-markdown", files.markdown, "Markdown export"),
        ("--export-latex", files.latex, "LaTeX export"),
        ("--plot", files.plot, "picture"),
        ("--report", files.report, "report"),
        ("--journal", journal, "journal"),
        ("--journal", lock, "lock"),
    )
    return [
        Output(option, path, kind)
        for option, path, kind in rows
        if path and not (path == STDOUT and kind.endswith("export"))
    ]


def _check_file(output: Output, resolved: Path) -> None:
    path, folder = output.path, resolved.parent
    if not folder.is_dir():
        raise UsageError(f"cannot write {path}: the folder {folder} does not exist; create it")
    if not os.access(folder, os.W_OK):
        raise UsageError(
            f"cannot write {path}: no permission in {folder}; choose another {output.option}"
        )
    if not resolved.exists():
        return
    if not resolved.is_file():
        raise UsageError(
            f"cannot write {path}: it is not a regular file; choose another {output.option}"
        )
    with open_regular(resolved) as file:
        head = file.read(HEAD_BYTES)
    if head and not KINDS[output.kind](head):
        raise UsageError(
            f"{path} already exists and is no {output.kind} of mnist-cli: "
            f"choose another {output.option}, or remove it first"
        )


def _resolve(path: Path, option: str, action: str = "write") -> Path:
    try:
        resolved = absolute(path).resolve()
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):  # told later
            resolved.stat()  # from Python 3.13 on, resolve ignores loops of links and long names
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise _make_error(path, option, action, error) from error
    return resolved


def _identify(path: Path) -> object:
    """A key for a file, the same for all its paths, also through links."""
    try:
        status = path.stat()
    except OSError:  # it does not exist
        return os.path.normcase(path)
    return status.st_dev, status.st_ino


def _make_error(path: Path, option: str, action: str, error: Exception) -> UsageError:
    reason = getattr(error, "strerror", None) or "it is a loop of links"
    return UsageError(f"cannot {action} {path}: {reason}; choose another {option}")
