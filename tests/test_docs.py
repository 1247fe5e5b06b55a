"""Every command in the README and the docs runs as written, in order, in an empty folder."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image, ImageDraw

from mnist_cli.cli.app import app
from mnist_cli.comparison.baseline import load_baseline
from mnist_cli.data import datasets
from mnist_cli.data.mnist5k import read_mnist5k
from mnist_cli.errors import ExitCode
from tests.conftest import RunCli

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    *(f".github/docs/{page}.md" for page in ("settings", "features", "statistics", "cluster")),
)
COMMANDS = re.compile(r"^mnist-cli (.+)$|`mnist-cli ([^`]+)`", re.MULTILINE)
CODE = re.compile(r"```python\n# (\w+\.py)\n(.*?)```", re.DOTALL)
NOT_RUN = {"--cluster", "--install-completion"}  # needs workers; changes the user's shell
TRAINS = {"train", "compare"}


def commands(text: str) -> list[list[str]]:
    """The arguments of each command, from code blocks and from the text."""
    found = [
        " ".join((block or inline).split("|")[0].split())
        for block, inline in COMMANDS.findall(text)
    ]
    return [shlex.split(each, comments=True) for each in found if "COMMAND" not in each]


def made_small(arguments: list[str]) -> list[str]:
    """The same command with fewer epochs, seeds and images."""
    name, *rest = arguments
    options = [item for item in rest if item.startswith("--")]
    files = any(item.endswith((".safetensors", ".json")) for item in rest if item not in options)
    exports = bool(rest) and rest[0].endswith(".json")
    small = {"--seeds": "2", "--dataset": "mnist5k"}
    if "--index" in options:
        small["--index"] = "7"
    if name in TRAINS and ("--resume" in options or not files):
        small["--epochs"] = "2" if "--resume" in options else "1"
    if "--seeds auto" in " ".join(rest):
        small["--max-seeds"] = "4"
    kept, items = [name], iter(rest)
    for item in items:
        if item in small or item == "--jobs":
            value = next(items)
            if item == "--seeds":
                kept += [item, value if value == "auto" else str(min(int(value), 2))]
        else:
            kept.append(item)
    del small["--seeds"]
    if name in {"summary", "predict", "--version"} or exports:
        del small["--dataset"]
    return [*kept, *(word for pair in small.items() for word in pair)]


@pytest.fixture
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of the bundled images: 100 to train with and 50 to test with."""
    train, test = read_mnist5k()
    few = train.select(slice(None, None, 40)), test.select(slice(None, None, 20))
    monkeypatch.setattr(datasets, "read_mnist5k", lambda: few)


@pytest.mark.full  # it takes half a minute
@pytest.mark.usefixtures("few_images")
@pytest.mark.parametrize("page", PAGES)
def test_every_command_runs(run_cli: RunCli, page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for name, code in CODE.findall(text):
        Path(name).write_text(code)
    Path("scans").mkdir()
    for picture in ("three.png", "scans/four.png"):
        drawn = Image.new("L", (40, 40), 255)
        ImageDraw.Draw(drawn).line((20, 5, 20, 35), fill=0, width=4)
        drawn.save(picture)
    run = 0
    for arguments in commands(text):
        if NOT_RUN.isdisjoint(arguments):
            outcome = run_cli(*made_small(arguments))
            assert outcome.code in {ExitCode.OK, ExitCode.GATE_NOT_MET}, (arguments, outcome.err)
            run += 1
    assert run, page


def test_every_option_says_what_it_does() -> None:
    root: Any = typer.main.get_command(app)
    for name, command in root.commands.items():
        for parameter in command.params:
            assert parameter.help or "--help" in parameter.opts, f"{name} {parameter.opts}"


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / ".github").rglob("*.md")]
    assert len(pages) > 3
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_gate_of_ci_has_a_baseline_that_fits_its_command() -> None:
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert "--baseline .github/baseline.json --fail-on-regression" in workflow
    made = load_baseline(ROOT / ".github/baseline.json")
    assert [row.model for row in made.models] == ["mlp", "tinycnn"]
    assert "mlp tinycnn --seeds 5 --min-accuracy 0.95" in workflow
    assert (made.dataset.name, len(made.seeds), made.journal) == ("mnist", 5, "runs.jsonl")
