"""Paths of output files, checked before any work is done."""

import os
from pathlib import Path

from mnist_cli.errors import UsageError
from mnist_cli.schema.options import STDOUT, ExportOptions

PICTURE_SUFFIXES = (".png", ".svg", ".pdf")


def check_output(path: Path, option: str) -> None:
    """Raise UsageError where `path`, which `option` names, cannot become a regular file."""
    folder = path.resolve().parent
    if not folder.is_dir():
        raise UsageError(
            f"cannot write {path}: the folder {folder} does not exist; create it first"
        )
    if not os.access(folder, os.W_OK):
        raise UsageError(f"cannot write {path}: no permission in {folder}; choose another {option}")
    if path.exists() and not path.is_file():
        raise UsageError(f"cannot write {path}: it is not a regular file; choose another {option}")


def check_picture(path: Path, option: str) -> None:
    """Raise UsageError unless `path` can become a picture in a format we write."""
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise UsageError(f"{option} {path} must end in .png, .svg or .pdf")
    check_output(path, option)


def check_exports(files: ExportOptions, inputs: dict[str, Path | None]) -> None:
    """Raise UsageError where an export meets another one, or one of `inputs`, files by option."""
    options = {
        "--export-json": files.json,
        "--export-csv": files.csv,
        "--export-markdown": files.markdown,
    }
    for option, path in options.items():
        if path is not None and path != STDOUT:
            check_output(path, option)
    if files.plot is not None:
        check_picture(files.plot, "--plot")
    places = [path.resolve() for path in (*options.values(), files.plot) if path is not None]
    if len(set(places)) < len(places):
        raise UsageError("two exports cannot go to the same place")
    for option, path in inputs.items():
        if path is not None and path.resolve() in places:
            raise UsageError(f"an export cannot replace {path}, the file of {option}")
