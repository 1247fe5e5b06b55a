"""How pictures of any size become 28×28 grey pixels."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnist_cli.data.fitting import Look, describe, fit, fit_arrays, fit_file, flatten


def test_a_grey_picture_of_28_by_28_stays_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    for picture in (Image.fromarray(pixels), Image.fromarray(pixels).convert("RGB")):
        fitted, look = fit(flatten(picture))
        assert np.array_equal(fitted, pixels)
        assert look[:3] == (28, 28, False)


@pytest.mark.parametrize("background", [0, 200])
def test_proportions_stay_and_the_rest_is_like_the_border(background: int) -> None:
    pixels = np.full((30, 60), background, np.uint8)
    pixels[10:20, 20:40] = 100
    fitted, look = fit(Image.fromarray(pixels))
    assert look == Look(60, 30, in_colour=False, dark_on_light=background == 200)
    assert (fitted[:7] == background).all() and (fitted[-7:] == background).all()
    rows, columns = np.nonzero(fitted != background)
    assert 4 <= np.ptp(rows) + 1 <= 10 and 8 <= np.ptp(columns) + 1 <= 16
    assert abs(rows.mean() - 13.5) < 1 and abs(columns.mean() - 13.5) < 1


def test_colours_become_brightness_and_transparent_parts_white() -> None:
    red = Image.new("RGB", (28, 28), (255, 0, 0))
    fitted, look = fit(flatten(red))
    assert np.unique(fitted).tolist() == [76]  # 0.299 * 255
    assert look.in_colour and not look.dark_on_light
    clear = Image.new("RGBA", (28, 28), (0, 0, 0, 0))
    clear.putpixel((3, 5), (0, 0, 0, 255))
    fitted, look = fit(flatten(clear))
    assert (fitted == 255).sum() == 783 and fitted[5, 3] == 0
    assert look == Look(28, 28, in_colour=False, dark_on_light=True)


def test_16_bits_and_the_orientation_of_a_camera_are_heeded() -> None:
    path = Path("picture")
    Image.fromarray(np.full((28, 28), 65535 // 2, np.uint16)).save(path, "PNG")
    assert np.unique(fit_file(path, as_digits=False)[0]).tolist() == [127]
    turned = Image.new("L", (28, 28))
    turned.putpixel((0, 0), 255)
    exif = Image.Exif()
    exif[274] = 3  # upside down
    for kind in ("PNG", "TIFF", "WEBP"):
        turned.save(path, kind, exif=exif, lossless=True)
        assert fit_file(path, as_digits=False)[0][27, 27] == 255


def test_a_large_scan_is_reduced_first() -> None:
    scan = Image.new("L", (3000, 1500), 255)
    scan.paste(0, (1000, 500, 2000, 1000))
    fitted, look = fit(flatten(scan))
    assert look[:2] == (1000, 500)
    assert fitted[13, 13] == 0 and fitted[13, 0] == 255 and fitted[0, 0] == 255


def test_arrays_are_fitted_like_pictures() -> None:
    chance = np.random.default_rng(0)
    for shape in ((5, 28, 28), (5, 8, 8), (5, 40, 20, 3)):
        images = chance.integers(0, 256, shape, dtype=np.uint8)
        images[1] = 250
        fitted, looks = fit_arrays(images, "a", as_digits=False)
        pairs = [fit(Image.fromarray(image)) for image in images]
        assert np.array_equal(fitted, [pixels for pixels, _ in pairs])
        assert looks == [look for _, look in pairs]


def test_what_was_done_is_told() -> None:
    looks = [Look(28, 28, False, False)] * 1500
    assert describe(looks, as_digits=False) == "1,500 pictures of 28x28"
    looks += [Look(640, 480, True, True), Look(8, 8, False, True)]
    assert describe(looks, as_digits=False) == (
        "1,502 pictures of 3 sizes, 8x8 to 640x480, 1 in colour, 2 dark on light, made 28x28 grey "
        "pixels: proportions kept, padded like their border"
    )
    assert describe(looks[-1:], as_digits=True) == (
        "1 pictures of 8x8, 1 dark on light (inverted), brought to the form of MNIST's digits"
    )
