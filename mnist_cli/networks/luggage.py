"""A custom network's own files, packed for a process on another machine."""

import hashlib
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mnist_cli.networks.identity import code_files, code_sha256, own_folders
from mnist_cli.schema.networks import ModelSpec


@dataclass(frozen=True)
class Luggage:
    """Files by path, relative to `folder`, that of the first; so are `roots`, where imports look.

    `folder` is given by its own name and those of the folders above, as packages have names.
    """

    files: dict[str, bytes]
    roots: tuple[str, ...] = ()
    folder: tuple[str, ...] = ()


def packed(spec: ModelSpec) -> Luggage:
    """The files of a network, its neighbours among them; none of an installed package."""
    try:
        paths = code_files(spec)
        files = {name: path.read_bytes() for name, path in paths.items()}
    except OSError:  # whoever imports it says what is missing
        return Luggage({})
    if not files:
        return Luggage({})
    base = next(path.parent for name, path in paths.items() if "/" not in name)
    roots = {
        Path(os.path.relpath(folder, base)).as_posix(): None
        for folder in (Path(name).resolve() for name in own_folders())
        if any(file.is_relative_to(folder) for file in paths.values())
    }
    return Luggage(files, tuple(roots), base.parts[1:])


def unpacked(spec: ModelSpec, luggage: Luggage, folder: Path) -> ModelSpec:
    """The network as this process can import it: in place where the same files are here.

    Otherwise they are written below `folder`, in one that is named by their hash and private, and
    found there.
    """
    if not luggage.files:
        return spec
    wanted = {name: hashlib.sha256(text).hexdigest() for name, text in luggage.files.items()}
    try:
        if code_sha256(spec) == wanted:
            return spec
    except OSError:
        pass  # there is no such file here
    place = folder / hashlib.sha256(repr(sorted(wanted.items())).encode()).hexdigest()[:16]
    above = max(PurePosixPath(name).parts.count("..") for name in (*wanted, *luggage.roots))
    base = place.joinpath(*luggage.folder[len(luggage.folder) - above :])  # none is written outside
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    base.mkdir(parents=True, exist_ok=True)
    for name, text in luggage.files.items():
        path = Path(os.path.normpath(base / name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    sys.path[:0] = [os.path.normpath(base / root) for root in luggage.roots]
    source, _, attribute = spec.target.rpartition(":")
    if not source.endswith(".py"):
        return spec
    return replace(spec, target=f"{base / Path(source).name}:{attribute}")


def forget(folder: Path, spec: ModelSpec) -> None:
    """Have the modules of `spec`, and those below `folder`, imported anew: they may be others."""
    files = {str(path) for path in code_files(spec).values()}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and (file in files or Path(file).is_relative_to(folder)):
            del sys.modules[name]
