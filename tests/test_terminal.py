"""Images in a terminal."""

import io

import numpy as np
import pytest
from rich.console import Console

from mnist_cli.report.console import stdout_console
from mnist_cli.report.pictures.terminal import draw, picture_caption
from mnist_cli.schema.results import PictureResult

BRIGHT = np.full((1, 28, 28), 255, np.uint8)


@pytest.mark.parametrize("no_color", [False, True])
def test_without_colour_images_are_drawn_in_characters(no_color: bool) -> None:
    file = io.StringIO()
    console = Console(
        file=file, force_terminal=True, color_system="truecolor", no_color=no_color, width=80
    )
    console.print(draw(console, BRIGHT, ["7"]))
    assert ("▀" in file.getvalue()) != no_color
    assert ("@" in file.getvalue()) == no_color


@pytest.mark.parametrize("name", ["7.png", "scans/" + "long" * 20 + ".png"])
def test_a_caption_is_no_wider_than_its_image(name: str) -> None:
    caption = picture_caption(PictureResult(name, 7, (0.0,) * 7 + (1.0, 0.0, 0.0)))
    assert caption.startswith("7 (100.00 %) ")
    assert len(caption) <= 28


def test_without_a_terminal_images_are_no_wider_than_tables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdout", io.StringIO())
    for columns, width in ((None, 80), ("120", 120)):
        if columns:
            monkeypatch.setenv("COLUMNS", columns)
        else:
            monkeypatch.delenv("COLUMNS", raising=False)
        table = draw(stdout_console(), np.repeat(BRIGHT, 9, axis=0), ["7"] * 9)
        assert len(table.columns) == (width + 2) // 30
