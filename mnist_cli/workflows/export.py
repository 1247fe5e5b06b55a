"""`export`: writes a trained network as a file for other programs, and checks the file."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import torch

from mnist_cli.data import datasets
from mnist_cli.errors import MnistCliError, UsageError
from mnist_cli.formatting import plural
from mnist_cli.networks.formats import FORMATS, Run, make_metadata
from mnist_cli.networks.isolation import running
from mnist_cli.schema.events import OnEvent
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.options import DataOptions
from mnist_cli.schema.record import to_json
from mnist_cli.schema.results import ExportResult
from mnist_cli.system.files import write
from mnist_cli.training.checkpoint import load
from mnist_cli.training.evaluation import BATCH_SIZE, predict
from mnist_cli.training.examples import images_to_device
from mnist_cli.workflows.shared import choose_data, restore_network

TOLERANCE = 1e-4  # of a logit; a different summation order changes it by about 1e-5


def export_network(
    checkpoint: Path, output: Path, custom: ModelSpec | None, data: DataOptions, on_event: OnEvent
) -> ExportResult:
    """Write the network of a checkpoint in the format of the output's suffix, one of `FORMATS`.

    This first runs the export on the test images, and writes nothing if it predicts another class
    than the network, or a logit differs by more than 1e-4. Raises UsageError if the format has no
    place for the order of shuffled pixels.
    """
    saved = load(checkpoint)
    model = restore_network(saved, custom, on_event)
    record = saved.record
    if record.protocol.shuffle_pixels and output.suffix.lower() == ".safetensors":
        raise UsageError(
            f"{checkpoint} expects shuffled pixels, which .safetensors has no place for; choose "
            ".onnx or .pt2"
        )
    dataset, test = datasets.load_test(choose_data(data, saved), on_event, record.dataset)
    images = images_to_device(test.images, torch.device("cpu"))
    file_format = FORMATS[output.suffix.lower()]
    with running(model, "the network cannot be exported"), _silence():
        content = file_format.write(model, make_metadata(to_json(record), record.dataset))
        run = file_format.read(content, model)
        logits = predict(model, images)
        difference = None if run is None else _check(run, logits, images)
    write(output, content, "choose another --output")
    return ExportResult(
        checkpoint=str(checkpoint),
        model=record.model,
        output=str(output),
        num_bytes=len(content),
        dataset=dataset,
        num_samples=None if run is None else len(images),
        max_difference=difference,
    )


@contextmanager
def _silence() -> Iterator[None]:
    logging.disable()
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


@torch.inference_mode()
def _check(run: Run, expected: torch.Tensor, images: torch.Tensor) -> float:
    """Return the largest difference of a logit; raise MnistCliError if the export is wrong."""
    logits = torch.cat([run(batch) for batch in images.split(BATCH_SIZE)])
    difference = float((logits - expected).abs().max())
    others = int((logits.argmax(1) != expected.argmax(1)).sum())
    if others or not difference <= TOLERANCE:
        raise MnistCliError(
            f"the export does not match the network: {plural(others, 'test image')} in another "
            f"class, logits differ by up to {difference:.2g}; nothing was written; choose another "
            "format"
        )
    return difference
