"""An error of a network's own code, in one line."""

import importlib
import re
import traceback
from pathlib import Path

from mnist_cli.networks.identity import PACKAGE, is_users

MOST_CHARACTERS = 1000
NO_SUCH_DEVICE = re.compile(r"NVIDIA driver|not (compiled|linked) with")  # as torch says it
DEVICE_HINT = "its code asks for a device that this machine does not have: leave that to --device"


def describe(error: BaseException) -> str:
    """An exception in one line, with its place.

    The place is the innermost line of the user's files, or else the innermost outside this package.
    """
    try:
        message = str(error)
    except BaseException:  # its __str__ may fail too
        message = "an exception without a message"
    if isinstance(error, AssertionError | RuntimeError) and NO_SUCH_DEVICE.search(message):
        text = DEVICE_HINT
    else:
        text = " ".join(f"{type(error).__name__}: {message}".split()).rstrip(":")
    if len(text) > MOST_CHARACTERS:
        text = f"{text[:MOST_CHARACTERS]}..."
    if isinstance(error, SyntaxError):  # its text already names the place
        return text
    frames = traceback.extract_tb(error.__traceback__)
    ours = (str(PACKAGE), str(Path(importlib.__file__).parent), "<frozen")
    outside = [frame for frame in frames if not frame.filename.startswith(ours)]
    users = [frame for frame in outside if is_users(frame.filename)]
    place = (users or outside)[-1:]
    return f"{text} ({place[0].filename}:{place[0].lineno})" if place else text
