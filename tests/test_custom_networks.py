"""Networks of users that are not what they seem, and what they cost."""

from pathlib import Path

import pytest
import torch

from mnist_cli.errors import ExitCode, MnistCliError, UsageError
from mnist_cli.networks.building import build, outputs_probabilities, same_weights, shares_memory
from mnist_cli.networks.complexity import count_operations
from mnist_cli.networks.registry import resolve
from mnist_cli.schema.results import ModelSummary
from tests.conftest import RunCli, write_files

FAST = ("--epochs", 1, "--dataset", "mnist5k")
OWN = """
from functools import partial

import torch
from torch import nn

LAYER = nn.Linear(784, 10)
NORM = nn.BatchNorm1d(784, affine=False)  # it has buffers alone
partly = partial(nn.Sequential, nn.Flatten(), nn.Linear(784, 10))


def module_level():
    return nn.Sequential(nn.Flatten(), LAYER)


def default(layer=nn.Linear(784, 10)):
    return nn.Sequential(nn.Flatten(), layer)


def storage(weight=torch.randn(10, 784)):
    model = fine()
    model[1].weight = nn.Parameter(weight)
    return model


def buffers():
    return nn.Sequential(nn.Flatten(), NORM, nn.Linear(784, 10))


def fine():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def seeded():
    torch.manual_seed(7)
    return fine()


def softmax():
    return nn.Sequential(*fine(), nn.Softmax(1))


def log_softmax():
    return nn.Sequential(*fine(), nn.LogSoftmax(1))


def double():
    return fine().double()


class As(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, images):
        return images.to(self.dtype)


def wide_softmax():
    return nn.Sequential(*fine(), nn.Softmax(1), As(torch.float64))


def classes():
    return nn.Sequential(*fine(), As(torch.int64))


class Casts(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = fine().bfloat16()

    def forward(self, images):
        return self.layers(images.bfloat16()).float()


def scripted():
    return torch.jit.script(fine())


class Repeated(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.again = nn.Linear(784, 10), nn.Linear(10, 10)

    def forward(self, images):
        return self.again(self.again(self.first(images.flatten(1))))


def tied():
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.Linear(64, 64), nn.Linear(64, 64),
                          nn.Linear(64, 10))
    model[3].weight, model[3].bias = model[2].weight, model[2].bias
    return model


def frozen():
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10))
    model[1].requires_grad_(False)
    return model


instance = fine()
"""


@pytest.fixture(autouse=True)
def own() -> None:
    Path("own.py").write_text(OWN, encoding="utf-8")


def summary(name: str) -> tuple[ModelSummary, str]:
    spec = resolve(f"own.py:{name}")
    return count_operations(spec.name, build(spec, seed=0))


@pytest.mark.parametrize("name", ["partly", "module_level", "default", "storage", "buffers"])
def test_weights_shared_between_seeds_are_refused(run_cli: RunCli, name: str) -> None:
    outcome = run_cli("compare", f"own.py:{name}", "--seeds", 2, "--quiet", *FAST)
    assert outcome.code == ExitCode.FAILURE
    assert "returns the same weights or buffers each time" in outcome.err


def test_sharing_means_the_same_memory() -> None:
    first, again, other = (build(resolve("own.py:fine"), seed) for seed in (0, 0, 1))
    assert same_weights(first, again)
    assert not same_weights(first, other)
    assert not shares_memory(first, again)
    assert shares_memory(first, first)
    for network in (first, again):  # memory of no bytes has no address
        network.register_buffer("empty", torch.empty(0))
    assert not shares_memory(first, again)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("seeded", "own.py:seeded has the same initial weights with every seed"),
        ("softmax", "own.py:softmax seems to end in softmax"),
        ("log_softmax", None),
        ("fine", None),
    ],
)
def test_notices_tell_of_equal_seeds_and_softmax(
    run_cli: RunCli, name: str, expected: str | None
) -> None:
    outcome = run_cli("compare", f"own.py:{name}", "--seeds", 2, *FAST)
    assert outcome.code == ExitCode.OK
    notices = [line for line in outcome.err.splitlines() if line.startswith("notice: own.py")]
    assert len(notices) == (expected is not None)
    if expected:
        assert notices[0].startswith(f"notice: {expected}")


def test_training_tells_of_softmax_too(run_cli: RunCli) -> None:
    for name in ("softmax", "wide_softmax"):
        assert "seems to end in softmax" in run_cli("train", f"own.py:{name}", *FAST).err
    assert "softmax" not in run_cli("train", "own.py:fine", *FAST).err


def test_the_torch_defaults_of_the_code_do_not_reach_the_images(run_cli: RunCli) -> None:
    code = """
    import torch
    from torch import nn
    torch.set_default_dtype(torch.float64)
    class Net(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Flatten(), nn.Linear(784, 10, dtype=torch.float32))
    class Other(Net):
        def forward(self, images):
            torch.set_default_device("meta")
            return super().forward(images)
    """
    write_files({"defaults.py": code.replace("\n    ", "\n")})
    assert run_cli("train", "defaults.py:Net", *FAST).code == ExitCode.OK
    assert not outputs_probabilities(build(resolve("defaults.py:Other"), 0))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("double", "failed on a batch of 2x1x28x28 float32 images"),
        ("Casts", "own.py:Casts has bfloat16 weights; make them float32, as the images are"),
        ("classes", "own.py:classes returns int64 numbers; make them float32 logits"),
        ("instance", "own.py:instance is a network; name the class or function that makes one"),
    ],
)
def test_an_error_says_why_a_network_cannot_be_trained(name: str, message: str) -> None:
    with pytest.raises(MnistCliError, match=message):
        build(resolve(f"own.py:{name}"), seed=0)


def test_a_part_of_a_package_is_named_as_one(run_cli: RunCli) -> None:
    Path("pkg").mkdir()
    Path("pkg/net.py").write_text("from .blocks import Block\n", encoding="utf-8")
    outcome = run_cli("summary", "pkg/net.py:Rel")
    assert outcome.code == ExitCode.FAILURE
    assert outcome.err.endswith("name it as one: pkg.net:Rel\n")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_an_unknown_cost_is_unknown() -> None:
    figures, table = summary("scripted")
    assert figures.mult_adds is None
    assert figures.mult_adds_per_image is None
    assert "Total mult-adds: unknown" in table
    assert (figures.forward_backward_megabytes, figures.total_megabytes) == (None, None)
    assert {layer.mult_adds for layer in figures.layers} == {None}
    assert "Forward/backward pass size (MB): unknown" in table
    assert "Estimated Total Size (MB): unknown" in table
    assert "Params size (MB): 0.03" in table
    assert summary("fine")[0].mult_adds == 64 * 7850


def test_a_shared_weight_counts_once() -> None:
    figures, table = summary("tied")
    expected = 784 * 64 + 64 + 64 * 64 + 64 + 64 * 10 + 10
    assert figures.parameters == figures.total_parameters == expected
    assert f"Total params: {expected:,}\n" in table
    assert f"Trainable params: {expected:,}\n" in table
    assert figures.parameter_megabytes == pytest.approx(expected * 4 / 1e6)


def test_a_layer_that_is_called_twice_has_its_parameters_once() -> None:
    figures, _ = summary("Repeated")
    assert [layer.parameters for layer in figures.layers] == [7850, 110, 0]
    assert figures.parameters == 7850 + 110


def test_frozen_weights_are_told_apart(run_cli: RunCli) -> None:
    figures, table = summary("frozen")
    assert (figures.parameters, figures.total_parameters) == (1010, 79_510)
    assert "Non-trainable params: 78,500" in table
    shown = run_cli("compare", "own.py:frozen", "own.py:fine", "--quiet", *FAST)
    assert "1,010 of 79,510" in shown.out
    for seed in (0, 1):
        trained = run_cli(
            *("train", "own.py:frozen", "--seed", seed, "--output", f"{seed}.safetensors"), *FAST
        )
        assert "1,010 trainable parameters" in trained.out
    two = ("0.safetensors", "1.safetensors", "--model", "own.py:frozen")
    assert run_cli("compare", *two).out.count("1,010 of 79,510") == 2
    [document] = run_cli("compare", "own.py:frozen", "--json", "--quiet", *FAST).json["models"]
    assert (document["parameters"], document["total_parameters"]) == (1010, 79_510)


SIZED = """
from torch import nn


def net(hidden=64, act="relu"):
    kind = {"relu": nn.ReLU, "tanh": nn.Tanh}[act]
    return nn.Sequential(nn.Flatten(), nn.Linear(784, hidden), kind(), nn.Linear(hidden, 10))
"""


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("sized.py:net(32)", "sized.py:net(32)"),
        ('./sized.py:net( 32, act = "tanh" )', "sized.py:net(32, act='tanh')"),
        ("sized.py:net(hidden=32,act='tanh')", "sized.py:net(act='tanh', hidden=32)"),
        ("sized:net(act='a:b(1)', hidden=-1)", "sized:net(act='a:b(1)', hidden=-1)"),
        ("sized.py:net()", "sized.py:net"),
        ("sized.py:net(s={'c', 'a', 'b', 'a'})", "sized.py:net(s={'a', 'b', 'c'})"),
        ("sized.py:net([{1: {'b', 'a'}}])", "sized.py:net([{1: {'a', 'b'}}])"),
        ("sized.py:net(0x10, 1e999, set())", "sized.py:net(16, 1e309, set())"),
    ],
)
def test_a_network_with_arguments_has_one_name(written: str, name: str) -> None:
    spec = resolve(written)
    assert (spec.name, spec.short_name) == (name, "net")
    assert resolve(spec.name) == spec


@pytest.mark.parametrize(
    "call",
    [
        *("(x)", "(hidden=open('a'))", "(**{'hidden': 3})", "(3)(4)", "(*[1])", "(1 if 1 else 2)"),
        *("(a=1, a=2)", f"(0x{'f' * 5000})", f"({'-' * 100_000}1)"),
    ],
)
def test_arguments_are_literals_and_never_code(call: str) -> None:
    with pytest.raises(UsageError, match="arguments are literals, such as") as caught:
        resolve(f"sized.py:net{call}")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", ["mlp(3)", "sized.py:net(3", "sized.py:net 3)", "sized.py(3)"])
def test_a_target_that_only_looks_like_a_call_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        resolve(name)


def test_networks_with_arguments(run_cli: RunCli) -> None:
    Path("sized.py").write_text(SIZED)
    model = build(resolve("sized.py:net(hidden=8)"), seed=0)
    assert sum(parameter.numel() for parameter in model.parameters()) == 784 * 8 + 8 + 80 + 10
    outcome = run_cli("compare", "sized.py:net(8)", "sized.py:net(16)", *FAST, "--quiet")
    assert outcome.code == ExitCode.OK
    assert "\nsized.py:net(8) " in outcome.out
    refused = run_cli("compare", "sized.py:net(hiden=8)", "mlp", *FAST)
    assert refused.code == ExitCode.FAILURE
    assert refused.err == "error: sized.py:net has no argument 'hiden' (did you mean hidden?)\n"


def test_a_checkpoint_is_of_a_network_with_its_arguments(run_cli: RunCli) -> None:
    Path("sized.py").write_text(SIZED)
    run_cli("train", "sized.py:net(8, act='tanh')", *FAST)
    right = ("eval", "net.safetensors", "--model", "./sized.py:net(8,act='tanh')")
    assert run_cli(*right).code == ExitCode.OK
    other = run_cli("eval", "net.safetensors", "--model", "sized.py:net(8)")
    assert other.code == ExitCode.USAGE
    assert "holds sized.py:net(8, act='tanh'): name its code with the same arguments" in other.err
    resume = ("--resume", "net.safetensors", "--dataset", "mnist5k", "--epochs", 2)
    refused = run_cli("train", "sized.py:net(8)", *resume)
    assert "to resume it give MODEL sized.py:net(8, act='tanh')" in refused.err
    assert run_cli("train", "sized.py:net(8, act='tanh')", *resume).code == ExitCode.OK


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("(hiden=8)", "sized.py:net has no argument 'hiden' (did you mean hidden?)"),
        ("(8, depth=3)", "sized.py:net has no argument 'depth'"),
        ("(8, hidden=3)", "sized.py:net: multiple values for argument 'hidden'"),
        ("(1, 2, 3)", "sized.py:net: too many positional arguments"),
    ],
)
def test_arguments_that_do_not_fit(call: str, message: str) -> None:
    Path("sized.py").write_text(SIZED)
    with pytest.raises(MnistCliError) as caught:
        build(resolve(f"sized.py:net{call}"), seed=0)
    assert str(caught.value) == message


def test_an_unknown_argument_comes_before_a_missing_one() -> None:
    any_kind = "def takes(**any): return nn.Sequential(nn.Flatten(), nn.Linear(784, any['hiden']))"
    Path("sized.py").write_text(f"from torch import nn\ndef needs(hidden): pass\n{any_kind}")
    with pytest.raises(MnistCliError, match=r"has no argument 'hiden' \(did you mean hidden"):
        build(resolve("sized.py:needs(hiden=3)"), seed=0)
    assert build(resolve("sized.py:takes(hiden=10)"), seed=0)


def test_a_class_without_a_signature_is_called() -> None:
    Path("sized.py").write_text("net = type")
    with pytest.raises(MnistCliError, match=r"net\(3\) returned type, not an nn.Module"):
        build(resolve("sized.py:net(3)"), seed=0)


def test_a_long_call_is_no_file(run_cli: RunCli) -> None:
    Path("sized.py").write_text(SIZED.replace("hidden=64", "hidden=64, layers=()"))
    name = f"sized.py:net(layers={list(range(200))})"
    outcome = run_cli("compare", name, "--quiet", "--json", *FAST)
    assert outcome.json["models"][0]["model"] == name


def test_a_checkpoint_has_the_case_of_the_network(run_cli: RunCli) -> None:
    Path("own.py").write_text(OWN.replace("def fine", "def BN").replace("fine()", "BN()"))
    assert "Saved as BN.safetensors" in run_cli("train", "own.py:BN", *FAST).out
    assert Path("BN.safetensors").exists()
    assert "Saved as mlp.safetensors" in run_cli("train", "MLP", *FAST).out


LATE = """
import os
from torch import nn


class Late(nn.Sequential):
    def forward(self, images):
        if os.path.exists("late") and len(images) != 2:
            raise GeneratorExit
        return super().forward(images)


def late():
    return Late(nn.Flatten(), nn.Linear(784, 10))
"""


@pytest.mark.parametrize(
    "command", ["eval", "predict", "export", "show-samples", "show-features", "compare"]
)
def test_code_that_fails_after_the_training_is_named(command: str, run_cli: RunCli) -> None:
    Path("own.py").write_text(LATE)
    assert run_cli("train", "own.py:late", *FAST).code == ExitCode.OK
    Path("late").touch()
    Path("one.pgm").write_bytes(b"P2 3 9 1 " + b"0 1 0 " * 9)
    checkpoint = "late.safetensors"
    Path("other.safetensors").write_bytes(Path(checkpoint).read_bytes())
    arguments = {
        "eval": (checkpoint,),
        "predict": (checkpoint, "one.pgm"),
        "export": (checkpoint, "--output", "weights.safetensors"),
        "show-samples": ("--checkpoint", checkpoint),
        "show-features": (checkpoint,),
        "compare": (checkpoint, "other.safetensors"),
    }
    outcome = run_cli(command, *arguments[command], "--model", "own.py:late")
    assert outcome.code == ExitCode.FAILURE
    assert outcome.err.startswith("error: the network failed in evaluation: GeneratorExit (/")
    assert outcome.err.endswith("own.py:9)\n")
    assert not Path("weights.safetensors").exists()


def test_a_summary_is_of_the_network_that_compare_measures(run_cli: RunCli) -> None:
    """That of seed 0, should its size depend on random numbers."""
    write_files(
        {
            "own.py": "import torch\nfrom torch import nn\n\n\ndef drawn():\n"
            "    size = int(torch.randint(5, 500, ()))\n"
            "    return nn.Sequential(nn.Flatten(), nn.Linear(784, size), nn.Linear(size, 10))\n"
        }
    )
    summarized = run_cli("summary", "own.py:drawn", "--json").json["models"][0]["parameters"]
    compared = run_cli("compare", "own.py:drawn", *FAST, "--json").json
    assert summarized == compared["models"][0]["parameters"]
