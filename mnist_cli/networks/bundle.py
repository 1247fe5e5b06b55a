"""Bundles the code of a custom network for a process on another machine."""

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mnist_cli.networks.identity import code_files, code_sha256, own_folders, read_source
from mnist_cli.schema.networks import ModelSpec


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
    try:
        paths = code_files(spec)
        files = {name: read_source(path) for name, path in paths.items()}
    except OSError:  # the import will report the missing file
        return Bundle({})
    if not files:
        return Bundle({})
    base = next(path.parent for name, path in paths.items() if "/" not in name)
    roots = {
        Path(os.path.relpath(folder, base)).as_posix(): None
        for folder in (Path(name).resolve() for name in own_folders())
        if any(file.is_relative_to(folder) for file in paths.values())
    }
    return Bundle(files, tuple(roots), base.parts[1:])


def unpack(spec: ModelSpec, bundle: Bundle, folder: Path) -> ModelSpec:
    """Return the network with a target that this process can import.

    Unless this machine has the same files, this writes them to a private subfolder of `folder`,
    which their hash names.
    """
    if not bundle.files:
        return spec
    wanted = {name: hashlib.sha256(text).hexdigest() for name, text in bundle.files.items()}
    try:
        if code_sha256(spec) == wanted:
            return spec
    except OSError:
        pass  # the files are not here
    private = folder / hashlib.sha256(repr(sorted(wanted.items())).encode()).hexdigest()[:16]
    above = max(PurePosixPath(name).parts.count("..") for name in (*wanted, *bundle.roots))
    base = private.joinpath(*bundle.folder[len(bundle.folder) - above :])  # .. stays in private
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    base.mkdir(parents=True, exist_ok=True)
    for name, text in bundle.files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    roots = tuple(os.path.normpath(base / root) for root in bundle.roots)
    source, _, attribute = spec.target.rpartition(":")
    source = str(base / Path(source).name) if source.endswith(".py") else source
    return replace(spec, target=f"{source}:{attribute}", folders=roots)
