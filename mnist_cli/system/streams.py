"""Standard streams that tolerate a closed pipe, a small character set and a network's code."""

import codecs
import errno
import io
import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


READABLE = "mnist-cli.readable"  # error handler for characters that a stream cannot encode
IN_ASCII = {"±": "+/-", "×": "x", "●": "o", "─": "-", "└": "`"}
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control, format, surrogate, line ends
IN_ASCII |= dict.fromkeys("├│┤", "|") | dict.fromkeys("█▉▊▋▌▍▎▏", "#")


def _replace_characters(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)  # it is for output only
    text = "".join(
        IN_ASCII.get(char) or char.encode("ascii", "backslashreplace").decode()
        for char in error.object[error.start : error.end]
    )
    return text, error.end


codecs.register_error(READABLE, _replace_characters)


class _PipeSafe(io.FileIO):
    """A file that ignores a closed pipe: `mnist-cli ... | head` does the same work, silently.

    It raises any other failure, such as a full disk, only once: Python flushes again at the exit.
    """

    _failed = False

    def write(self, data: "ReadableBuffer", /) -> int:
        if self._failed:
            return memoryview(data).nbytes
        try:
            return super().write(data) or 0
        except OSError as error:
            self._failed = True
            # Windows reports a closed pipe as an invalid argument.
            if error.errno in (errno.EPIPE, errno.EINVAL):
                return memoryview(data).nbytes
            raise


def protect() -> None:
    """Make stdout and stderr ignore a closed pipe, and escape what they cannot encode."""
    for name in ("stdout", "stderr"):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:  # closed by the caller, as by >&-
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif stream.isatty():
            stream.reconfigure(errors=READABLE)  # type: ignore[attr-defined]
        else:
            raw = _PipeSafe(stream.fileno(), "w", closefd=False)
            safe = io.TextIOWrapper(
                io.BufferedWriter(raw), stream.encoding, READABLE, line_buffering=True
            )
            setattr(sys, name, safe)


class _Unclosable:
    """A stream that code cannot close."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def close(self) -> None:
        """Flush the buffer, and stay open."""
        self._stream.flush()


@contextmanager
def keep() -> Iterator[None]:
    """Restore the standard streams at the end, if code within the context changed them."""
    names = ("stdin", "stdout", "stderr", "__stdout__", "__stderr__")
    streams = {name: getattr(sys, name) for name in names}
    copies = {}
    for number in range(3):
        with suppress(OSError):  # closed by the caller
            copies[number] = os.dup(number)
    for name in names[1:]:
        if streams[name]:
            setattr(sys, name, _Unclosable(streams[name]))
    try:
        yield
    finally:
        for name, stream in streams.items():
            setattr(sys, name, stream)
        for number, copy in copies.items():
            with suppress(OSError):  # the code closed the copy too
                os.dup2(copy, number)
                os.close(copy)


def visible(text: str) -> str:
    r"""Make text safe to print on one line.

    Line breaks and tabs become spaces; control characters, direction marks and bytes that are not
    UTF-8 become escapes such as `\x1b`.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in HIDDEN else char
        for char in re.sub(r"[\t\n\r]+", " ", text)
    )


def as_shown(text: str) -> str:
    """The text as standard output shows it (in ASCII, `+/-` for `±`), to align columns."""
    encoding = sys.stdout.encoding or "ascii"
    return text.encode(encoding, READABLE).decode(encoding)


def say(text: str) -> None:
    """Write one line on standard error."""
    sys.stderr.write(f"{visible(text)}\n")
    sys.stderr.flush()
