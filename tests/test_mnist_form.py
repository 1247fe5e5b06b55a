"""Pictures of a digit brought to MNIST's form."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mnist_cli.data.mnist5k import read_mnist5k
from mnist_cli.data.mnist_form import to_brightness, to_mnist_form

Pixels = NDArray[np.float32]
GENERATOR = np.random.default_rng(0)


def seven(height: int = 200, width: int = 120, stroke: int = 24) -> Pixels:
    """Dark strokes along the top and right of white pixels: height×width×1."""
    picture = np.ones((height, width, 1), np.float32)
    picture[:stroke] = picture[:, -stroke:] = 0
    return picture


def with_margin(picture: Pixels, margin: int) -> Pixels:
    sides = ((margin, margin), (margin, margin), (0, 0))
    return np.pad(picture, sides, constant_values=1)


def on_paper() -> Pixels:
    return with_margin(seven(), 60)


def in_colours(ink: tuple[float, ...], paper: tuple[float, ...]) -> Pixels:
    picture = on_paper()
    mixed: Pixels = (picture * np.array(paper) + (1 - picture) * np.array(ink)).astype(np.float32)
    return mixed


def test_the_form_is_that_of_lecun() -> None:
    image = to_mnist_form(on_paper())
    assert image.dtype == np.uint8
    assert (image.shape, image.max()) == ((28, 28), 255)
    rows, columns = np.nonzero(image)
    assert np.ptp(rows) + 1 == 20
    assert np.ptp(columns) + 1 == 12  # in proportion
    weights = image / image.sum()
    assert abs((weights.sum(1) * np.arange(28)).sum() - 14) <= 0.5
    assert abs((weights.sum(0) * np.arange(28)).sum() - 14) <= 0.5


def test_images_of_mnist_stay_as_they_are() -> None:
    _, (images, _) = read_mnist5k()
    chosen = images[::20]
    formed = [to_mnist_form(image[..., None].astype(np.float32) / 255) for image in chosen]
    differences = [np.abs(a.astype(int) - b).max() for a, b in zip(formed, chosen, strict=True)]
    assert np.median(differences) <= 3  # as 252 is white already
    assert sum(difference < 45 for difference in differences) >= 46  # of 50: some have loose pixels


@pytest.mark.parametrize(
    "change",
    [
        lambda p: 1 - p,
        lambda p: p * 0.4 + 0.3,
        lambda p: with_margin(p, 200),
        lambda p: np.repeat(np.repeat(p, 2, 0), 2, 1),
        lambda p: p[50:, 30:],
        lambda p: p[60:-60, 30:-60],  # ink covers two borders
    ],
)
def test_tone_place_and_size_do_not_matter(change: Callable[[Pixels], Pixels]) -> None:
    changed = to_mnist_form(change(on_paper())).astype(int)
    assert np.abs(changed - to_mnist_form(on_paper())).max() < 40


@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        ((0.1, 0.1, 0.6), (1, 1, 0.7)),
        ((0.8, 0.24, 0.24), (0.16, 0.5, 0.24)),  # equally bright
        ((0, 0, 0, 1), (0, 0, 0, 0)),  # black on transparent
        ((1, 1, 1, 1), (0, 0, 0, 0)),
    ],
)
def test_colours_and_opacity_are_as_good_as_tone(
    ink: tuple[float, ...], paper: tuple[float, ...]
) -> None:
    changed = to_mnist_form(in_colours(ink, paper)).astype(int)
    assert np.abs(changed - to_mnist_form(on_paper())).max() < 3


def test_light_from_one_side_noise_and_specks_do_not_matter() -> None:
    picture = on_paper() * 0.6 + np.linspace(0, 0.4, 320, dtype=np.float32)[:, None, None]
    picture += GENERATOR.normal(0, 0.01, picture.shape).astype(np.float32)
    picture[10:13, 10:13] = picture[300:303, 200:203] = 0
    changed = to_mnist_form(picture).astype(int)
    assert np.abs(changed - to_mnist_form(on_paper())).max() < 60


def test_a_loose_bar_is_a_part_of_the_digit() -> None:
    picture = on_paper()
    picture[90:100] = 1  # the strokes of the seven are apart now
    rows, _ = np.nonzero(to_mnist_form(picture))
    assert np.ptp(rows) + 1 == 20


def test_thin_strokes_are_seen() -> None:
    image = to_mnist_form(with_margin(seven(stroke=4), 60))
    assert (image > 150).sum() >= 40


@pytest.mark.parametrize(
    "picture",
    [
        np.ones((40, 30, 3)),
        np.zeros((40, 30, 4)),
        np.ones((1, 1, 1)),
        np.array([[[0.0], [1.0]]]),
        0.8 + GENERATOR.normal(0, 0.04, (300, 200, 3)),  # grain
        np.linspace(0.5, 1, 300)[:, None, None] * np.ones((300, 200, 1)),  # shadow
    ],
)
def test_blank_pictures_have_no_digit(picture: Pixels) -> None:
    with pytest.raises(ValueError, match="there is no digit on it"):
        to_mnist_form(picture.astype(np.float32))


def test_as_it_is_keeps_every_byte() -> None:
    bytes_ = GENERATOR.integers(0, 256, (28, 28), np.uint8)
    grey = bytes_[..., None].astype(np.float32) / np.float32(255)
    assert np.array_equal(to_brightness(grey), bytes_)
    assert np.array_equal(to_brightness(np.repeat(grey, 3, 2)), bytes_)
    with pytest.raises(ValueError, match="not 28x28"):
        to_brightness(grey[:27])


def test_brightness_is_pillows() -> None:
    colours = GENERATOR.integers(0, 256, (28, 28, 3), np.uint8)
    pillow = np.asarray(Image.fromarray(colours).convert("L"), int)
    assert np.abs(to_brightness(colours.astype(np.float32) / np.float32(255)) - pillow).max() <= 1
