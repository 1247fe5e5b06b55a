"""The process: signals, streams and the exit code around the command line."""

import signal
import sys
from typing import NoReturn

from mnist_cli import signals, streams
from mnist_cli.errors import Terminated


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    signals.install()
    streams.protect()
    try:
        from mnist_cli.cli import run

        code = run()
        if code == 128 + signal.SIGINT:  # typer has taken the exception
            raise KeyboardInterrupt
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = signals.exit_code(signal.SIGINT)
    except Terminated:
        code = signals.exit_code(signal.SIGTERM)
    except OSError as error:
        text = str(error) if error.filename else f"cannot write standard output: {error.strerror}"
        streams.say(f"error: {text}")
        code = 1
    sys.exit(code)


if __name__ == "__main__":
    main()
