"""Pictures in files: the same content gives the same bytes with one version of matplotlib."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from mnist_cli.system.files import explaining, replacing

WITHOUT_DATE: dict[str, dict[str, None]] = {
    "png": {},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}


def save_figure(figure: Figure, path: Path) -> None:
    """Write `figure` in one step, in the format of the suffix.

    Raises:
        MnistCliError: the file cannot be written.
    """
    suffix = path.suffix.lower().removeprefix(".")
    with (
        explaining(f"write {path}", "choose another file"),
        matplotlib.rc_context({"svg.hashsalt": "mnist-cli"}),
        replacing(path) as file,
    ):
        figure.savefig(file, format=suffix, metadata=WITHOUT_DATE[suffix])
