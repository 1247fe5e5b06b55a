from pathlib import Path

import pytest
import torch

from mnist_cli.errors import ExitCode, MnistCliError, UsageError
from mnist_cli.networks import registry
from mnist_cli.networks.building import build, count_parameters
from tests.conftest import RunCli

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


@pytest.mark.parametrize(
    ("written", "name", "keywords"),
    [
        ("MLP( Hidden = 128 )", "mlp(hidden=128)", {"hidden": 128}),
        (" mlp (hidden=0x10) ", "mlp(hidden=16)", {"hidden": 16}),
        ("mlp(hidden=1)", "mlp(hidden=1)", {"hidden": 1}),
        ("mlp(hidden=10000)", "mlp(hidden=10000)", {"hidden": 10_000}),
        ("mlp()", "mlp", {}),
        ("mlp(hidden=32)", "mlp", {}),
        ("cnn(hidden=32, channels=16)", "cnn(channels=16)", {"channels": 16}),
        ("cnn(hidden=4,channels=2)", "cnn(channels=2, hidden=4)", {"channels": 2, "hidden": 4}),
        ("strongcnn(dropout=-0.0)", "strongcnn(dropout=0)", {"dropout": 0}),
        ("strongcnn(dropout=.5, hidden=128)", "strongcnn(dropout=0.5)", {"dropout": 0.5}),
        ("strongcnn(dropout=0.25)", "strongcnn", {}),
    ],
)
def test_a_registered_network_with_arguments_has_one_name(
    written: str, name: str, keywords: dict[str, float]
) -> None:
    spec = registry.resolve(written)
    assert (spec.name, spec.keywords, spec.custom) == (name, keywords, False)
    assert registry.resolve(name) == spec
    assert spec.short_name == registry.plain_name(name) == name.partition("(")[0]
    assert registry.plain_name(name) + registry.call_of(name) == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mlp(hiden=3)", "mlp takes hidden, not hiden (did you mean hidden?)"),
        ("cnn(width=3)", "cnn takes channels, hidden, not width"),
        ("mlp(128)", "mlp takes its arguments by name: write mlp(hidden=128)"),
        ("CNN(16, 4)", "cnn takes its arguments by name: write cnn(channels=16, hidden=4)"),
        *(
            (
                f"mlp(hidden={value})",
                f"hidden of mlp is a whole number from 1 to 10,000, not {told}",
            )
            for value, told in (
                *(("0", "0"), ("-1", "-1"), ("1.5", "1.5"), ("32.0", "32.0"), ("'A'", "'a'")),
                *(("10001", "10001"), ("[1]", "[1]"), ("'" + "a" * 99 + "'", "'" + "a" * 59)),
            )
        ),
        ("tinycnn(channels=1001)", "channels of tinycnn is a whole number from 1 to 1,000, not"),
        ("strongcnn(dropout=0.51)", "dropout of strongcnn is a number from 0 to 0.5, not 0.51"),
        ("strongcnn(dropout=-1)", "dropout of strongcnn is a number from 0 to 0.5, not -1"),
        ("mlp(hidden=True)", "cannot read mlp(hidden=true): arguments are literals, such as mlp("),
        (
            "mlp(hidden=3",
            "cannot read mlp(hidden=3: arguments are literals, such as mlp(hidden=32)",
        ),
        ("mlp(hidden=1, HIDDEN=2)", "cannot read mlp(hidden=1, hidden=2)"),
        ("mlp(hidden=open('a'))", "cannot read mlp(hidden=open('a'))"),
        ("mlpp(hidden=3)", "unknown model 'mlpp(hidden=3)' (did you mean mlp?)"),
    ],
)
def test_arguments_that_a_registered_network_does_not_take(name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        registry.resolve(name)
    assert str(caught.value).startswith(message)
    assert len(str(caught.value)) < 200


def test_a_folder_may_have_the_name_of_a_registered_network() -> None:
    spec = registry.resolve("cnn (copy)/nets.py:net(3)")
    assert (spec.target, spec.arguments) == ("cnn (copy)/nets.py:net", (3,))
    assert registry.plain_name(spec.name) == spec.target


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


@pytest.mark.full  # it takes five seconds
def test_commands_take_a_registered_network_with_arguments(run_cli: RunCli) -> None:
    fast = ("--dataset", "mnist5k", "--quiet", "--epochs")
    trained = run_cli("train", "MLP( Hidden = 8 )", *fast, 1, "--json").json
    assert (trained["model"], trained["parameters"]) == ("mlp(hidden=8)", 784 * 8 + 8 + 80 + 10)
    assert trained["checkpoint"] == "mlp.safetensors"
    assert run_cli("eval", "mlp.safetensors", "--json").json["model"] == "mlp(hidden=8)"
    resume = (*fast, 2, "--resume", "mlp.safetensors")
    assert "give MODEL mlp(hidden=8)" in run_cli("train", "mlp", *resume).err
    assert run_cli("train", "mlp(hidden=8)", *resume).code == ExitCode.OK
    other = run_cli("eval", "mlp.safetensors", "--model", "mlp(hidden=9)")
    assert "holds mlp(hidden=8): name its code with the same arguments" in other.err
    both = run_cli("compare", "mlp(hidden=8)", "mlp", *fast, 1, "--jobs", 2, "--json").json
    assert [row["model"] for row in both["models"]] == ["mlp(hidden=8)", "mlp"]
    assert both["models"][0]["runs"][0]["test_accuracy"] == trained["test_accuracy"]
    twice = run_cli("compare", "mlp", "mlp(hidden=32)")
    assert (twice.code, twice.err) == (
        ExitCode.USAGE,
        "error: mlp is named twice; name each network once\n",
    )
