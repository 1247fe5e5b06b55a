"""A custom network is all the files that it consists of."""

import os
from pathlib import Path

import pytest

from mnist_cli.errors import ExitCode
from mnist_cli.networks import identity
from mnist_cli.networks.identity import changed_files, code_files, code_sha256
from mnist_cli.networks.registry import resolve
from tests.conftest import RunCli, write_files

FAST = ("--epochs", 1, "--dataset", "mnist5k", "--quiet")
NET = """
import numpy as np
from torch import nn
from blocks import WIDTH

def net():
    import late
    return nn.Sequential(nn.Flatten(), nn.Linear(784, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 10))
"""


def test_neighbours_belong_to_a_file_and_installed_packages_do_not() -> None:
    write_files({"lib/net.py": NET, "lib/blocks.py": "from sizes import WIDTH", "lib/late.py": ""})
    write_files({"lib/sizes.py": "WIDTH = 16", "lib/apart.py": "", "lib/broken.py": "def"})
    files = code_sha256(resolve("lib/net.py:net"))
    assert files.keys() == {"net.py", "blocks.py", "late.py", "sizes.py"}
    write_files({"lib/sizes.py": "WIDTH = 32"})
    assert changed_files(files, code_sha256(resolve("lib/net.py:net"))) == ["sizes.py"]


def test_a_package_with_relative_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path.cwd()))
    write_files(
        {
            "pkg/__init__.py": "",
            "pkg/sub/__init__.py": "from . import shared",
            "pkg/sub/net.py": "from ..blocks import Block\nfrom . import near\nimport pkg.far",
            "pkg/sub/near.py": "from .deep import x",
            "pkg/sub/deep.py": "",
            "pkg/sub/shared.py": "",
            "pkg/blocks.py": "",
            "pkg/far.py": "import torch",
            "pkg/apart.py": "",
        }
    )
    assert code_sha256(resolve("pkg.sub.net:Net")).keys() == {
        *("../__init__.py", "__init__.py", "net.py", "near.py", "deep.py", "shared.py"),
        *("../blocks.py", "../far.py"),
    }


def test_the_folder_of_a_file_is_searched_first() -> None:
    write_files({"lib/net.py": "import blocks", "lib/blocks.py": "", "blocks.py": ""})
    assert code_files(resolve("lib/net.py:net"))["blocks.py"] == Path("lib/blocks.py").resolve()


def test_an_import_by_a_function_counts_where_the_name_is_written() -> None:
    calls = ("importlib.import_module('a')", "import_module('b')", "__import__('c')", "run('d')")
    write_files({"net.py": "\n".join(calls), **{f"{name}.py": "" for name in "abcd"}})
    assert code_sha256(resolve("net.py:Net")).keys() == {"net.py", "a.py", "b.py", "c.py"}


def test_files_that_import_each_other_are_each_there_once() -> None:
    write_files({"net.py": "import other", "other.py": "import net, absent"})
    assert code_sha256(resolve("net.py:Net")).keys() == {"net.py", "other.py"}


def test_a_registered_network_has_no_files_and_a_missing_one_neither() -> None:
    assert code_sha256(resolve("mlp")) == {}
    assert code_sha256(resolve("no.such.module:Net")) == {}


def test_renamed_files_are_the_same_code() -> None:
    assert changed_files({"a.py": "1", "b.py": "2"}, {"c.py": "2", "a.py": "1"}) == []
    assert changed_files({"a.py": "1"}, {"a.py": "1", "b.py": "2"}) == ["b.py"]
    assert changed_files({"a.py": "1", "b.py": "2"}, {"a.py": "2", "b.py": "1"}) == ["a.py", "b.py"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_no_code(run_cli: RunCli) -> None:
    os.mkfifo("net.py")
    assert code_files(resolve("net.py:net")) == {"net.py": Path("net.py").resolve()}
    outcome = run_cli("compare", "net.py:net", *FAST)
    assert outcome.code == ExitCode.FAILURE
    assert "cannot import net.py: FileNotFoundError: [Errno 2] no such file" in outcome.err
    write_files({"own.py": "import net"})
    assert code_sha256(resolve("own.py:net")).keys() == {"own.py"}


def test_a_file_of_code_has_a_size(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "MOST_MEGABYTES", 1)
    write_files({"net.py": "#" * 2**20, "own.py": "import net"})
    assert code_sha256(resolve("own.py:net")).keys() == {"net.py", "own.py"}
    write_files({"net.py": "#" * 2**20 + "#"})
    for name in ("net.py:net", "own.py:net"):
        outcome = run_cli("compare", name, *FAST)
        assert outcome.code == ExitCode.FAILURE
        assert outcome.err.endswith("/net.py is too large: a code file may have 1 MB\n")


def test_code_that_python_cannot_parse_has_no_imports() -> None:
    write_files({"net.py": f"import a\nx = {'-' * 100_000}1", "a.py": ""})
    assert code_sha256(resolve("net.py:net")).keys() == {"net.py"}


@pytest.mark.parametrize("folder", ["user/site-packages", "debian/dist-packages"])
def test_packages_that_are_installed_elsewhere_are_left_out(
    monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    write_files({f"{folder}/vast.py": "", "net.py": "import vast"})
    monkeypatch.syspath_prepend(folder)
    assert code_sha256(resolve("net.py:Net")).keys() == {"net.py"}


def test_a_journal_and_a_checkpoint_see_what_an_imported_file_became(run_cli: RunCli) -> None:
    write_files({"net.py": NET, "blocks.py": "WIDTH = 16", "late.py": ""})
    command = ("compare", "net.py:net", "--journal", "runs.jsonl", "--seeds")
    assert run_cli(*command, 1, *FAST).code == ExitCode.OK
    assert run_cli("train", "net.py:net", *FAST).code == ExitCode.OK
    write_files({"late.py": "x = 1"})
    outcome = run_cli(*command, 2, *FAST)
    assert outcome.code == ExitCode.USAGE
    assert "(late.py of net.py:net has changed since);" in outcome.err
    resumed = run_cli("train", "net.py:net", "--resume", "net.safetensors", *FAST[2:])
    assert resumed.code == ExitCode.USAGE
    assert "late.py changed since net.safetensors was trained" in resumed.err
    checkpoint = ("eval", "net.safetensors", "--model", "net.py:net", "--dataset", "mnist5k")
    evaluated = run_cli(*checkpoint)
    assert evaluated.code == ExitCode.OK
    assert evaluated.err == "notice: late.py changed since net.safetensors was trained\n"
    write_files({"late.py": ""})
    assert run_cli(*checkpoint).err == ""


def test_is_users_accepts_only_files_of_the_user() -> None:
    assert identity.is_users(str(Path("net.py").resolve()))
    for other in (identity.__file__, os.__file__, pytest.__file__, "<string>"):
        assert not identity.is_users(other)
