"""A comparison as one self-contained page: no network access, no script, no other file."""

import base64
import hashlib
import re
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import jinja2
import numpy as np
from numpy.typing import NDArray

from mnist_cli.errors import MnistCliError
from mnist_cli.report import phrases
from mnist_cli.report.command import repeating
from mnist_cli.report.conclusion import conclusion
from mnist_cli.report.html import GENERATOR, charts
from mnist_cli.report.html.wrong_images import wrong_images
from mnist_cli.report.pictures.plots import join_widths
from mnist_cli.report.rows import rows, run_rows
from mnist_cli.schema.comparison import CompareResult
from mnist_cli.schema.results import Stage
from mnist_cli.system.files import write
from mnist_cli.system.streams import visible


def write_report(
    path: Path,
    result: CompareResult,
    images: NDArray[np.uint8] | None,
    stages: Mapping[str, Sequence[Stage]] | None = None,
) -> None:
    """Write the page of a comparison, as `page` makes it, with the day of its journal's last write.

    Raises MnistCliError if the file cannot be written, or the mistakes of a run are damaged.
    """
    journal = Path(result.journal) if result.journal else None
    written = journal.stat().st_mtime if journal and journal.is_file() else time.time()
    day = time.strftime("%Y-%m-%d", time.localtime(written))
    write(path, page(result, images, day, stages).encode())


def page(
    result: CompareResult,
    images: NDArray[np.uint8] | None,
    day: str = "",
    stages: Mapping[str, Sequence[Stage]] | None = None,
) -> str:
    """The page of `result`, with the test `images`, uint8 N×28×28, if they are on disk.

    It has a diagram of each network whose `stages` are known.

    The page escapes names and messages, and its content security policy lets it load and run
    nothing.
    """
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("mnist_cli.report", "html"),
        autoescape=True,
        finalize=lambda value: _clean(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    style = templates.get_template("style.css").render()
    try:
        networks, pairs = wrong_images(result, images)
    except ValueError as error:
        raise MnistCliError(f"cannot draw the errors: {error}") from error
    with warnings.catch_warnings(action="ignore"):  # of letters that only the browser's fonts have
        pictures = charts.draw_all(result, stages or {})
    return templates.get_template("report.html").render(
        generator=GENERATOR,
        style=style,
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        result=result,
        phrases=phrases,
        conclusion=conclusion(result),
        rows=rows(result),
        runs=run_rows(result),
        day=day,
        widths=join_widths(result),
        **pictures,
        networks=networks,
        pairs=pairs,
        images_missing=images is None,
        commands=repeating(result),
        facts={
            **{key.replace("_", " "): value for key, value in asdict(result.environment).items()},
            "SHA-256 of the images and labels": result.dataset.sha256,
        },
    )


def _clean(text: str) -> str:
    """Escape control characters, and keep `n = 5`, `2.50 ± 3.42` and `2.14 s` on one line."""
    space = r" (?=[=±] )|(?<= [=±]) |(?<=\d) (?=(?:[%MGs]|points)(?!\w))"
    return re.sub(space, "\N{NO-BREAK SPACE}", visible(text))
