"""The entry point of the process, from its start to its exit code."""

import signal
import sys
from pathlib import Path
from typing import NoReturn

from mnist_cli.errors import ExitCode, Terminated
from mnist_cli.system import cpus, process, streams


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    process.get_ready()
    streams.protect()
    cpus.limit_threads()
    try:
        Path.cwd()
    except OSError:  # torch cannot be imported from a folder that is gone
        streams.say("error: the working directory no longer exists; change to another one")
        process.leave(ExitCode.FAILURE)
    try:
        from mnist_cli.cli.app import run

        code = run()
        if code == 128 + signal.SIGINT:  # typer caught the exception
            raise KeyboardInterrupt
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = process.signal_exit_code(signal.SIGINT)
    except Terminated:
        code = process.signal_exit_code(signal.SIGTERM)
    except OSError as error:
        what = f"use {error.filename}" if error.filename else "write standard output"
        streams.say(f"error: cannot {what}: {error.strerror}")
        code = ExitCode.FAILURE
    process.leave(code)


if __name__ == "__main__":
    main()
