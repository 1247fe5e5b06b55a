"""The folders that hold what the program keeps between commands."""

import os
from pathlib import Path

import platformdirs

from mnist_cli.system.files import absolute

STATE_VARIABLE = "MNIST_CLI_STATE_DIR"


def user_cache() -> Path:
    """The folder of downloaded datasets if no other is named."""
    return platformdirs.user_cache_path("mnist-cli")


def state() -> Path:
    """The folder of journals if --journal is not given."""
    variable = os.environ.get(STATE_VARIABLE)
    return absolute(Path(variable)) if variable else platformdirs.user_state_path("mnist-cli")
