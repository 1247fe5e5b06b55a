"""The files of code that a custom network consists of, and their hashes."""

import ast
import errno
import hashlib
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path

from mnist_cli.errors import MnistCliError
from mnist_cli.schema.networks import ModelSpec

PACKAGE = Path(__file__).resolve().parents[1]
INSTALLED = {"site-packages", "dist-packages"}  # of an environment, a user and Debian
MOST_MEGABYTES = 16  # of a file of code


def code_sha256(spec: ModelSpec) -> dict[str, str]:
    """The SHA-256 of each of the `code_files` of a network, by the same paths."""
    return {
        name: hashlib.sha256(read_source(file)).hexdigest()
        for name, file in code_files(spec).items()
    }


def code_files(spec: ModelSpec) -> dict[str, Path]:
    """A user's own files that make up a custom network.

    These are the file that defines it and all that it imports, directly or through other files,
    wherever the import stands. Installed packages are left out. Nothing is executed, so that
    imports of computed names are not found.

    Returns:
        Files by path, relative to the folder of the first one; empty for a registered network.
    """
    if not spec.custom:
        return {}
    source, _, _ = spec.target.rpartition(":")
    roots = own_folders()
    if source.endswith(".py"):
        first = Path(os.path.realpath(source))
        found = {first: ""}
        roots.insert(0, str(first.parent))
    else:
        found = dict(reversed(_files_of(source, [str(Path.cwd()), *sys.path]).items()))
    waiting = list(found.items())
    while waiting:
        path, package = waiting.pop()
        for name in _imported(path, package):
            for file, its_package in _files_of(name, roots).items():
                if file not in found and not file.is_relative_to(PACKAGE):
                    found[file] = its_package
                    waiting.append((file, its_package))
    parent = next(iter(found), Path()).parent
    return {Path(os.path.relpath(file, parent)).as_posix(): file for file in sorted(found)}


def changed_files(was: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The files that differ between two results of `code_sha256`; none if only names differ."""
    if was.keys() != now.keys() and sorted(was.values()) == sorted(now.values()):
        return []
    return sorted(file for file in {**was, **now} if was.get(file) != now.get(file))


def own_folders() -> list[str]:
    """Where Python looks for modules, without the standard library and installed packages."""
    return [
        folder
        for folder in [str(Path.cwd()), *sys.path]
        if Path(folder).is_dir() and is_users(os.path.abspath(folder))  # noqa: PTH100
    ]


@cache
def is_users(path: str) -> bool:
    """Whether a file or folder is the user's: not one of Python, a package or this program.

    Names such as `<string>`, of code that was made by code, are not.
    """
    if path.startswith("<"):
        return False
    place = Path(path).resolve()
    libraries = [Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "platstdlib")]
    return not INSTALLED & set(place.parts) and not any(
        place.is_relative_to(folder) for folder in (*libraries, PACKAGE)
    )


def read_source(path: Path) -> bytes:
    """The bytes of a file of code.

    Raises:
        OSError: it is missing, cannot be read, or is no regular file: a pipe would never end.
        MnistCliError: it is too large.
    """
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
    if path.stat().st_size > MOST_MEGABYTES << 20:
        raise MnistCliError(f"{path} is too large for code: a file may have {MOST_MEGABYTES} MB")
    return path.read_bytes()


def _imported(path: Path, package: str) -> Iterator[str]:
    """The absolute names that a file imports: modules, and names that may be modules."""
    try:
        tree = ast.parse(read_source(path))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module, names, level):
                parents = package.split(".")[: len(package.split(".")) - (level or 0) + 1]
                base = ".".join([*(parents if level else []), *filter(None, [module])])
                yield base
                yield from (f"{base}.{alias.name}" for alias in names)
            case ast.Call(
                ast.Name("__import__" | "import_module") | ast.Attribute(_, "import_module"),
                [ast.Constant(str(name)), *_],
            ):
                yield name


def _files_of(name: str, roots: list[str]) -> dict[Path, str]:
    """The files that importing `name` executes: its packages' `__init__.py`, then its own.

    The values are the packages that their relative imports start from.
    """
    files: dict[Path, str] = {}
    search: list[str] | None = roots
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        full = ".".join(parts[:depth])
        spec = PathFinder.find_spec(full, search) if parts[depth - 1] else None
        if spec is None:
            break
        is_package = spec.submodule_search_locations is not None
        if spec.origin and spec.origin.endswith(".py"):
            files[Path(spec.origin).resolve()] = full if is_package else full.rpartition(".")[0]
        search = list(spec.submodule_search_locations or [])
    return files
