"""The real command as a process: start-up, signals, pipes and character sets."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mnist_cli import __version__
from tests.conftest import RunCli, run_process, start, start_python

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
TRAIN = ("--dataset", "mnist5k", "--epochs", "5000")


def files() -> list[str]:
    return sorted(path.name for path in Path().iterdir() if path.is_file())


SLOW_TO_IMPORT = {
    "torch._dynamo",
    "torch._inductor",
    "sympy",
    "torchvision",
    "matplotlib",
    "pandas",
}


def imported(*lines: str) -> list[set[str]]:
    """The modules that one process holds after each of several commands."""
    code = (
        "import sys; from mnist_cli.cli.app import run\n"
        "for line in sys.argv[1:]:\n"
        "    print('after', run(line.split()), *sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, *lines]
    finished = subprocess.run(command, check=True, capture_output=True, text=True)
    told = [line.split() for line in finished.stderr.splitlines() if line.startswith("after ")]
    assert [words[1] for words in told] == ["0" if line else "2" for line in lines], finished.stderr
    return [set(words[2:]) for words in told]


def test_help_imports_nothing_heavy() -> None:
    heavy = {"torch", "numpy", "requests", "safetensors", "scipy"} | SLOW_TO_IMPORT
    for modules in imported("--help", "--version", "train --help", ""):
        assert not modules & heavy


def test_commands_import_nothing_that_is_slow() -> None:
    """What one process has not imported after all commands, none of them imports."""
    data = "--dataset mnist5k --quiet"
    Path("one.pgm").write_bytes(b"P2 3 9 1 " + b"0 1 0 " * 9)
    without_scipy = (
        "summary",
        f"train mlp --epochs 1 {data}",
        f"train tinycnn --epochs 1 --output other.safetensors {data}",
        f"export mlp.safetensors --output weights.safetensors {data}",
    )
    one_seed = (
        f"eval mlp.safetensors {data}",
        f"show-samples --checkpoint mlp.safetensors {data}",
        f"compare mlp --epochs 1 {data}",
    )
    several = (
        f"compare mlp tinycnn --seeds 2 --epochs 1 {data}",
        f"compare mlp.safetensors other.safetensors {data}",
    )
    after = imported(*without_scipy, *one_seed, *several, "predict mlp.safetensors one.pgm")
    _, trained, _, exported, _, _, of_one_seed, _, compared, predicted = after
    assert "torch" in trained
    assert "scipy" not in exported
    assert "scipy.special" not in of_one_seed
    assert "scipy.stats" not in compared
    assert not predicted & SLOW_TO_IMPORT


def test_garbage_is_collected_during_the_work_only() -> None:
    code = (
        "import gc; from mnist_cli.system import process; process.get_ready();"
        "assert not gc.isenabled(); process.start_work();"
        "assert gc.isenabled(); assert gc.get_freeze_count() > 1000"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


LEFT_BEHIND = """
import atexit, threading, time
from pathlib import Path
from torch import nn

def net():
    threading.Thread(target=time.sleep, args=(3600,)).start()
    atexit.register(Path("called").touch)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
"""


@pytest.mark.parametrize(("batch_size", "code"), [(64, 0), (0, 2)])
def test_the_process_ends_though_a_network_left_a_thread(batch_size: int, code: int) -> None:
    Path("nets.py").write_text(LEFT_BEHIND, encoding="utf-8")
    outcome = run_process("summary", "nets.py:net", "--batch-size", str(batch_size))
    assert outcome.code == code
    assert ("7,850" in outcome.out) == Path("called").exists() == (code == 0)


def test_a_long_output_is_written_whole_before_the_process_ends() -> None:
    count = 4000
    outcome = run_process("show-samples", "--dataset", "mnist5k", "--count", str(count), "--json")
    assert len(outcome.json["samples"]) == count


@posix
def test_a_working_directory_that_is_gone_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    code = "import os, sys; os.rmdir(os.getcwd()); from mnist_cli.__main__ import main; main()"
    command = [sys.executable, "-c", code, "compare", "mlp"]
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert finished.stdout == ""
    [line] = finished.stderr.splitlines()
    assert line == "error: the working directory no longer exists; change to another one"


def test_a_name_that_is_too_long_is_one_line_without_an_error_number(run_cli: RunCli) -> None:
    outcome = run_cli("eval", "n" * 300)
    assert outcome.code == 1
    assert len(outcome.err.splitlines()) == 1
    assert "too long" in outcome.err
    assert "Errno" not in outcome.err


def test_version_and_no_command() -> None:
    version = run_process("--version")
    assert version.code == 0
    assert version.out.startswith(f"mnist-cli {__version__}, torch ")
    assert version.err == ""
    assert run_process().code == 2


def test_streams_are_kept_apart() -> None:
    outcome = run_process("train", "mlp", "--epochs", "1", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["dataset"]["name"] == "mnist5k"
    notice, epoch = outcome.err.splitlines()
    assert notice.startswith("notice: ")
    assert epoch.startswith("mlp: epoch 1/1")


def test_colour_comes_only_when_asked_for(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in run_cli("summary").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" in run_cli("summary").out
    assert "\x1b" not in run_cli("summary", "--json").out


STAYING = """
import atexit, sys, threading, time
from torch import nn

def cnn():
    if "train" in sys.argv:  # and not in the process of the tests
        threading.Thread(target=time.sleep, args=(3600,)).start()
        atexit.register(time.sleep, 3600)
    return nn.Sequential(nn.Conv2d(1, 8, 5), nn.Flatten(), nn.Linear(8 * 24 * 24, 10))
"""


@posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_quietly_and_loses_nothing(
    number: signal.Signals, code: int, run_cli: RunCli
) -> None:
    Path("nets.py").write_text(STAYING, encoding="utf-8")
    process = start("train", "nets.py:cnn", *TRAIN)
    assert process.stderr is not None
    first = process.stderr.readline()
    assert "epoch 1/5000" in first
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert out == ""
    assert "Traceback" not in err
    assert "go on with --resume cnn.safetensors" in err
    assert err.endswith("interrupted\n" if number == signal.SIGINT else "terminated\n")
    assert files() == ["cnn.safetensors", "nets.py"]
    assert run_cli("eval", "cnn.safetensors", "--model", "nets.py:cnn").code == 0


@posix
def test_a_signal_before_the_first_epoch_leaves_no_file() -> None:
    process = start("train", "strongcnn", "--dataset", "mnist5k", "--batch-size", "1")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(4)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "Traceback" not in err
    assert files() == []


@posix
def test_a_signal_while_a_network_is_imported() -> None:
    Path("slow.py").write_text("import time\nopen('begun', 'w').close()\ntime.sleep(60)")
    process = start("train", "slow.py:net", "--dataset", "mnist5k")
    deadline = time.monotonic() + 60
    while not Path("begun").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (143, "terminated\n")


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_torch_is_imported(number: signal.Signals) -> None:
    # Libraries turn an exception in an import into another one, or drop it and go on.
    for delay in (0.4, 0.7):
        process = start("compare", "mlp", "--epochs", "200", "--dataset", "mnist5k")
        time.sleep(delay)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 128 + number
        assert "Traceback" not in err


@posix
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_is_no_bug(closed: str) -> None:
    shell = f"{sys.executable} -m mnist_cli --version {closed}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@posix
def test_a_kill_leaves_a_whole_checkpoint(run_cli: RunCli) -> None:
    process = start("train", "mlp", *TRAIN)
    assert process.stderr is not None
    process.stderr.readline()
    process.kill()
    process.communicate()
    assert run_cli("eval", "mlp.safetensors").code == 0


@posix
@pytest.mark.parametrize("command", ["--help", "summary strongcnn"])
def test_a_closed_pipe_changes_nothing(command: str) -> None:
    shell = f"set -o pipefail; {sys.executable} -m mnist_cli {command} | true"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@posix
def test_a_closed_pipe_does_not_hide_a_gate(run_cli: RunCli) -> None:
    run_cli("train", "mlp", "--epochs", "1", "--dataset", "mnist5k")
    shell = (
        f"set -o pipefail; {sys.executable} -m mnist_cli eval mlp.safetensors --min-accuracy 1 "
        "2>&1 | true"
    )
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        outcome = run_process("--version", stdout=full)
    assert outcome.code == 1
    assert outcome.err == "error: cannot write standard output: No space left on device\n"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_narrow_character_sets(run_cli: RunCli, encoding: str) -> None:
    data = ("--dataset", "mnist5k", "--epochs", "1", "--seeds", "2")
    run_cli("compare", "mlp", *data, "--export-json", "a.json")
    process = start_python(
        *("-m", "mnist_cli", "compare", "a.json"),
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )
    out = process.communicate(timeout=100)[0].decode(encoding)
    assert process.returncode == 0
    assert "\\u" not in out
    assert re.search(r"[|]-+o-+[|]", out)
    assert "##########" in out


@posix
def test_a_terminal_gets_bars_and_pictures() -> None:
    import pty

    command = ("compare", "mlp", "--dataset", "mnist5k", "--epochs", "1")
    drawing = ("show-samples", "--dataset", "mnist5k", "--count", "1")
    screens = []
    for arguments in (command, drawing):
        leader, follower = pty.openpty()
        environment = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "80"}
        process = start(
            *arguments, stdout=follower, stderr=follower, stdin=follower, env=environment
        )
        os.close(follower)
        screen = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:  # how Linux reports the end
                break
            if not part:
                break
            screen += part
        os.close(leader)
        assert process.wait(60) == 0
        screens.append(screen.decode())
    assert "mlp epoch 1/1" in screens[0]
    assert "100 %" in screens[0]
    assert "▀" in screens[1]
    assert "\x1b[38;2;0;0;0;48;2;0;0;0m" in screens[1]
