"""The README's option tables and commands are those of the program."""

import re
import shlex
from pathlib import Path
from typing import Any

import typer

from mnist_cli.cli.app import app

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
ROOT: Any = typer.main.get_command(app)


def option_table() -> str:
    """The table that the README should have: each option once, with the commands that take it."""
    commands: dict[str, list[str]] = {}
    for name, command in ROOT.commands.items():
        for parameter in command.params:
            if parameter.param_type_name == "option" and "--help" not in parameter.opts:
                flags = ", ".join(f"`{flag}`" for flag in parameter.opts)
                default = parameter.show_default
                if default is True:
                    default = "" if parameter.is_flag else parameter.default
                default = "" if default in {None, ""} else default
                commands.setdefault(f"{default} | {parameter.help}", [flags]).append(name)
    rows = ["| option | of | default | what it does |", "| --- | --- | --- | --- |"]
    for text, (flags, *names) in commands.items():
        takers = "all" if len(names) == len(ROOT.commands) else ", ".join(names)
        rows.append(f"| {flags} | {takers} | {text} |")
    return "\n".join(rows)


def test_option_table() -> None:
    assert option_table() in README, f"the README should have\n\n{option_table()}"


def test_every_command_in_the_readme_parses() -> None:
    lines = re.findall(r"^(?:.*[/ ])?mnist-cli (.+)$", README, re.MULTILINE)
    commands = [shlex.split(line, comments=True) for line in lines if "|" not in line]
    assert len(commands) > 10
    for name, *arguments in commands:
        if name in ROOT.commands:
            for argument in arguments:
                if argument.startswith("--"):
                    flags = [flag for p in ROOT.commands[name].params for flag in p.opts]
                    assert argument in flags, f"{name} {argument}"
        else:
            assert name in {"--help", "--version"}, name
