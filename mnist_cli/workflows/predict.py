"""`predict`: predicts the digits in the user's pictures."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from torch import Tensor

from mnist_cli.data.fitting import fit_file
from mnist_cli.data.mnist_form import to_brightness
from mnist_cli.data.pictures import Image28, list_pictures, read_picture
from mnist_cli.errors import MnistCliError
from mnist_cli.networks.building import PROBABILITIES, outputs_probabilities
from mnist_cli.schema.datasets import DatasetInfo
from mnist_cli.schema.events import Notice, OnEvent
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.results import LOW_CONFIDENCE, PictureResult, PredictResult
from mnist_cli.training.checkpoint import load
from mnist_cli.training.device import place, resolve_device
from mnist_cli.training.examples import images_to_device
from mnist_cli.workflows.shared import predict_probabilities, restore_network


def predict_pictures(
    checkpoint: Path,
    pictures: Iterable[Path],
    custom: ModelSpec | None,
    device_name: str,
    on_event: OnEvent,
    *,
    raw: bool,
) -> tuple[PredictResult, Image28]:
    """Predict the classes of pictures; a picture that cannot be read has a failure instead.

    `pictures` are files, folders or `-` for standard input; if `raw`, they are not converted.

    Returns the result, and the N readable pictures as the network receives them, uint8 N×28×28.
    """
    device = resolve_device(device_name)
    saved = load(checkpoint)
    model = restore_network(saved, custom, on_event)
    if custom and outputs_probabilities(model):
        on_event(Notice(f"{saved.record.model} {PROBABILITIES}"))
    read = list(_read(pictures, saved.record.dataset, raw=raw))
    images = [image for _, image in read if not isinstance(image, str)]
    seen = np.array(images, np.uint8).reshape(-1, 28, 28)  # there may be none
    rows = iter(predict_probabilities(place(model, device), images_to_device(seen, device)))
    result = PredictResult(
        checkpoint=str(checkpoint),
        model=saved.record.model,
        trained_on=saved.record.dataset.name,
        classes=saved.record.dataset.classes,
        pictures=tuple(
            PictureResult(name, failure=image)
            if isinstance(image, str)
            else _make_result(name, next(rows))
            for name, image in read
        ),
    )
    return result, seen


def read_as_trained(picture: Path, trained_on: DatasetInfo, *, raw: bool) -> Image28:
    """Read a picture as 28×28 grey pixels, in the form of the images of a training.

    If `raw`, it must have that size, and is not converted. Raises MnistCliError if it cannot be
    read.
    """
    if not raw:
        return fit_file(picture, as_digits=trained_on.has_digit_form)[0]
    pixels = read_picture(picture)
    try:
        return to_brightness(pixels)
    except ValueError as error:
        raise MnistCliError(f"{picture}: {error}") from error


def _read(
    pictures: Iterable[Path], trained_on: DatasetInfo, *, raw: bool
) -> Iterator[tuple[str, Image28 | str]]:
    """Yield the name of each picture, with its 28×28 pixels or why it cannot be read."""
    for path in pictures:
        try:
            files = list_pictures(path)
        except MnistCliError as error:
            yield str(path), str(error)
            continue
        for file in files:
            try:
                yield escape(file), read_as_trained(file, trained_on, raw=raw)
            except MnistCliError as error:
                yield escape(file), escape(error)


def escape(text: object) -> str:
    """The text as valid UTF-8, which bytes of a file name may be not."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def _make_result(name: str, probabilities: Tensor) -> PictureResult:
    most, prediction = probabilities.max(0)
    return PictureResult(
        picture=name,
        prediction=int(prediction),
        probabilities=tuple(probabilities.tolist()),
        low_confidence=bool(most < LOW_CONFIDENCE),
    )
