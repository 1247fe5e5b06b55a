"""The code files of a custom network, their hashes, and their copies on another machine."""

import ast
import errno
import hashlib
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import resolve_name
from pathlib import Path, PurePosixPath

from mnist_cli.errors import MnistCliError
from mnist_cli.schema.networks import ModelSpec

PACKAGE = Path(__file__).resolve().parents[1]
INSTALLED = {"site-packages", "dist-packages"}  # folders of installed packages; dist- on Debian
MOST_MEGABYTES = 16  # of a code file


def code_sha256(spec: ModelSpec) -> dict[str, str]:
    """The SHA-256 of each of the `code_files` of a network, by path; raises as `read_source`."""
    return {
        name: hashlib.sha256(read_source(file)).hexdigest()
        for name, file in code_files(spec).items()
    }


def code_files(spec: ModelSpec) -> dict[str, Path]:
    """The user's own code files of a network; none for a registered network.

    These are the file that defines it and all files that it imports, directly or indirectly,
    without installed packages. This runs no code, so it does not find imports of computed names.
    The keys are paths relative to the folder of the first file.
    """
    if not spec.custom:
        return {}
    source, _, _ = spec.target.rpartition(":")
    roots = _own_folders()
    if source.endswith(".py"):
        first = Path(os.path.realpath(source))
        found = {first: ""}
        roots.insert(0, str(first.parent))
    else:
        found = dict(reversed(_find_files(source, [str(Path.cwd()), *sys.path]).items()))
    pending = list(found.items())
    while pending:
        path, package = pending.pop()
        for name in _find_imports(path, package):
            for file, its_package in _find_files(name, roots).items():
                if file not in found and not file.is_relative_to(PACKAGE):
                    found[file] = its_package
                    pending.append((file, its_package))
    parent = next(iter(found), Path()).parent
    return {Path(os.path.relpath(file, parent)).as_posix(): file for file in sorted(found)}


def changed_files(was: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The files that differ between two results of `code_sha256`; none if only paths differ."""
    if was.keys() != now.keys() and sorted(was.values()) == sorted(now.values()):
        return []
    return sorted(file for file in {**was, **now} if was.get(file) != now.get(file))


def _own_folders() -> list[str]:
    """The folders of sys.path, without the standard library and installed packages."""
    return [
        folder
        for folder in [str(Path.cwd()), *sys.path]
        if Path(folder).is_dir() and is_users(os.path.abspath(folder))  # noqa: PTH100
    ]


@cache
def is_users(path: str) -> bool:
    """Whether a file is the user's, not generated or of Python, a package or this program."""
    if path.startswith("<"):
        return False
    place = Path(path).resolve()
    libraries = [Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "platstdlib")]
    return not INSTALLED & set(place.parts) and not any(
        place.is_relative_to(folder) for folder in (*libraries, PACKAGE)
    )


def read_source(path: Path) -> bytes:
    """Read a code file.

    Raises OSError if it is missing, unreadable or not regular, as a pipe would never end, and
    MnistCliError if it is too large.
    """
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
    if path.stat().st_size > MOST_MEGABYTES << 20:
        raise MnistCliError(f"{path} is too large: a code file may have {MOST_MEGABYTES} MB")
    return path.read_bytes()


@dataclass(frozen=True)
class Bundle:
    """The `files` by path, and the `roots` where Python looks for modules.

    Paths are relative to the folder of the first file. `folder` has the parts of its path, from
    which a package has its name.
    """

    files: dict[str, bytes]
    roots: tuple[str, ...] = ()
    folder: tuple[str, ...] = ()


def pack(spec: ModelSpec) -> Bundle:
    """Bundle the files of a network, without installed packages."""
    files: dict[str, bytes] = {}
    with suppress(OSError):  # the import will report the missing file
        paths = code_files(spec)
        files = {name: read_source(path) for name, path in paths.items()}
    if not files:
        return Bundle({})
    base = next(path.parent for name, path in paths.items() if "/" not in name)
    roots = {
        Path(os.path.relpath(folder, base)).as_posix(): None
        for folder in (Path(name).resolve() for name in _own_folders())
        if any(file.is_relative_to(folder) for file in paths.values())
    }
    return Bundle(files, tuple(roots), base.parts[1:])


def unpack(spec: ModelSpec, bundle: Bundle, folder: Path) -> ModelSpec:
    """Return the network with a target that this process can import.

    Unless this machine has the same files, this writes them to a private subfolder of `folder`,
    which their hash names.
    """
    if not bundle.files or pack(spec).files == bundle.files:
        return spec
    digest = hashlib.sha256(repr(sorted(bundle.files.items())).encode()).hexdigest()
    private = folder / digest[:16]
    above = max(PurePosixPath(name).parts.count("..") for name in (*bundle.files, *bundle.roots))
    base = private.joinpath(*bundle.folder[len(bundle.folder) - above :])  # .. stays in private
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in bundle.files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    roots = tuple(os.path.normpath(base / root) for root in bundle.roots)
    source, _, attribute = spec.target.rpartition(":")
    source = str(base / Path(source).name) if source.endswith(".py") else source
    return replace(spec, target=f"{source}:{attribute}", folders=roots)


def _find_imports(path: Path, package: str) -> Iterator[str]:
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
                with suppress(ImportError):  # the package has fewer parents
                    base = resolve_name("." * level + (module or ""), package)
                    yield base
                    yield from (f"{base}.{alias.name}" for alias in names)
            case ast.Call(
                ast.Name("__import__" | "import_module") | ast.Attribute(_, "import_module"),
                [ast.Constant(str(name)), *_],
            ):
                yield name


def _find_files(name: str, roots: list[str]) -> dict[Path, str]:
    """The files that importing `name` runs: the `__init__.py` of its packages, then its own.

    The values are the packages from which their relative imports start.
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
