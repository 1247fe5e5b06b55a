"""The command line: the commands by name, and failures as one line and an exit code."""

import sys
from typing import Annotated

import typer

from mnist_cli import __version__
from mnist_cli.cli import compare, evaluate, export, predict, show_samples, summary, train
from mnist_cli.cli.plain_help import PlainCommand, PlainGroup
from mnist_cli.errors import ExitCode, MnistCliError, UsageError
from mnist_cli.report import console
from mnist_cli.system.files import from_here
from mnist_cli.system.streams import say

app = typer.Typer(
    name="mnist-cli",
    cls=PlainGroup,
    help="Train and compare small networks on MNIST: which is better, and at what cost?",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(cls=PlainCommand)(train.train)
app.command("eval", cls=PlainCommand)(evaluate.evaluate)
app.command(cls=PlainCommand)(summary.summary)
app.command(cls=PlainCommand)(compare.compare)
app.command(cls=PlainCommand)(show_samples.show_samples)
app.command(cls=PlainCommand)(predict.predict)
app.command(cls=PlainCommand)(export.export)


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Print the version, or the help where there is no command."""
    if version:
        console.show(f"mnist-cli {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        console.show_verbatim(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


def run(arguments: list[str] | None = None) -> int:
    """Run a command line (sys.argv by default) and return its exit code.

    Expected failures become one line on standard error; bugs keep their tracebacks.
    """
    try:
        _check_encoding(sys.argv[1:] if arguments is None else arguments)
        with from_here():
            code: int | None = app(arguments, prog_name="mnist-cli", standalone_mode=False)
    except MnistCliError as error:
        say(f"error: {' '.join(str(error).split())}")
        return error.exit_code
    except typer.TyperException as error:
        context: typer.Context | None = getattr(error, "ctx", None)
        command = context.command_path if context else "mnist-cli"
        # typer passes on what pydantic says.
        message = error.format_message().replace("Value error, ", "")
        message = message.replace("Input should", "it should")
        say(f"error: {message.rstrip('.')}; see {command} --help")
        return error.exit_code
    return code or ExitCode.OK


def _check_encoding(arguments: list[str]) -> None:
    """Raise UsageError where an argument cannot stand in a result, which is UTF-8."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            shown = argument.encode("utf-8", "backslashreplace").decode()
            raise UsageError(f"{shown} is not UTF-8; rename the file") from error
