"""The README's commands are those of the program, which explains its options."""

import re
import shlex
from pathlib import Path
from typing import Any

import typer

from mnist_cli.cli.app import app

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
ROOT: Any = typer.main.get_command(app)


def test_every_option_says_what_it_does() -> None:
    for name, command in ROOT.commands.items():
        for parameter in command.params:
            assert parameter.help or "--help" in parameter.opts, f"{name} {parameter.opts}"


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
