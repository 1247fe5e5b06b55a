from pathlib import Path

import pytest
import torch

from mnist_cli.errors import ExitCode, MnistCliError, UsageError
from mnist_cli.networks import registry
from mnist_cli.networks.building import build, count_parameters

NETWORK = """
import torch
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(784, {outputs}))

def make():
    return Net()

number = 3
def none(): return None
def frozen(): return Net().requires_grad_(False)
def needs(argument): return Net()
def broken(): raise ValueError("no\\nluck")
def tuples():
    class Tuples(Net):
        def forward(self, images): return super().forward(images), 1
    return Tuples()
"""


def custom(target: str, source: str = NETWORK.format(outputs=10)) -> torch.nn.Module:
    Path("own.py").write_text(source)
    return build(registry.resolve(target), seed=0)


@pytest.mark.parametrize("name", ["mlp", "MLP", "Mlp"])
def test_names_are_case_insensitive(name: str) -> None:
    assert registry.resolve(name).name == "mlp"


@pytest.mark.parametrize("name", ["resnet", "", ":", "own.py:", ":Net", "own.py:3"])
def test_a_wrong_name_lists_the_valid_ones(name: str) -> None:
    with pytest.raises(UsageError, match="mlp, tinycnn, cnn, strongcnn") as caught:
        registry.resolve(name)
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize("target", ["own.py:Net", "./own.py:make", "own:Net"])
def test_custom_targets(target: str, tmp_path: Path) -> None:
    assert count_parameters(custom(target)) == 7850
    assert count_parameters(custom(f"{tmp_path}/own.py:Net")) == 7850


def test_a_file_has_one_name_in_a_folder() -> None:
    assert registry.resolve("./own.py:Net") == registry.resolve("own.py:Net")
    assert registry.resolve("nets/../own.py:Net") != registry.resolve("own.py:Net")  # maybe a link


def test_a_file_may_import_its_neighbours() -> None:
    Path("sub").mkdir()
    Path("sub", "neighbour_of_net.py").write_text("OUTPUTS = 10")
    source = NETWORK.format(outputs="OUTPUTS")
    Path("sub", "net.py").write_text(f"from neighbour_of_net import OUTPUTS\n{source}")
    build(registry.resolve("sub/net.py:Net"), seed=0)


def test_the_working_directory_is_searched_first(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("installed").mkdir()
    Path("installed", "my_nets.py").write_text("Net = None")
    Path("my_nets.py").write_text(NETWORK.format(outputs=10))
    monkeypatch.syspath_prepend(Path("installed").resolve())
    assert count_parameters(build(registry.resolve("my_nets:Net"), seed=0)) == 7850


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("absent.py:Net", r"cannot import absent\.py: .*no such file"),
        ("absent_module:Net", "ModuleNotFoundError: No module named 'absent_module'$"),
        ("own.py:Other", "own.py has no 'Other'"),
        ("own.py:Nett", r"own.py has no 'Nett' \(did you mean Net\?\); give own.py:NAME"),
        ("own.py:number", "own.py:number is not callable"),
        ("own.py:none", "own.py:none returned NoneType, not an nn.Module"),
        ("own.py:frozen", "no trainable parameters"),
        (
            "own.py:needs",
            "own.py:needs cannot be created: TypeError.*missing 1 required positional",
        ),
        ("own.py:broken", r"ValueError: no luck \(.*own\.py:16\)"),
        ("own.py:tuples", r"maps 2x1x28x28 images to tuple, not to \(2, 10\)"),
    ],
)
def test_one_line_says_what_is_wrong(target: str, message: str) -> None:
    with pytest.raises(MnistCliError, match=message) as caught:
        custom(target)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == ExitCode.FAILURE


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (NETWORK.format(outputs=9), r"maps 2x1x28x28 images to \(2, 9\), not to \(2, 10\)"),
        ("this is no Python", "cannot import own.py: SyntaxError"),
        ("import absent_too", r"cannot import own\.py: ModuleNotFoundError.*own\.py:1"),
        ("raise SystemExit(5)", "cannot import own.py: SystemExit: 5"),
    ],
)
def test_one_line_says_what_is_wrong_with_the_code(source: str, message: str) -> None:
    with pytest.raises(MnistCliError, match=message) as caught:
        custom("own.py:Net", source)
    assert "\n" not in str(caught.value)


def test_a_mistyped_name_gets_a_proposal() -> None:
    with pytest.raises(UsageError, match=r"'StrongCN' \(did you mean strongcnn\?\): choose from"):
        registry.resolve("StrongCN")
    with pytest.raises(UsageError, match="'resnet': choose from"):
        registry.resolve("resnet")


@pytest.mark.parametrize("name", ["n\udcff.py:net", "f\udcff/n.py:net(3)"])
def test_a_name_that_is_no_unicode_is_refused_before_any_work(name: str) -> None:
    with pytest.raises(UsageError, match="the name is not UTF-8; rename the file or its folder"):
        registry.resolve(name)


def test_a_network_cannot_choose_the_exit_code() -> None:
    with pytest.raises(MnistCliError, match=r"own\.py:leave cannot be created: SystemExit: 3"):
        custom("own.py:leave", "def leave(): raise SystemExit(3)")


def test_a_lazy_network_is_complete_after_building() -> None:
    source = (
        "from torch import nn\ndef make(): return nn.Sequential(nn.Flatten(), nn.LazyLinear(10))"
    )
    assert count_parameters(custom("own.py:make", source)) == 7850
