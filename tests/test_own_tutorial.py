"""The tutorial on own images runs from its first to its last line, in an empty folder."""

import re
import runpy
import shlex
from pathlib import Path

import pytest

from mnist_cli.errors import ExitCode
from tests.conftest import RunCli

PAGE = Path(__file__).parents[1] / ".github/docs/your-own-images.md"


@pytest.mark.full  # it takes 20 seconds
def test_every_line_of_the_tutorial_runs_and_does_what_it_says(run_cli: RunCli) -> None:
    outputs = {}
    for language, code in re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
        if language == "python":
            Path(code.split("\n")[0].removeprefix("# ")).write_text(code, "utf-8")
            continue
        for line in code.splitlines():
            program, *arguments = shlex.split(line)
            if program == "python":
                runpy.run_path(arguments[0])
                continue
            outcome = run_cli(*arguments)
            assert outcome.code == ExitCode.OK, (line, outcome.err)
            outputs[line] = outcome.out + outcome.err
    assert len(outputs) == 10
    said = outputs["mnist-cli show-samples --dataset ours"]
    assert "500 pictures of 120x160, 500 in colour, 500 dark on light, made 28x28 grey" in said
    assert "100 of its images, a fifth of each class and always the same" in said
    judged = outputs["mnist-cli eval mnist.safetensors --dataset ours --as-digits"]
    assert "over 500 images" in judged
    accuracy = float(re.findall("Test accuracy ([0-9.]+) %", judged)[0])
    assert accuracy > 85  # with the digits' form, handwriting is recognized
