"""Augmentation: its text, its distributions, and the same pixels as torchvision's transforms."""

import re

import pytest
import torch
from torch import Generator, Tensor
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional

from mnist_cli.schema.augmentation import NO_AUGMENTATION, Augmentation, parse_augmentation
from mnist_cli.schema.record import from_json, to_json
from mnist_cli.training import augmentation

EVERYTHING = Augmentation(shift=3, rotate=20, scale=0.3, shear=15, elastic=60, erase=0.5)


def made_up(count: int) -> Tensor:
    return torch.rand(count, 1, 28, 28, generator=Generator().manual_seed(3)) * 0.9 + 0.1


def augmented(
    images: Tensor, chosen: Augmentation = EVERYTHING, seed: int = 0, epoch: int = 1
) -> Tensor:
    out = torch.full_like(images, -1)
    augmentation.augment(images, chosen, seed, epoch, out)
    return out


def generator() -> Generator:
    return Generator().manual_seed(7)


# The text


@pytest.mark.parametrize(
    ("text", "expected", "canonical"),
    [
        ("none", NO_AUGMENTATION, "none"),
        (" NONE ", NO_AUGMENTATION, "none"),
        ("shift=0,erase=0", NO_AUGMENTATION, "none"),
        ("shift=2,rotate=10", Augmentation(shift=2, rotate=10), "shift=2+rotate=10"),
        ("Rotate=10 + Shift=2.5", Augmentation(shift=2.5, rotate=10), "shift=2.5+rotate=10"),
        ("erase=1,scale=1e-1", Augmentation(scale=0.1, erase=1), "scale=0.1+erase=1"),
        (
            "shift=14+rotate=180+scale=0.99+shear=45+elastic=1000+erase=1",
            Augmentation(14, 180, 0.99, 45, 1000, 1),
            "shift=14+rotate=180+scale=0.99+shear=45+elastic=1000+erase=1",
        ),
    ],
)
def test_a_text_and_its_canonical_form(text: str, expected: Augmentation, canonical: str) -> None:
    parsed = parse_augmentation(text)
    assert parsed == expected
    assert str(parsed) == canonical
    assert parse_augmentation(canonical) == expected
    assert bool(parsed) == (canonical != "none")
    assert from_json(Augmentation, to_json(parsed)) == parsed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "shft=2",
            "unknown augmentation 'shft' (did you mean shift?): give none, or some of shift",
        ),
        (
            "flip=1",
            "unknown augmentation 'flip': give none, or some of shift, rotate, scale, shear",
        ),
        ("", "unknown augmentation ''"),
        ("shift=2,", "unknown augmentation ''"),
        ("none,shift=2", "unknown augmentation 'none'"),
        ("shift=2+shift=3", "shift is given twice; give it once"),
        ("shift", "shift=: it should be a valid number"),
        ("shift=", "shift=: it should be a valid number"),
        ("shift=a", "shift=a: it should be a valid number"),
        ("rotate=1=2", "rotate=1=2: it should be a valid number"),
        ("shift=nan", "shift=nan: it should be a finite number"),
        ("shift=0.5", "shift=0.5 moves no image: shifts are whole pixels; give 1"),
        ("shift=14.1", "shift=14.1: it should be less than or equal to 14"),
        ("rotate=-1", "rotate=-1: it should be greater than or equal to 0"),
        ("rotate=181", "rotate=181: it should be less than or equal to 180"),
        ("scale=1", "scale=1: it should be less than 1"),
        ("shear=46", "shear=46: it should be less than or equal to 45"),
        ("elastic=1001", "elastic=1001: it should be less than or equal to 1000"),
        ("erase=1.1", "erase=1.1: it should be less than or equal to 1"),
    ],
)
def test_a_text_that_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}") as caught:
        parse_augmentation(text)
    assert "\n" not in str(caught.value)


# The same as torchvision


@pytest.mark.parametrize(
    "limits",
    [
        Augmentation(shift=5),
        Augmentation(rotate=180),
        Augmentation(scale=0.9),
        Augmentation(shear=45),
        Augmentation(shift=3, rotate=45, scale=0.4, shear=30),
    ],
    ids=str,
)
def test_affine_is_torchvisions(limits: Augmentation) -> None:
    images = made_up(50)
    drawn = augmentation.draw_affine(50, limits, generator())
    ours = augmentation.apply_affine(images, drawn)
    assert not torch.allclose(ours, images, atol=0.1)
    for index, (right, down, degrees, factor, shear) in enumerate(
        zip(*(field.tolist() for field in drawn), strict=True)
    ):
        theirs = functional.affine(
            images[index], degrees, [right, down], factor, [shear, 0], InterpolationMode.BILINEAR
        )
        torch.testing.assert_close(ours[index], theirs, atol=2e-5, rtol=0)


@pytest.mark.parametrize("alpha", [1, 30, 1000])
def test_elastic_is_torchvisions(alpha: float) -> None:
    images = made_up(20)
    noise = augmentation.draw_noise(20, generator())
    displacement = augmentation.make_displacement(noise, alpha)
    ours = augmentation.apply_elastic(images, displacement)
    uniform = (noise.float() + 0.5) / 128
    blurred = functional.gaussian_blur(uniform, [41, 41], [5.0, 5.0]) * alpha / 28
    torch.testing.assert_close(displacement, blurred, atol=1e-6 * alpha, rtol=0)
    for index in range(20):
        moved = displacement[index].permute(1, 2, 0)[None]
        theirs = functional.elastic(images[index], moved, InterpolationMode.BILINEAR)
        torch.testing.assert_close(ours[index], theirs, atol=1e-5, rtol=0)


def test_erase_is_torchvisions() -> None:
    images = made_up(200)
    drawn = augmentation.draw_rectangles(200, 0.7, generator())
    ours = augmentation.apply_erase(images, drawn)
    for index, (top, left, height, width) in enumerate(
        zip(*(field.tolist() for field in drawn), strict=True)
    ):
        black = torch.zeros(1, 1, 1)
        theirs = functional.erase(images[index], top, left, height, width, black)
        assert torch.equal(ours[index], theirs)


# The distributions


def test_affine_parameters_are_uniform_within_the_limits() -> None:
    limits = Augmentation(shift=2, rotate=10, scale=0.1, shear=5)
    drawn = augmentation.draw_affine(20_000, limits, generator())
    for shift in (drawn.right, drawn.down):
        values, counts = shift.unique(return_counts=True)
        assert values.tolist() == [-2, -1, 0, 1, 2]
        expected = torch.tensor([1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8])
        torch.testing.assert_close(counts / 20_000, expected, atol=0.015, rtol=0)
    spread = {"degrees": (0, 10), "factor": (1, 0.1), "shear": (0, 5)}
    for name, (middle, limit) in spread.items():
        unit = (getattr(drawn, name) - middle) / limit
        assert -1 <= unit.min() < -0.99
        assert 0.99 < unit.max() <= 1
        assert abs(unit.mean()) < 0.02
        assert abs(unit.square().mean() - 1 / 3) < 0.01
    together = torch.corrcoef(torch.stack(list(drawn)))
    assert (together - torch.eye(5)).abs().max() < 0.03


def test_noise_has_every_value_equally_often_in_every_place() -> None:
    noise = augmentation.draw_noise(2000, generator())
    assert noise.shape == (2000, 2, 28, 28)
    counts = (noise.int() + 128).flatten().bincount(minlength=256)
    assert (counts / counts.sum() * 256 - 1).abs().max() < 0.06
    assert noise.amin(dim=(0, 1, 2)).max() == -128
    assert noise.amax(dim=(0, 1, 2)).min() == 127


def test_rectangles_are_distributed_as_torchvisions() -> None:
    drawn = augmentation.draw_rectangles(20_000, 0.3, generator())
    erased = drawn.height > 0
    assert abs(erased.float().mean() - 0.3) < 0.015
    top, left, height, width = (field[erased].float() for field in drawn)
    assert top.min() == left.min() == 0
    assert (top + height).max() == (left + width).max() == 28
    area, ratio = height * width / 784, height / width
    assert 0.01 < area.min() < 0.025
    assert 0.32 < area.max() < 0.36
    assert 0.2 < ratio.min() < 0.35
    assert 2.9 < ratio.max() < 4.5
    torch.manual_seed(0)
    erasing = v2.RandomErasing(p=1)
    theirs = [erasing.make_params([torch.zeros(1, 28, 28)]) for _ in range(4000)]
    for name, ours in {"i": top, "j": left, "h": height, "w": width}.items():
        values = torch.tensor([float(each[name]) for each in theirs])
        assert abs(ours.mean() - values.mean()) < 0.4
        assert abs(ours.std() - values.std()) < 0.3


def test_a_rectangle_that_does_not_fit_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, "AREA", (0.4, 0.4))  # a quarter of tries does not fit
    drawn = augmentation.draw_rectangles(500, 1, generator())
    assert drawn.height.max() == drawn.width.max() == 27


# What a result depends on


def test_images_are_changed_one_after_another_by_each_transform() -> None:
    images = made_up(40)
    affine = Augmentation(shift=3, rotate=20, scale=0.3, shear=15)
    step = augmented(images, affine)
    step = augmented(step, Augmentation(elastic=60))
    step = augmented(step, Augmentation(erase=0.5))
    assert torch.equal(augmented(images), step)


def test_transforms_are_unrelated() -> None:
    white, agreements = torch.ones(1, 1, 28, 28), 0
    for seed in range(30):
        moved_right = augmented(white, Augmentation(shift=14), seed)[0, 0, :, 0].max() == 0
        erased = augmented(white, Augmentation(erase=0.5), seed).min() == 0
        agreements += int(moved_right == erased)
    assert 5 < agreements < 25


@pytest.mark.parametrize("kind", ["shift", "rotate", "scale", "shear", "elastic", "erase"])
def test_each_kind_alone_changes_images_within_their_range(kind: str) -> None:
    images = made_up(10)
    changed = augmented(images, Augmentation(**{kind: 0.9 if kind == "scale" else 1}))
    assert not torch.equal(changed, images)
    assert 0 <= changed.min() < changed.max() <= 1


def test_an_image_depends_on_no_other_image_and_on_no_chunk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = made_up(70)
    whole = augmented(images)
    assert torch.equal(augmented(images[:9]), whole[:9])
    others = torch.cat([images[:9], images[9:].flip(0)])
    assert torch.equal(augmented(others)[:9], whole[:9])
    for chunk in (1, 16, 69, 70):
        monkeypatch.setattr(augmentation, "CHUNK", chunk)
        torch.testing.assert_close(augmented(images), whole, atol=1e-5, rtol=0)


def test_equal_images_are_changed_differently() -> None:
    copies = augmented(made_up(1).expand(30, -1, -1, -1), Augmentation(rotate=20))
    assert len(copies.flatten(1).unique(dim=0)) == 30


def test_seed_and_epoch_decide() -> None:
    images = made_up(10)
    first = augmented(images, seed=4, epoch=2)
    assert torch.equal(augmented(images, seed=4, epoch=2), first)
    assert not torch.allclose(augmented(images, seed=4, epoch=3), first, atol=0.1)
    assert not torch.allclose(augmented(images, seed=5, epoch=2), first, atol=0.1)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    augmented(made_up(5))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_default_dtype_of_a_users_network_does_not_matter() -> None:
    images = made_up(5)
    expected = augmented(images)
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(augmented(images), expected)
    finally:
        torch.set_default_dtype(torch.float32)


def test_nothing_is_a_copy() -> None:
    images = made_up(5)
    out = augmented(images, NO_AUGMENTATION)
    assert torch.equal(out, images)
    assert out.data_ptr() != images.data_ptr()


@pytest.mark.parametrize("chosen", [EVERYTHING, Augmentation(erase=1)], ids=str)
def test_in_place_is_the_same_and_otherwise_the_images_stay(chosen: Augmentation) -> None:
    images = made_up(5)
    expected = augmented(images, chosen)
    assert torch.equal(images, made_up(5))
    augmentation.augment(images, chosen, 0, 1, images)
    assert torch.equal(images, expected)
