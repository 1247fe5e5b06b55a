"""A custom network's own files, bundled for a process on another machine."""

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mnist_cli.networks.identity import code_files, code_sha256, own_folders, read_source
from mnist_cli.schema.networks import ModelSpec


@dataclass(frozen=True)
class Bundle:
    """Files by path, relative to `folder`, that of the first; so are `roots`, where imports look.

    `folder` is given by its own name and those of the folders above, as packages have names.
    """

    files: dict[str, bytes]
    roots: tuple[str, ...] = ()
    folder: tuple[str, ...] = ()


def pack(spec: ModelSpec) -> Bundle:
    """The files of a network, its neighbours among them; none of an installed package."""
    try:
        paths = code_files(spec)
        files = {name: read_source(path) for name, path in paths.items()}
    except OSError:  # whoever imports it says what is missing
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
    """The network as this process can import it: in place where the same files are here.

    Otherwise they are written below `folder`, in one that is named by their hash and private, and
    found there.
    """
    if not bundle.files:
        return spec
    wanted = {name: hashlib.sha256(text).hexdigest() for name, text in bundle.files.items()}
    try:
        if code_sha256(spec) == wanted:
            return spec
    except OSError:
        pass  # there is no such file here
    place = folder / hashlib.sha256(repr(sorted(wanted.items())).encode()).hexdigest()[:16]
    above = max(PurePosixPath(name).parts.count("..") for name in (*wanted, *bundle.roots))
    base = place.joinpath(*bundle.folder[len(bundle.folder) - above :])  # none is written outside
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    base.mkdir(parents=True, exist_ok=True)
    for name, text in bundle.files.items():
        path = Path(os.path.normpath(base / name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    roots = tuple(os.path.normpath(base / root) for root in bundle.roots)
    source, _, attribute = spec.target.rpartition(":")
    source = str(base / Path(source).name) if source.endswith(".py") else source
    return replace(spec, target=f"{source}:{attribute}", folders=roots)
