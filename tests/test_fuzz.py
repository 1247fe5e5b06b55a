"""Damaged files are refused in one line, or were not damaged in what they say.

MNIST_CLI_FUZZ sets the number of mutations of each kind of file, which is small by default.
"""

import gzip
import json
import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mnist_cli.comparison import journal
from mnist_cli.comparison.baseline import compare, load_baseline
from mnist_cli.comparison.gates import judge_gates
from mnist_cli.comparison.merging import merge
from mnist_cli.data.idx import read_idx
from mnist_cli.data.pictures import read_picture
from mnist_cli.errors import ExitCode, MnistCliError
from mnist_cli.report import export
from mnist_cli.schema.comparison import Run, Settling
from mnist_cli.schema.options import GateOptions
from mnist_cli.schema.record import seal, to_json
from mnist_cli.training import checkpoint
from tests.conftest import RunCli
from tests.idx_format import idx_bytes
from tests.made_up import comparison, learned, network, resealed
from tests.test_checkpoint import PATH as CHECKPOINT
from tests.test_checkpoint import saved

COUNT = int(os.environ.get("MNIST_CLI_FUZZ", "200"))
CONDITIONS = {"networks": {"mlp": {"lr": 0.001, "code": {}}}, "target": None}


def mutated(content: bytes, seed: int) -> bytes:
    """One to three changes: bits flipped, bytes set, parts removed, doubled or exchanged."""
    chance = random.Random(seed)
    data = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        start = chance.randrange(len(data))
        end = min(len(data), start + chance.choice([1, 1, 1, 2, 8, 60]))
        match chance.randrange(6):
            case 0:
                data[start] ^= 1 << chance.randrange(8)
            case 1:
                data[start] = chance.randrange(256)
            case 2:
                data[start] = ord(chance.choice('0123456789.-e"{}[],:'))
            case 3:
                del data[start:end]
            case 4:
                data[start:start] = data[start:end]
            case _:
                other = chance.randrange(len(data) - (end - start) + 1)
                data[start:end] = data[other : other + end - start]
        data = data or bytearray(b"\n")
    return bytes(data)


COMMANDS = (
    "train mlp --epochs 1 --lr 0.1 --batch-size 32 --output a.safetensors --precision bf16",
    "train nets.py:wide --recipe fast --resume net.safetensors --plot a.png --min-accuracy 0.9",
    "eval net.safetensors --dataset mnist5k --model nets.py:wide --json -q",
    "summary cnn --batch-size 8 --json",
    "summary nets.py:wide(hidden=8)",
    "summary mlp(hidden=8)",
    "compare mlp cnn --seeds 5 --baseline base.json --fail-on-regression --export-csv -",
    "compare cnn --vary lr=0.1,0.2 --vary precision=fp32,bf16 --plot a.svg",
    "compare mlp --target 0.9 --journal runs.jsonl --export-json a.json --max-seconds 3 --seed 7",
    "compare net.safetensors net.safetensors --show-disagreements --model a.b:C",
    "predict net.safetensors a.png scans - --raw --model nets.py:wide --json",
    "export net.safetensors --output a.pt2 --dataset mnist5k --model nets.py:wide",
    "compare base.json base.json --baseline base.json --export-markdown -",
    "show-samples --count 4 --split test --label 3 --checkpoint net.safetensors --errors",
    "show-samples --augment shift=2,rotate=10+erase=0.5 --seed 3 --label 1 --json",
)
WORDS = (
    "",
    "-",
    "--",
    "0",
    "-1",
    "1e400",
    "nan",
    "9" * 30,
    "é漢",
    "a:b",
    "nets.py",
    ".",
    "\0",
    "\n",
)


def mutated_command(seed: int) -> list[str]:
    """Words removed, doubled, exchanged or replaced; whatever asks for training has no device."""
    chance = random.Random(seed)
    words = chance.choice(COMMANDS).split()
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(words))
        match chance.randrange(5):
            case 0 if len(words) > 1:
                del words[at]
            case 1:
                words.insert(at, chance.choice(words))
            case 2:
                words[at] = chance.choice(WORDS)
            case 3:
                words[at] = mutated(words[at].encode() or b"x", seed).decode(errors="replace")
            case _:
                words.insert(at, chance.choice(chance.choice(COMMANDS).split()))
    return words if words[0] == "summary" else [*words, "--device", "xpu"]


def read_all(content: bytes, read: Callable[[bytes], object], whole: object) -> int:
    """How many of all mutations were refused; each of the others must read as `whole` does."""
    refusals = []
    for seed in range(COUNT):
        damaged = mutated(content, seed)
        try:
            assert read(damaged) == whole, f"mutation {seed} was taken"
        except MnistCliError as error:
            refusals.append(str(error))
    assert not any("\n" in message for message in refusals)
    return len(refusals)


def test_journals() -> None:
    path = Path("runs.jsonl")
    with journal.opened(path, CONDITIONS, (0, 1), print) as kept:
        for seed in (0, 1):
            kept.add_all([("mlp", Run(seed, 5, 0.9531 + seed / 1e4, 0.1234567, 1.5))])
        kept.finish()
    runs = dict(kept.runs)

    def read(content: bytes) -> bool:
        path.write_bytes(content)
        with journal.opened(path, CONDITIONS, (0, 1), print) as again:
            return again.runs.items() <= runs.items()  # a line that was cut off is repeated

    assert read_all(path.read_bytes(), read, whole=True) > COUNT / 2


def test_checkpoints() -> None:
    saved()
    first = checkpoint.load(CHECKPOINT)

    def read(content: bytes) -> object:
        CHECKPOINT.write_bytes(content)
        loaded = checkpoint.load(CHECKPOINT)
        same = all(torch.equal(loaded.tensors[key], first.tensors[key]) for key in first.tensors)
        return loaded.record == first.record and same and len(loaded.tensors) == len(first.tensors)

    assert read_all(CHECKPOINT.read_bytes(), read, whole=True) > COUNT / 2


def test_idx_files_of_a_known_hash() -> None:
    import hashlib

    path = Path("images-idx3-ubyte")
    array = np.arange(4 * 28 * 28, dtype=np.uint8).reshape(4, 28, 28)
    content = idx_bytes(array)
    md5 = hashlib.md5(content).hexdigest()

    def read(damaged: bytes) -> bool:
        path.write_bytes(damaged)
        return np.array_equal(read_idx(path, 3, md5), array)

    assert read_all(content, read, whole=True) > COUNT / 2


def test_idx_files_of_an_unknown_hash_keep_their_shape() -> None:
    path = Path("images-idx3-ubyte")
    content = idx_bytes(np.arange(4 * 28 * 28, dtype=np.uint8).reshape(4, 28, 28))

    def read(damaged: bytes) -> bool:
        path.write_bytes(damaged)
        array = read_idx(path, 3)
        return array.dtype == np.uint8 and array.size == len(damaged) - 16

    read_all(content, read, whole=True)


def test_exports() -> None:
    result = comparison(network("mlp", (0.95, 0.96)), network("cnn", (0.98, 0.97)), seeds=2)
    path = Path("base.json")

    def read(content: bytes) -> object:
        path.write_bytes(content)
        return load_baseline(path)

    content = to_json(seal(result), indent=2).encode()
    assert read_all(content, read, whole=seal(result)) > COUNT / 2


def refusal_of(read: Callable[[], object]) -> str | None:
    """The one line with which a file is refused; None where it is taken."""
    try:
        read()
    except MnistCliError as error:
        message = str(error)
    else:
        return None
    assert "\n" not in message
    return message


HOSTILE: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    0.5,
    2**63,
    10**400,
    1e308,
    -1e308,
    1e-320,
    "",
    "x" * 20_000,
    [],
    {},
)


def with_hostile_values(document: Any, seed: int) -> Any:
    """The document with one to three of its values exchanged for others, or doubled."""
    chance = random.Random(seed)
    changed = json.loads(json.dumps(document))
    for _ in range(chance.randint(1, 3)):
        place, key = changed, chance.choice(list(changed))
        while isinstance(place[key], dict | list) and place[key] and chance.random() < 0.9:
            place = place[key]
            keys = range(len(place)) if isinstance(place, list) else list(place)
            key = chance.choice(keys)
        if isinstance(place, list) and chance.random() < 0.3:
            place += [place[key]] * chance.choice([1, 1, 100, 300])
        else:
            place[key] = chance.choice(HOSTILE)
    return changed


def test_exports_of_somebody_who_knows_the_checksum() -> None:
    """They are refused in one line, or can be put together, judged and written again."""
    labels, answers = [1, 2, 3, 4] * 5, [1, 2, 3, 5] * 5
    rows = [network(name, (0.75,) * 5, hosts=("one",)) for name in ("mlp", "cnn")]
    learnt = [learned(row, labels, answers) for row in rows]
    documents = [
        json.loads(to_json(comparison(*learnt, num_test=20, settling=settling, margin=margin)))
        for settling, margin in ((None, None), (Settling(40), 0.01))
    ]
    path, taken = Path("base.json"), 0
    for seed in range(COUNT):
        path.write_text(resealed(with_hostile_values(documents[seed % 2], seed)))
        if refusal_of(lambda: load_baseline(path)):
            continue
        taken += 1
        result = load_baseline(path)
        again = compare(merge({path: result}), path, result)
        for form in (to_json, export.to_csv, export.to_markdown, export.to_latex):
            assert form(again), seed
        judge_gates(again, GateOptions(0.9, 3, fail_on_regression=True))
    assert 0 < taken < COUNT


def test_journals_of_somebody_who_knows_the_checksum() -> None:
    path = Path("runs.jsonl")
    with journal.opened(path, CONDITIONS, (0, 1), print) as kept:
        kept.add_all([("mlp", Run(0, 5, 0.9531, 0.1234567, 1.5))])
        kept.finish()
    lines = [json.loads(line) for line in path.read_text().splitlines()]

    def go_on() -> None:
        with journal.opened(path, CONDITIONS, (0, 1), print) as again:
            again.add_all([("mlp", Run(1, 5, 0.9531, 0.1234567, 1.5))])
            again.finish()

    for seed in range(COUNT):
        changed = list(lines)
        at = seed % len(lines)
        changed[at] = with_hostile_values(changed[at], seed)
        if "checksum" in changed[at]:
            changed[at] = json.loads(resealed(changed[at]))
        path.write_text("".join(f"{json.dumps(line)}\n" for line in changed))
        refusal_of(go_on)


def test_pictures() -> None:
    from PIL import Image

    grey = (np.arange(30 * 30).reshape(30, 30) % 251).astype(np.uint8)
    for suffix in ("png", "jpg", "gif", "tif", "bmp", "webp", "ppm"):
        path = Path(f"a.{suffix}")
        Image.fromarray(grey).save(path)
        whole = path.read_bytes()
        for seed in range(COUNT // 10):
            path.write_bytes(mutated(whole, seed))
            if not refusal_of(partial(read_picture, path)):
                pixels = read_picture(path)
                assert pixels.ndim == 3
                assert pixels.min() >= 0 and pixels.max() <= 1


def test_archives_of_idx_files() -> None:
    path = Path("images-idx3-ubyte.gz")
    array = np.arange(4 * 28 * 28, dtype=np.uint8).reshape(4, 28, 28)
    content = gzip.compress(idx_bytes(array), mtime=0)

    def read(damaged: bytes) -> bool:
        path.write_bytes(damaged)
        return np.array_equal(read_idx(path, 3), array)

    assert read_all(content, read, whole=True) > COUNT / 2


def test_command_lines(run_cli: RunCli) -> None:
    """None is a bug: each is refused in one line, or prints what it was asked for."""
    saved()
    Path("base.json").write_text(to_json(seal(comparison(network("mlp", (0.95,))))))
    codes = set()
    for seed in range(COUNT):
        arguments = mutated_command(seed)
        outcome = run_cli(*arguments)
        assert outcome.code in {ExitCode.OK, ExitCode.FAILURE, ExitCode.USAGE}, arguments
        if outcome.code:
            *notices, error = outcome.err.splitlines() or [outcome.out]
            assert error.startswith("error: ") or "Usage" in error, (arguments, outcome)
            assert all(line.startswith("notice: ") for line in notices), (arguments, outcome)
        codes.add(outcome.code)
    assert codes == {ExitCode.OK, ExitCode.FAILURE, ExitCode.USAGE}


def test_a_mutation_changes_something() -> None:
    content = b'{"seed": 12, "accuracy": 0.98}' * 10
    changed = sum(mutated(content, seed) != content for seed in range(200))
    assert changed > 180
    with pytest.raises(AssertionError, match="was taken"):
        read_all(content, lambda damaged: damaged == content, whole=True)
