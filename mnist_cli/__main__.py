"""The process: signals, streams and the exit code around the command line."""

import signal
import sys
from types import FrameType
from typing import NoReturn

from mnist_cli import streams
from mnist_cli.errors import Terminated


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    signal.signal(signal.SIGTERM, _terminate)
    streams.protect()
    try:
        from mnist_cli.cli import run

        code = run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except Terminated:
        code = 128 + signal.SIGTERM
    except OSError as error:
        streams.say(f"error: {error}")
        code = 1
    if code == 128 + signal.SIGINT:
        streams.say("interrupted")
    sys.exit(code)


def _terminate(_signum: int, _frame: FrameType | None) -> NoReturn:
    # As an exception, so that unfinished files are removed on the way out.
    raise Terminated


if __name__ == "__main__":
    main()
