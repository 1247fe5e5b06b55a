"""Pictures in files: the same content gives the same bytes with one version of matplotlib."""

from io import BytesIO
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from mnist_cli.system.files import write

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
    drawn = BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "mnist-cli"}):
        figure.savefig(drawn, format=suffix, metadata=WITHOUT_DATE[suffix])
    write(path, drawn.getvalue())
