"""Pictures in files: the same content gives the same bytes with one version of matplotlib."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from mnist_cli.atomic import replacing
from mnist_cli.errors import MnistCliError

WITHOUT_DATE: dict[str, dict[str, None]] = {
    "png": {},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}


def save_figure(figure: Figure, path: Path, option: str) -> None:
    """Write `figure` in one step, in the format of the suffix.

    Raises:
        MnistCliError: the file cannot be written; `option` is what named it.
    """
    suffix = path.suffix.lower().removeprefix(".")
    try:
        with matplotlib.rc_context({"svg.hashsalt": "mnist-cli"}), replacing(path) as file:
            figure.savefig(file, format=suffix, metadata=WITHOUT_DATE[suffix])
    except OSError as error:
        raise MnistCliError(
            f"cannot write {path}: {error.strerror or error}; choose another {option}"
        ) from error
