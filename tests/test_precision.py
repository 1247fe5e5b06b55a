"""The rule of `--precision auto`, for made-up processors, and where a result tells it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from mnist_cli.errors import ExitCode
from mnist_cli.schema.protocol import Precision
from mnist_cli.training import precision
from mnist_cli.training.precision import choose_precision
from tests.conftest import RunCli

FP32, BF16, AUTO = Precision.FP32, Precision.BF16, Precision.AUTO
CPU = torch.device("cpu")
DATA = ("--dataset", "mnist5k", "--epochs", "1")


@pytest.mark.parametrize(
    ("name", "instructions", "expected", "reason"),
    [
        ("Intel Xeon", ("avx512_bf16", "amx_bf16"), BF16, "faster with AMX"),
        ("Intel Xeon", ("avx512_bf16",), FP32, "bf16 is slower on Intel without AMX"),
        ("AMD EPYC", ("avx512_bf16",), BF16, "faster with AVX-512 BF16"),
        (None, ("avx512_bf16",), BF16, "faster with AVX-512 BF16"),
        ("AMD EPYC", ("avx2",), FP32, "no AMX or AVX-512 BF16"),
        ("Apple M3", (), FP32, "no AMX or AVX-512 BF16"),
    ],
)
def test_a_large_network_has_the_faster_format_of_the_processor(
    monkeypatch: pytest.MonkeyPatch,
    name: str | None,
    instructions: tuple[str, ...],
    expected: Precision,
    reason: str,
) -> None:
    known: dict[str, Any] = dict.fromkeys(("avx512_bf16", "amx_bf16"), False)
    known |= dict.fromkeys(instructions, True) | ({"cpu_name": name} if name else {})
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    assert choose_precision(AUTO, CPU, 1e6) == (expected, reason)
    assert choose_precision(AUTO, CPU, 0.99e6) == (FP32, "faster for small networks")
    assert choose_precision(AUTO, CPU, None) == (FP32, "number of mult-adds unknown")
    for asked in (FP32, BF16):
        assert choose_precision(asked, CPU, None) == (asked, "set by --precision")


def test_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = torch.device("cuda", 0)
    for capability, expected in (
        ((8, 0), (BF16, "faster with bf16 tensor cores")),
        ((7, 5), (FP32, "no bf16 tensor cores")),
    ):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, c=capability: c)
        assert choose_precision(AUTO, cuda, 19e6) == expected
        assert choose_precision(AUTO, cuda, 0.3e6)[0] == FP32
    assert choose_precision(AUTO, torch.device("mps"), 19e6)[0] == FP32


def test_results_tell_the_reason(run_cli: RunCli) -> None:
    why = "faster for small networks"
    trained = run_cli("train", "mlp", *DATA)
    assert f", in fp32 ({why})." in trained.out.replace("\n", " ")
    assert run_cli("eval", "mlp.safetensors", "--json").json["precision_reason"] == why
    run_cli("compare", "mlp", *DATA, "--export-json", "a.json", "--quiet")
    shown = run_cli("compare", "a.json").out.replace("\n", " ")
    assert f", in fp32 ({why})." in shown
    run_cli("compare", "mlp", *DATA, "--precision", "bf16", "--export-json", "b.json", "--quiet")
    assert ", in bf16 (set by --precision)." in run_cli("compare", "b.json").out.replace("\n", " ")


def test_what_an_earlier_rule_made_is_continued_with_its_format(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on an Intel processor without AMX, where an earlier version chose bf16 by itself."""
    rows = precision.ON_CPU
    monkeypatch.setattr(precision, "LEAST_MULT_ADDS", 0)
    monkeypatch.setattr(precision, "ON_CPU", (("", "", precision.Choice(BF16, "")),))
    compare = ("compare", "mlp", "tinycnn", *DATA, "--journal", "j.jsonl", "--seeds")
    assert run_cli("train", "mlp", *DATA).code == ExitCode.OK
    assert run_cli(*compare, 1).code == ExitCode.OK
    runs = Path("j.jsonl").read_bytes()
    monkeypatch.setattr(precision, "ON_CPU", (rows[-1],))
    refused = run_cli(*compare, 2)
    assert refused.code == ExitCode.USAGE
    assert "trained in bf16: continue with --precision bf16, or choose another" in refused.err
    continued = run_cli(*compare, 2, "--precision", "bf16")
    assert continued.code == ExitCode.OK
    assert Path("j.jsonl").read_bytes().startswith(runs.splitlines()[0])
    assert "2 of 4 runs" in continued.err
    resume = ("train", "mlp", *DATA[:2], "--epochs", 2, "--resume", "mlp.safetensors")
    refused = run_cli(*resume)
    assert (refused.code, "give --precision bf16" in refused.err) == (ExitCode.USAGE, True)
    assert run_cli(*resume, "--precision", "bf16").code == ExitCode.OK


def test_a_journal_of_two_formats_needs_another_journal(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare = ("compare", "mlp", "tinycnn", *DATA, "--journal", "j.jsonl")
    rows = precision.ON_CPU
    monkeypatch.setattr(precision, "LEAST_MULT_ADDS", 5e4)  # tinycnn has 93 thousand, mlp 25
    monkeypatch.setattr(precision, "ON_CPU", (("", "", precision.Choice(BF16, "")),))
    assert run_cli(*compare).code == ExitCode.OK
    monkeypatch.setattr(precision, "ON_CPU", (rows[-1],))
    refused = run_cli(*compare)
    assert "(tinycnn precision bf16, now fp32); choose another journal" in refused.err
