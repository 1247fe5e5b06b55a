"""What the code of a network may do to the process, and to other networks: nothing."""

import importlib
import os
import random
import re
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from mnist_cli.data.dataset import LabelledImages
from mnist_cli.errors import ExitCode, Interrupted, MnistCliError, Terminated
from mnist_cli.execution.trainer import Trainer
from mnist_cli.networks import isolation
from mnist_cli.networks.building import build, count_parameters, seed_all
from mnist_cli.networks.isolation import Surroundings, running
from mnist_cli.networks.registry import resolve
from mnist_cli.schema.options import Entry
from mnist_cli.schema.protocol import Precision, Settings
from mnist_cli.schema.runs import RunTask
from mnist_cli.training.evaluation import predict
from mnist_cli.training.examples import to_device
from mnist_cli.training.recipes import protocol_of
from tests.conftest import RunCli, made_images, run_process, write_files

FAST = ("--epochs", 1, "--dataset", "mnist5k", "--threads", 1)
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX processes")


# A network of WIDTH hidden units whose code imports its neighbours in one of four places.
MADE = """
from torch import nn


class Net(nn.Sequential):
    def forward(self, images):
        {late}
        assert WIDTH == self[1].out_features
        return super().forward(images)


def make():
    {lazy}
    return Net(nn.Flatten(), nn.Linear(784, WIDTH), nn.Linear(WIDTH, 10))
"""
SIZES = """
WIDTH = {size}
with open("{folder}.log", "a") as log:
    log.write("1")
"""
LAZY = "def net():\n    import blocks\n    return blocks.make()\n"
EAGER = "import blocks\n\ndef net():\n    return blocks.make()\n"


@pytest.mark.parametrize("package", [False, True])
@pytest.mark.parametrize("net", [LAZY, EAGER])
def test_networks_have_modules_of_their_own(net: str, package: bool, run_cli: RunCli) -> None:
    width = "from blocks.sizes import WIDTH" if package else "from sizes import WIDTH"
    for folder, size in (("a", 8), ("b", 64)):
        inner = f"{folder}/blocks" if package else folder
        made = MADE.format(late=width, lazy=width)
        write_files(
            {
                f"{folder}/nets.py": net,
                f"{inner}/__init__.py" if package else f"{inner}/blocks.py": made,
                f"{inner}/sizes.py": SIZES.format(size=size, folder=folder),
            }
        )
    before, path = dict(sys.modules), list(sys.path)
    models = [build(resolve(f"{folder}/nets.py:net"), 0) for folder in "ab"]
    for model, parameters in zip(models * 2, [6370, 50890] * 2, strict=True):
        assert count_parameters(model) == parameters
        assert predict(model, torch.zeros(3, 1, 28, 28)).shape == (3, 10)
    assert [len(Path(f"{folder}.log").read_text()) for folder in "ab"] == [1, 1]  # imported once
    assert {name: sys.modules.get(name) for name in before} == before
    assert not {"blocks", "sizes", "nets"} & sys.modules.keys()
    assert sys.path == path
    document = run_cli("compare", "a/nets.py:net", "b/nets.py:net", *FAST, "--json", "--quiet")
    assert [row["parameters"] for row in document.json["models"]] == [6370, 50890]
    for folder in "ab":
        command = ("train", f"{folder}/nets.py:net", "--output", f"{folder}.safetensors", *FAST)
        assert run_cli(*command).code == ExitCode.OK
    models_named = ("--model", "a/nets.py:net", "--model", "b/nets.py:net")
    compared = run_cli("compare", "a.safetensors", "b.safetensors", *models_named, "--json")
    assert [row["parameters"] for row in compared.json["checkpoints"]] == [6370, 50890]
    exported = run_cli(
        *("export", "b.safetensors", "--model", "b/nets.py:net", "--output", "w.safetensors")
    )
    assert exported.code == ExitCode.OK


def test_a_package_in_the_working_directory_is_imported_anew() -> None:
    made = MADE.format(late="from .sizes import WIDTH", lazy="from .sizes import WIDTH")
    for size in (8, 640):
        write_files(
            {"pack/__init__.py": "", "pack/net.py": made, "pack/sizes.py": f"WIDTH = {size}"}
        )
        model = build(resolve("pack.net:make"), 0)
        assert count_parameters(model) == 784 * size + size + size * 10 + 10
    assert not [name for name in sys.modules if name.partition(".")[0] == "pack"]


def test_shared_modules_stay_and_removed_ones_return() -> None:
    write_files(
        {"own.py": "import colorsys, sys\ndel sys.modules['json']\nsys.modules['os'] = 3\n"}
    )
    sys.modules.pop("colorsys", None)
    json, os_module = sys.modules["json"], sys.modules["os"]
    with pytest.raises(MnistCliError, match=r"own\.py has no 'net'"):
        build(resolve("own.py:net"), 0)
    assert "colorsys" in sys.modules
    assert (sys.modules["json"], sys.modules["os"]) == (json, os_module)


def test_a_package_that_the_program_has_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    write_files({"isolated_pack/__init__.py": "", "isolated_pack/more.py": ""})
    monkeypatch.syspath_prepend(str(Path.cwd()))
    importlib.import_module("isolated_pack")
    with Surroundings().running("it failed"):
        more = importlib.import_module("isolated_pack.more")
    assert sys.modules["isolated_pack.more"] is more
    for name in ("isolated_pack.more", "isolated_pack"):
        del sys.modules[name]


class Mine(BaseException):
    pass


class BrokenError(Exception):
    def __str__(self) -> str:
        raise SystemExit(0)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no\nluck"), "ValueError: no luck"),
        (GeneratorExit(), "GeneratorExit"),
        (StopIteration(3), "StopIteration: 3"),
        (SystemExit(0), "SystemExit: 0"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (Mine("own"), "Mine: own"),
        (BrokenError(), "BrokenError: an exception without a message"),
        (ValueError("x" * 5000), f"ValueError: {'x' * 988}..."),
        (AssertionError("Torch not compiled with CUDA enabled"), "use --device instead"),
        (RuntimeError("Found no NVIDIA driver on your system"), "use --device instead"),
        (RuntimeError("not linked with support for mps devices"), "use --device instead"),
        (ValueError("not compiled with care"), "ValueError: not compiled with care"),
    ],
)
def test_any_exception_becomes_one_line(error: BaseException, text: str) -> None:
    with pytest.raises(MnistCliError) as caught, Surroundings().running("it failed"):
        raise error
    message = str(caught.value)
    assert message.startswith("it failed: ")
    assert f"{text} (" in message
    assert re.search(r"\(/.*test_isolation\.py:\d+\)$", message)


@pytest.mark.parametrize("error", [Interrupted(), Terminated(), MnistCliError("a line of ours")])
def test_signals_and_our_own_failures_go_through(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, Surroundings().running("it failed"):
        raise error
    assert caught.value is error


LINE = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(784, 10)

    def forward(self, images):
        return self.layer(images)  # which is not flat
"""


def test_an_error_names_the_line_of_the_users_file() -> None:
    write_files({"own.py": LINE})
    with pytest.raises(MnistCliError, match=r"mat1 and mat2.*own\.py:12\)$"):
        build(resolve("own.py:Net"), 0)


def changes() -> Iterator[tuple[str, object]]:
    """Everything that code may set and that another network would notice."""
    yield "directory", Path.cwd()
    yield "path", list(sys.path)
    yield "limit", sys.getrecursionlimit()
    yield "dtype", torch.get_default_dtype()
    yield "device", torch.get_default_device()
    yield "gradients", torch.is_grad_enabled()
    yield "threads", torch.get_num_threads()
    yield "precision", [part.fp32_precision for part in isolation.PRECISIONS]
    yield "deterministic", torch.get_deterministic_debug_mode()
    yield "anomaly", torch.is_anomaly_enabled()
    yield "together", torch.get_float32_matmul_precision()
    yield "cudnn", (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic)
    yield "warnings", list(warnings.filters)
    yield "handlers", [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield "streams", (sys.stdin, sys.stdout, sys.stderr)
    yield "exits", (os._exit, os.abort)


def change_everything(folder: Path) -> None:
    os.chdir(folder)
    sys.path.append("elsewhere")
    sys.setrecursionlimit(4321)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.set_float32_matmul_precision("medium")
    torch.set_deterministic_debug_mode("warn")
    torch.set_anomaly_enabled(True)
    torch.backends.cudnn.benchmark ^= True
    torch.backends.cudnn.deterministic ^= True
    warnings.simplefilter("ignore")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin, sys.stdout, sys.stderr = None, None, None


KEPT = {
    "directory",
    "path",
    "limit",
    "dtype",
    "device",
    "precision",
    "together",
    "deterministic",
    "anomaly",
}


@pytest.mark.parametrize("failing", [False, True])
def test_each_network_keeps_its_own_settings(tmp_path: Path, failing: bool) -> None:
    surroundings, before = Surroundings(["first"]), dict(changes())
    try:
        with surroundings.running("it failed"):
            change_everything(tmp_path.parent)
            if failing:
                raise ValueError
    except MnistCliError:
        assert failing
    assert dict(changes()) == before
    with Surroundings().running("another"):
        inside = dict(changes())
    same = {"streams", "exits"}
    assert {k: v for k, v in inside.items() if k not in same} == {
        k: v for k, v in before.items() if k not in same
    }
    with surroundings.running("again"):
        again = dict(changes())
        assert (again["directory"], again["dtype"]) == (tmp_path.parent, torch.float64)
        assert again["path"] == ["first", *sys.path[1:-1], "elsewhere"]
    different = {key for key in before if again[key] != before[key]} - same
    assert different == KEPT | {"warnings", "cudnn"}
    assert again["cudnn"] == (not before["cudnn"][0], before["cudnn"][1])  # type: ignore[index]
    assert dict(changes()) == before


@pytest.mark.parametrize("part", range(len(isolation.PRECISIONS)))
def test_each_network_keeps_its_own_precisions(part: int) -> None:
    """Where a part is set, torch tells no precision of all."""
    surroundings, before = Surroundings(), dict(changes())
    with surroundings.running("it failed"):
        isolation.PRECISIONS[part].fp32_precision = "ieee"
    assert dict(changes()) == before
    with surroundings.running("it failed"):
        assert isolation.PRECISIONS[part].fp32_precision == "ieee"
    assert dict(changes()) == before


def test_a_folder_that_is_gone_is_no_failure(tmp_path: Path) -> None:
    surroundings, folder = Surroundings(), tmp_path / "gone"
    folder.mkdir()
    with surroundings.running("it failed"):
        os.chdir(folder)
    folder.rmdir()
    with surroundings.running("it failed"):
        assert Path.cwd() == tmp_path


def test_standard_streams_cannot_be_closed(capfd: pytest.CaptureFixture[str]) -> None:
    with Surroundings().running("it failed"):
        sys.stdout.write("written before. ")
        sys.stdout.close()
        sys.stderr.close()
        sys.stdout.write("And after.")
        for number in (0, 1, 2):
            os.close(number)
    os.write(1, b" By number.")
    sys.stderr.write("error")
    sys.stderr.flush()
    assert capfd.readouterr() == ("written before. And after. By number.", "error")


def test_random_states_are_set_whatever_the_code_did(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn() -> tuple[float, float, float]:
        seed_all(2**64 - 1)
        return float(torch.rand(1)), float(np.random.rand()), random.random()  # noqa: NPY002

    expected = drawn()
    for target in ("torch.manual_seed", "numpy.random.seed", "random.seed"):
        monkeypatch.setattr(target, lambda seed: None)
    assert drawn() == expected


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(("call", "text"), [("_exit", "os._exit(3)"), ("abort", "os.abort()")])
def test_ending_the_process_is_a_failure(call: str, text: str) -> None:
    """Where it is none, the process of this test is gone."""
    arguments, kept = ((3,) if call == "_exit" else ()), []

    def end() -> None:
        kept.append(getattr(os, call))
        kept[0](*arguments)

    def end_in(thread: threading.Thread) -> None:
        thread.start()
        thread.join()

    with Surroundings().running("it failed"):
        end_in(threading.Thread(target=end))  # which ends the thread
    with pytest.raises(MnistCliError) as caught, Surroundings().running("it failed"):
        end()
    assert str(caught.value).startswith(f"it failed: SystemExit: it called {text} (")
    for ending in kept:  # as functions for the exit do later
        end_in(threading.Thread(target=ending, args=arguments))


@posix
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize(("code", "expected"), [(7, 7), (None, 0)])
def test_a_forked_process_ends_where_the_code_does(code: int | None, expected: int) -> None:
    with Surroundings().running("it failed"):
        child = os.fork()
        if not child and code is not None:
            os._exit(code)
    assert child  # the other one came out of the code, and may not go on
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == expected


def test_code_of_one_network_may_run_within_itself() -> None:
    model = build(resolve("mlp"), 0)
    with running(model, "outer"):
        with running(model, "inner"):
            torch.set_default_dtype(torch.float64)
        assert torch.get_default_dtype() == torch.float64
    assert torch.get_default_dtype() == torch.float32


FAILING = """
import torch
from torch import nn


class Net(nn.Sequential):
    def __init__(self, error, where="forward", epoch=1):
        super().__init__(nn.Flatten(), nn.Linear(784, 10))
        self.error, self.where, self.epoch = error, where, epoch
        self.made = True

    def forward(self, images):
        self.fail("forward")
        return super().forward(images)

    def train(self, mode=True):
        self.epoch -= mode
        super().train(mode)
        self.fail("train")
        return self

    def to(self, *arguments, **options):
        self.fail("to", early=True)
        return super().to(*arguments, **options)

    def parameters(self, recurse=True):
        self.fail("parameters", early=True)
        return super().parameters(recurse)

    def fail(self, where, early=False):
        if getattr(self, "made", False) and where == self.where:
            if early and self.error or self.training and self.epoch == 0:
                raise {"quit": GeneratorExit, "exit": SystemExit}[self.error]
"""


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("('quit')", "the network failed in epoch 1: GeneratorExit ("),
        ("('exit', epoch=2)", "the network failed in epoch 2: SystemExit ("),
        ("('quit', 'train', 2)", "the network failed in epoch 2: GeneratorExit ("),
        ("('quit', 'to')", "the network cannot be moved to cpu: GeneratorExit ("),
        ("('exit', 'parameters')", " failed on a batch of 2x1x28x28 float32 images: SystemExit ("),
    ],
)
def test_a_run_that_fails_says_why(call: str, message: str) -> None:
    write_files({"own.py": FAILING})
    spec = resolve(f"own.py:Net{call}")
    entry = Entry(spec, protocol_of(Settings(epochs=2), spec), Precision.FP32)
    images, labels = made_images(70)
    examples = to_device(LabelledImages(images, labels), torch.device("cpu"))
    trainer = Trainer("cpu", 1)
    trainer.examples = examples, examples
    told = trainer.train(RunTask(entry, 0, None), lambda *steps: None)
    assert isinstance(told, str)
    assert message in told
    assert told.endswith("own.py:33)")


HOSTILE = """
import atexit, os, sys, threading, time
from torch import nn


def fine():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def stays():
    threading.Thread(target=time.sleep, args=(3600,)).start()
    atexit.register(os._exit, 0)
    atexit.register(time.sleep, 3600)
    os.chdir(os.path.join(os.path.dirname(__file__), "elsewhere"))
    return fine()


class Leaves(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = fine()

    def forward(self, images):
        if self.training:
            sys.stdout.close()
            sys.stderr.close()
            os.close(1)
            os._exit(0)
        return self.layers(images)
"""


@posix
def test_a_command_ends_with_its_output_and_exit_code() -> None:
    write_files({"own.py": HOSTILE, "elsewhere/res.json": "of somebody else"})
    outcome = run_process(
        *("compare", "own.py:stays", "own.py:Leaves", *map(str, FAST), "--export-json", "res.json")
    )
    assert outcome.code == ExitCode.FAILURE
    assert (
        "own.py:Leaves failed: seed 0: the network failed in epoch 1: SystemExit: " in outcome.out
    )
    assert "own.py:28)" in outcome.out
    assert outcome.err.splitlines()[-1].startswith("error: own.py:Leaves failed")
    assert Path("elsewhere/res.json").read_text() == "of somebody else"
    assert Path("res.json").stat().st_size > 1000
