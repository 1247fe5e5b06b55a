"""A user's network in a folder of another machine, with all that it imports."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mnist_cli.networks.building import build, count_parameters
from mnist_cli.networks.identity import Bundle, pack, unpack
from mnist_cli.networks.registry import resolve
from tests.conftest import write_files

NET = "from {imported} import linear\n\n\ndef net():\n    return linear({size})\n"
LINEAR = """
from torch import nn


def linear(size):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, size), nn.Linear(size, 10))
"""


@pytest.mark.parametrize(
    ("target", "files"),
    [
        ("bundle_net.py:net", {"bundle_net.py": "shades_a", "shades_a.py": ""}),
        # The file is in a folder; what it imports lies beside that, where the command was given.
        ("deep/er/bundle_net.py:net", {"deep/er/bundle_net.py": "shades_b", "shades_b.py": ""}),
        (
            "bundle_pack.net:net",
            {
                "bundle_pack/net.py": ".shades",
                "bundle_pack/__init__.py": "",
                "bundle_pack/shades.py": "",
            },
        ),
    ],
)
def test_neighbours_travel(
    target: str, files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(str(here))
    spec = resolve(target)
    for size in (3, 4):  # the same files, then changed ones
        for name, imported in files.items():
            is_init = name.endswith("__init__.py")
            text = NET.format(imported=imported, size=size) if imported else LINEAR
            write_files({name: "" if is_init else text})
        bundle = pack(spec)
        assert len(bundle.files) == len(files)
        assert unpack(spec, bundle, there) == spec  # the same files are here
        moved = here.rename(tmp_path / "moved")
        monkeypatch.chdir(there)
        search = sys.path.copy()
        arrived = unpack(spec, bundle, there)
        assert arrived.name == target
        assert count_parameters(build(arrived, 0)) == 784 * size + size + 10 * size + 10
        sys.path[:] = search
        moved.rename(here)
        monkeypatch.chdir(here)
    [first, second] = there.iterdir()
    assert first.stat().st_mode & 0o777 == second.stat().st_mode & 0o777 == 0o700
    assert not [path for path in tmp_path.iterdir() if path not in (here, there)]
    for name in [name for name in sys.modules if name.startswith(("shades_", "bundle_"))]:
        del sys.modules[name]


def test_a_bundle_comes_before_the_working_directory(tmp_path: Path) -> None:
    for folder, size in (("bundled", 3), (".", 4)):
        made = f"{LINEAR}\n\ndef net():\n    return linear({size})\n"
        write_files({f"{folder}/bundle_own.py": made})
    spec = replace(resolve("bundle_own:net"), folders=(str(tmp_path / "bundled"),))
    assert count_parameters(build(spec, 0)) == 784 * 3 + 3 + 10 * 3 + 10


def test_what_is_installed_or_missing_has_no_bundle() -> None:
    assert pack(resolve("mlp")) == pack(resolve("gone.py:net")) == Bundle({})
    assert unpack(resolve("mlp"), Bundle({}), Path()) == resolve("mlp")
