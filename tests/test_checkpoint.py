import hashlib
import json
import os
import stat
import struct
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from mnist_cli.errors import MnistCliError
from mnist_cli.schema.datasets import DatasetInfo
from mnist_cli.schema.events import Event
from mnist_cli.schema.protocol import Protocol
from mnist_cli.schema.record import from_json, to_json
from mnist_cli.schema.results import Environment, EpochResult, TrainResult
from mnist_cli.system.files import replacing
from mnist_cli.training import checkpoint
from mnist_cli.training.optimizers import Optimizer
from mnist_cli.workflows.shared import warn_of_leak

PATH = Path("net.safetensors")


def record(tensors: dict[str, Tensor]) -> TrainResult:
    return TrainResult(
        model="mlp",
        parameters=25_450,
        dataset=DatasetInfo("mnist5k", 4000, 1000, "0" * 64, "note"),
        environment=Environment("cpu", "p", 2, "AVX2", "2", "3", "os", "0"),
        protocol=Protocol(),
        code={},
        precision="fp32",
        seed=7,
        epochs=(EpochResult(1, 0.5, 0.25, 0.9, 1.5),),
        test_accuracy=0.9,
        test_loss=0.25,
        train_seconds=1.5,
        tensors_sha256=checkpoint.digest(tensors),
        checkpoint=str(PATH),
    )


def saved(model: nn.Module | None = None) -> dict[str, Tensor]:
    model = model or nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = Optimizer(list(model.parameters()), Protocol())
    model(torch.rand(4, 3)).sum().backward()
    optimizer.update(0.001)
    tensors = checkpoint.collect(model, optimizer)
    checkpoint.save(PATH, record(tensors), tensors)
    return tensors


def test_a_checkpoint_is_restored_completely() -> None:
    tensors = saved()
    loaded = checkpoint.load(PATH)
    assert loaded.record == record(tensors)
    assert loaded.tensors.keys() == tensors.keys()
    assert all(torch.equal(loaded.tensors[key], tensors[key]) for key in tensors)

    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = Optimizer(list(model.parameters()), Protocol())
    checkpoint.restore_model(loaded, model)
    checkpoint.restore_optimizer(loaded, optimizer)
    again = checkpoint.collect(model, optimizer)
    assert checkpoint.digest(again) == checkpoint.digest(tensors)
    assert any(key.startswith("optimizer.") for key in tensors)


@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_a_flipped_bit_anywhere_in_the_tensors_is_found(where: str) -> None:
    saved()
    content = bytearray(PATH.read_bytes())
    start = 8 + struct.unpack("<Q", content[:8])[0]
    position = {"first": start, "middle": (start + len(content)) // 2, "last": -1}[where]
    content[position] ^= 1
    PATH.write_bytes(content)
    with pytest.raises(MnistCliError, match=r"net\.safetensors is damaged.*hash"):
        checkpoint.load(PATH)


def test_a_changed_record_is_found() -> None:
    saved()
    content = PATH.read_bytes()
    PATH.write_bytes(content.replace(b'test_accuracy\\": 0.9', b'test_accuracy\\": 0.8'))
    assert PATH.read_bytes() != content
    with pytest.raises(MnistCliError, match="hash"):
        checkpoint.load(PATH)


def test_the_hash_is_of_names_types_shapes_and_values() -> None:
    first = torch.zeros(2, 3)
    kinds = [
        {"a": first},
        {"b": first},
        {"a": first.int()},  # of the same bytes
        {"a": first.reshape(3, 2)},
        {"a": first + 1},
        {"a": first, "b": first},
    ]
    assert len({checkpoint.digest(tensors) for tensors in kinds}) == len(kinds)
    swapped = [{"a": first, "b": first + 1}, {"b": first + 1, "a": first}]
    assert checkpoint.digest(swapped[0]) == checkpoint.digest(swapped[1])


def test_every_truncation_is_found() -> None:
    saved()
    content = PATH.read_bytes()
    for length in range(0, len(content), 7):
        PATH.write_bytes(content[:length])
        with pytest.raises(MnistCliError, match=r"net\.safetensors is") as caught:
            checkpoint.load(PATH)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"text", b"\x00" * 100, b"\xff" * 100])
def test_other_files_are_refused(content: bytes) -> None:
    PATH.write_bytes(content)
    with pytest.raises(MnistCliError, match="not a checkpoint"):
        checkpoint.load(PATH)


def test_a_pickle_is_refused_and_not_run() -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (Path("ran"),)

    torch.save(Evil(), PATH)
    with pytest.raises(MnistCliError):
        checkpoint.load(PATH)
    assert not Path("ran").exists()


def test_a_foreign_safetensors_file_is_refused() -> None:
    save_file({"weight": torch.zeros(2)}, PATH)
    with pytest.raises(MnistCliError, match="not a checkpoint of mnist-cli"):
        checkpoint.load(PATH)


@pytest.mark.parametrize("result", ["{", "[]", "{}", json.dumps({"epochs": 3}), "null"], ids=repr)
def test_a_malformed_record_is_refused(result: str) -> None:
    digest = hashlib.sha256(result.encode()).hexdigest()
    metadata = {"format": checkpoint.FORMAT, "result": result, "result_sha256": digest}
    save_file({"weight": torch.zeros(2)}, PATH, metadata)
    with pytest.raises(MnistCliError, match="damaged"):
        checkpoint.load(PATH)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(MnistCliError, match=r"cannot read net\.safetensors: No such file"):
        checkpoint.load(PATH)
    with pytest.raises(MnistCliError):
        checkpoint.load(tmp_path)


def test_another_network_is_refused() -> None:
    saved()
    with pytest.raises(MnistCliError, match="weights of another network"):
        checkpoint.restore_model(checkpoint.load(PATH), nn.Linear(3, 3))


@pytest.mark.parametrize("other", [nn.Linear(3, 1, bias=False), nn.Linear(3, 2)])
def test_the_state_of_other_parameters_is_refused(other: nn.Module) -> None:
    """Copying a state of one row into one of two rows would repeat it."""
    saved(nn.Linear(3, 1))
    optimizer = Optimizer(list(other.parameters()), Protocol())
    with pytest.raises(MnistCliError, match="was trained with other trainable parameters; resume"):
        checkpoint.restore_optimizer(checkpoint.load(PATH), optimizer)


def test_tied_weights_are_saved() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    tensors = saved(model)
    assert torch.equal(tensors["model.0.weight"], tensors["model.1.weight"])
    checkpoint.restore_model(checkpoint.load(PATH), model)


def test_state_that_is_no_tensor_is_named() -> None:
    class Counts(nn.Linear):
        def get_extra_state(self) -> int:
            return 3

    with pytest.raises(MnistCliError, match=r"cannot save model\._extra_state: its type is int"):
        saved(Counts(3, 2))


@pytest.mark.parametrize(
    ("trained_on", "evaluated_on", "warned"),
    [
        ("mnist", "mnist5k", True),
        ("mnist", "mnist", False),
        ("mnist5k", "mnist5k", False),
        ("fashion-mnist", "mnist5k", False),
    ],
)
def test_only_images_of_the_training_are_a_leak(
    trained_on: str, evaluated_on: str, warned: bool
) -> None:
    made = record(saved())
    made = replace(made, dataset=replace(made.dataset, name=trained_on))
    events = list[Event]()
    warn_of_leak(made, replace(made.dataset, name=evaluated_on), events.append)
    assert len(events) == warned


def test_an_epoch_in_the_record_is_plain_json() -> None:
    first = record(saved())
    assert from_json(TrainResult, to_json(first)) == first
    assert replace(first, seed=8) != first


def test_a_failing_write_keeps_the_old_file() -> None:
    PATH.write_bytes(b"old")

    def fail() -> None:
        with replacing(PATH) as file:
            file.write(b"half")
            assert PATH.read_bytes() == b"old"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [path.name for path in Path().iterdir() if path.is_file()] == [PATH.name]
    assert PATH.read_bytes() == b"old"


@pytest.mark.skipif(os.name == "nt", reason="a folder cannot be opened there")
def test_a_file_is_on_the_disk_before_it_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    PATH.write_bytes(b"old")
    synced: list[tuple[bytes, int | None]] = []

    def fsync(descriptor: int) -> None:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        size = None if folder else os.fstat(descriptor).st_size
        synced.append((PATH.read_bytes(), size))

    monkeypatch.setattr(os, "fsync", fsync)
    with replacing(PATH) as file:
        file.write(b"longer")
    assert synced == [(b"old", 6), (b"longer", None)]  # the folder has its name


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_link_keeps_pointing_at_its_file() -> None:
    Path("real").write_bytes(b"old")
    PATH.symlink_to("real")
    with replacing(PATH) as file:
        file.write(b"new")
    assert PATH.is_symlink()
    assert Path("real").read_bytes() == b"new"
