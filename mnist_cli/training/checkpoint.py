"""A checkpoint: weights, optimizer state and training record in one safetensors file.

Tensors have the names `model.KEY`, with a key of the network's state dict, and
`optimizer.INDEX.KEY`. The metadata are the training record as JSON and its hash. Loading a
checkpoint runs no code, and imports nothing that the file names.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_safetensors
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from mnist_cli.errors import MnistCliError
from mnist_cli.networks.isolation import running
from mnist_cli.schema.record import from_json, to_json
from mnist_cli.schema.results import TrainResult
from mnist_cli.system.files import read, write
from mnist_cli.training.optimizers import Optimizer

FORMAT = "mnist-cli-checkpoint-1"
MOST_BYTES = 1 << 32


@dataclass(frozen=True)
class Checkpoint:
    """The content of a file: the training record and all tensors, on the CPU."""

    path: Path
    record: TrainResult
    tensors: dict[str, Tensor]


def collect(model: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """Copy the weights and the optimizer state, as tensors by name, to the CPU."""
    tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
    tensors |= {f"optimizer.{key}": value for key, value in optimizer.state().items()}
    for key, value in tensors.items():
        if not isinstance(value, Tensor):
            raise MnistCliError(
                f"cannot save {key}: its type is {type(value).__name__}, not Tensor"
            )
    # Cloned, because safetensors refuses tensors that share memory, as tied weights do.
    return {key: value.detach().cpu().clone().contiguous() for key, value in tensors.items()}


def digest(tensors: dict[str, Tensor]) -> str:
    """SHA-256 of names, dtypes, shapes and bytes, in the order of the names."""
    total = hashlib.sha256()
    for key in sorted(tensors):
        tensor = tensors[key]
        total.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def save(path: Path, record: TrainResult, tensors: dict[str, Tensor]) -> None:
    """Write a checkpoint, as `system.files.write` does."""
    text = to_json(record)
    metadata = {"format": FORMAT, "result": text, "result_sha256": _sha256(text)}
    write(path, to_safetensors(tensors, metadata), "choose another output file")


def load(path: Path) -> Checkpoint:
    """Read a checkpoint and check its hashes; raises MnistCliError if that is impossible."""
    content = read(path, "name a file from train", MOST_BYTES)
    try:
        tensors = from_safetensors(content)
        # The length of the JSON header, which from_safetensors has checked, then the header.
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        metadata = header.get("__metadata__", {})
        if metadata.get("format") != FORMAT:
            raise MnistCliError(f"{path} is not a checkpoint of mnist-cli; make one with train")
        text = metadata["result"]
        if metadata["result_sha256"] != _sha256(text):
            raise ValueError("its record does not match its hash")
        record = from_json(TrainResult, text)
        if record.tensors_sha256 != digest(tensors):
            raise ValueError("its tensors do not match their hash")
    except (SafetensorError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise MnistCliError(
            f"{path} is damaged or not a checkpoint ({reason}); train again or use a copy"
        ) from error
    return Checkpoint(path, record, tensors)


def restore_model(checkpoint: Checkpoint, model: nn.Module) -> None:
    """Load the weights of `checkpoint` into `model`; raises MnistCliError if they do not fit."""
    weights = _select(checkpoint.tensors, "model.")
    with running(model, f"cannot load {checkpoint.path}"):  # it may have its own load_state_dict
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            raise MnistCliError(
                f"{checkpoint.path} holds the weights of another network than this "
                f"{type(model).__name__} ({checkpoint.record.model} when it was trained)"
            ) from error


def restore_optimizer(checkpoint: Checkpoint, optimizer: Optimizer) -> None:
    """Load the state of `checkpoint` into `optimizer`; raises MnistCliError if it does not fit."""
    saved, state = _select(checkpoint.tensors, "optimizer."), optimizer.state()
    shapes = [{key: value.shape for key, value in each.items()} for each in (saved, state)]
    if shapes[0] != shapes[1]:
        raise MnistCliError(
            f"{checkpoint.path} was trained with other trainable parameters; "
            "resume it with the network as it was"
        )
    for key, tensor in state.items():  # copying in place keeps the memory layout
        tensor.copy_(saved[key])


def _select(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
