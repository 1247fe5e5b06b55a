"""Processes that train without the engine, an epoch whenever they are told to."""

import subprocess
import sys
from pathlib import Path
from typing import Self

import torch

from mnist_cli.data.dataset import LabelledImages
from tests.idx_format import idx_bytes


class Rival:
    """A process of one of the modules beside this one, with one network.

    In a process of its own, as the engine changes how memory is managed in this one.
    """

    def __init__(self, module: str, folder: Path, network: str, device: torch.device) -> None:
        self._name = f"{__package__}.{module}"
        process = subprocess.Popen(
            [sys.executable, "-m", self._name, folder, network, str(device)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin and process.stdout
        self._process, self._ask, self._answers = process, process.stdin, process.stdout
        self._answer()  # that it is ready: what starts would slow what trains

    def train_epoch(self) -> float:
        """The seconds of its next epoch."""
        self._ask.write("\n")
        self._ask.flush()
        return float(self._answer())

    def _answer(self) -> str:
        answer = self._answers.readline()
        if not answer:
            sys.exit(f"error: {self._name} stopped: its own message is above")
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.communicate()


def write_folder(folder: Path, train: LabelledImages) -> None:
    """Put images where torchvision looks for them; the test files, which it wants, are the same."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix in ("train", "t10k"):
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(idx_bytes(train.images))
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes(train.labels))
