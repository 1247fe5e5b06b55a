"""The errors of networks: confusion matrices, and images that they classify wrongly."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mnist_cli.comparison.mistakes import Codes, count_confusions, decode_runs, is_wrong
from mnist_cli.report.pictures.style import to_uri
from mnist_cli.schema.comparison import CompareResult

IMAGES_OF_NETWORK = 12
IMAGES_OF_PAIR = 8
PAIRS = 6  # those that disagree most
MOST_CLASSES = 20  # of a confusion matrix: those with most errors

Pixels = NDArray[np.uint8]  # N×28×28


@dataclass(frozen=True)
class WrongImage:
    """An image, as a data URI if it is on disk, with its label.

    `answers` has for each network: the number of wrong runs, of runs, and the usual wrong class.
    """

    source: str | None
    label: str
    answers: Sequence[tuple[int, int, str | None]]


@dataclass(frozen=True)
class Mistakes:
    """The errors of one network, with its `confusion` (rows are true classes), or of a pair.

    `classes` are those of the matrix: all, or the 20 with most errors.
    """

    names: Sequence[str]
    sentence: str
    images: Sequence[WrongImage]
    runs: int = 0
    confusion: Sequence[Sequence[int]] = ()
    classes: Sequence[str] = ()


def wrong_images(
    result: CompareResult, pixels: Pixels | None
) -> tuple[list[Mistakes], list[Mistakes]]:
    """The errors of each network that did not fail, and the judged pairs that disagree most.

    Runs without mistakes do not count. Raises ValueError if the mistakes of a run are damaged.
    """
    num_test, classes = result.dataset.num_test, result.dataset.classes
    known = {m.model: decode_runs(m.runs, result.dataset) for m in result.models if m.figures}
    codes = {name: its for name, its in known.items() if len(its)}
    shares = {name: is_wrong(its).mean(0) for name, its in codes.items()}
    networks = []
    for name, its in codes.items():
        counts = count_confusions(its, len(classes))
        label, answer = divmod(int(counts.argmax()), len(classes))
        times = _count_times(int(counts.max()), len(its))
        sentence = (
            f"{_round(counts.sum() / len(its))} of {num_test:,} images wrong in a run, most often "
            f"{classes[label]} taken for {classes[answer]}: {times}."
        )
        worst = _find_largest(shares[name], IMAGES_OF_NETWORK)
        images = _make_images(worst, [its], classes, pixels)
        shown = np.sort(np.argsort(-(counts.sum(0) + counts.sum(1)), kind="stable")[:MOST_CLASSES])
        matrix = counts[np.ix_(shown, shown)].tolist()
        names = [classes[label] for label in shown]
        networks.append(Mistakes([name], sentence, images, len(its), matrix, names))
    pairs = []
    for first, second in ((one.model, other.model) for one, other in result.pairs):
        if first not in codes or second not in codes:
            continue
        one, other = shares[first], shares[second]
        # Expected counts for two independent runs: one is right, the other wrong.
        only_first, only_second = ((1 - one) * other).sum(), (one * (1 - other)).sum()
        sentence = (
            f"In the mean of two runs, {first} alone is right on {_round(only_first)} images and "
            f"{second} alone on {_round(only_second)}."
        )
        disputed = _find_largest(np.abs(one - other), IMAGES_OF_PAIR)
        images = _make_images(disputed, [codes[first], codes[second]], classes, pixels)
        pairs.append((only_first + only_second, Mistakes([first, second], sentence, images)))
    pairs.sort(key=lambda pair: -pair[0])
    return networks, [pair for _, pair in pairs[:PAIRS]]


def _round(count: float) -> str:
    """A mean of counts, rounded to whole images from 10 on."""
    return f"{count:,.0f}" if count >= 10 else f"{round(count, 1):g}"


def _count_times(count: int, runs: int) -> str:
    """`11 times in a run, 57 in all 5`, or for one run `11 times`."""
    per_run = _round(count / runs)
    text = "once" if per_run == "1" else f"{per_run} times"
    return text if runs == 1 else f"{text} in a run, {count:,} in all {runs}"


def _find_largest(values: NDArray[np.float64], count: int) -> list[int]:
    """The positions of the `count` largest values above 0; among equal values, the first ones."""
    order = np.argsort(-values, kind="stable")[:count].tolist()
    return [position for position in order if values[position] > 0]


def _make_images(
    images: list[int], codes: Sequence[Codes], classes: Sequence[str], pixels: Pixels | None
) -> list[WrongImage]:
    results = []
    for image in images:
        answers: list[tuple[int, int, str | None]] = []
        for its in codes:
            wrong = its[is_wrong(its[:, image]), image]
            usual = None
            if len(wrong):
                label = classes[int(wrong[0]) // len(classes)]
                usual = classes[int(np.bincount(wrong % len(classes)).argmax())]
            answers.append((len(wrong), len(its), usual))
        source = None if pixels is None else _to_uri(pixels[image])
        results.append(WrongImage(source, label, answers))
    return results


def _to_uri(image: NDArray[np.uint8]) -> str:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png")
    return to_uri(file.getvalue(), "png")
