"""The commands of the program, and how it reports their failures."""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from mnist_cli.cli import (
    compare,
    evaluate,
    export,
    predict,
    show_features,
    show_samples,
    summary,
    train,
)
from mnist_cli.cli.parameters import OUTPUT
from mnist_cli.errors import ExitCode, MnistCliError, UsageError
from mnist_cli.report import console
from mnist_cli.system.files import from_here
from mnist_cli.system.streams import say

VERSION_HELP = "Print versions, the folders of caches with their sizes, and licences."
FEW_OPTIONS = 11  # --help shows this many options, or fewer, in one panel


class PlainCommand(TyperCommand):
    """A command whose --help shows `MODEL` instead of `{MODEL}`, and no `<bool>`."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters; if there are few options, they share one panel."""
        params = _hide_types(super().get_params(ctx))
        options = [param for param in params if param.param_type_name == "option"]
        for option in options:
            if len(options) <= FEW_OPTIONS:
                option.rich_help_panel = None
            elif option.rich_help_panel is None:  # the option --help
                option.rich_help_panel = OUTPUT
        return params

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words of its usage line."""
        return [
            piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)
        ]


class PlainGroup(TyperGroup):
    """The program, whose --help shows no `<bool>`."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters."""
        return _hide_types(super().get_params(ctx))


def _hide_types(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            parameter.display_type_rich = lambda ctx: None
        elif parameter.is_flag:
            parameter.metavar = ""
    return parameters


app = typer.Typer(
    name="mnist-cli",
    cls=PlainGroup,
    help="Train and compare small networks on MNIST: which is better, and at what cost?",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name, command, examples in (
    ("train", train.train, train.EXAMPLES),
    ("eval", evaluate.evaluate, evaluate.EXAMPLES),
    ("summary", summary.summary, summary.EXAMPLES),
    ("compare", compare.compare, compare.EXAMPLES),
    ("show-samples", show_samples.show_samples, show_samples.EXAMPLES),
    ("show-features", show_features.show_features, show_features.EXAMPLES),
    ("predict", predict.predict, predict.EXAMPLES),
    ("export", export.export, export.EXAMPLES),
):
    app.command(name, cls=PlainCommand, epilog=f"Examples:\n{examples}")(command)


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help=VERSION_HELP)] = False,
) -> None:
    """Print the versions, or the help if there is no command."""
    if version:
        from mnist_cli.cli.version import describe_installation

        console.show_verbatim("\n".join(describe_installation()))
        raise typer.Exit
    if context.invoked_subcommand is None:
        console.show_verbatim(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


def run(arguments: list[str] | None = None) -> int:
    """Run a command line (sys.argv by default), report expected failures, return the exit code."""
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
        # typer passes on the message of pydantic
        message = error.format_message().replace("Value error, ", "")
        message = message.replace("Input should", "it should")
        say(f"error: {message.rstrip('.')}; see {command} --help")
        return error.exit_code
    return code or ExitCode.OK


def _check_encoding(arguments: list[str]) -> None:
    """Refuse arguments that are not UTF-8: results name them, and results are UTF-8."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            shown = argument.encode("utf-8", "backslashreplace").decode()
            raise UsageError(f"{shown} is not UTF-8; rename the file") from error
