"""The scripts that release the program, and those of the action that others use in their CI."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mnist_cli import __version__

ROOT = Path(__file__).parents[1]
ACTION = ROOT / ".github" / "actions" / "compare"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the scripts are for bash")

# Prints a warning and a gate as mnist-cli does, and ends with the exit code 3 of a gate.
FAKE = """#!/usr/bin/env bash
printf '%s\\n' "$@" > arguments.txt
while [[ $# -gt 0 ]]; do
    case $1 in
    --export-markdown) printf '| Network | Accuracy |\\n' > "$2" ;;
    --report) printf '<html>' > "$2" ;;
    esac
    shift
done
echo 'mlp: 95.00 %'
echo 'notice: something' >&2
echo 'gate not met: mlp is below 0.96' >&2
exit 3
"""


def run_script(script: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(script), *arguments],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Put a script on the PATH, before the program of that name."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def put(name: str, script: str) -> None:
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)

    return put


def compare(arguments: str, dataset: str = "mnist5k") -> subprocess.CompletedProcess[str]:
    return run_script(
        ACTION / "compare.sh",
        ARGUMENTS=arguments,
        DATASET=dataset,
        REPORT="report",
        GITHUB_STEP_SUMMARY="summary.md",
    )


def test_the_action_shows_the_table_and_the_gates_and_keeps_the_exit_code(
    on_path: Callable[[str, str], None],
) -> None:
    on_path("mnist-cli", FAKE)
    Path("summary.md").write_text("before\n")
    done = compare("mlp", dataset="mnist")
    assert done.returncode == 3
    assert done.stdout == "mlp: 95.00 %\n"
    assert done.stderr == "notice: something\ngate not met: mlp is below 0.96\n"
    summary = Path("summary.md").read_text()
    assert summary == ("before\n| Network | Accuracy |\n\n- gate not met: mlp is below 0.96\n")
    assert Path("report/report.html").read_text() == "<html>"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("mlp cnn --seeds 5\n", ["mlp", "cnn", "--seeds", "5"]),
        ("", []),
        ("\"nets.py:wide(hidden=8)\" 'a b'", ["nets.py:wide(hidden=8)", "a b"]),
        ("mlp $(touch ran) `touch ran`; *", ["mlp", "$(touch", "ran)", "`touch", "ran`;", "*"]),
    ],
)
def test_arguments_of_the_action_are_split_but_not_run(
    on_path: Callable[[str, str], None], typed: str, expected: Sequence[str]
) -> None:
    on_path("mnist-cli", FAKE)
    assert compare(typed).returncode == 3
    passed = Path("arguments.txt").read_text().splitlines()
    assert passed[: len(expected) + 3] == ["compare", *expected, "--dataset", "mnist5k"]
    assert not Path("ran").exists()


def test_a_quote_that_does_not_end_stops_the_action(
    on_path: Callable[[str, str], None],
) -> None:
    on_path("mnist-cli", FAKE)
    done = compare('"mlp --seeds 5')
    assert done.returncode == 1
    assert not Path("arguments.txt").exists()


def test_the_action_with_the_real_program(on_path: Callable[[str, str], None]) -> None:
    on_path("mnist-cli", f'#!/usr/bin/env bash\nexec "{sys.executable}" -m mnist_cli "$@"\n')
    done = compare("mlp --epochs 1 --min-accuracy 0.1")
    assert done.returncode == 0, done.stderr
    summary = Path("summary.md").read_text(encoding="utf-8")
    assert "**mlp: test accuracy " in summary
    assert re.search(r"^- gate met: .* 0\.1", summary, re.MULTILINE)
    assert {path.name for path in Path("report").iterdir()} == {
        *("report.html", "comparison.json", "table.md", "messages.txt"),
    }


def test_the_action_says_what_failed(on_path: Callable[[str, str], None]) -> None:
    on_path("mnist-cli", "#!/usr/bin/env bash\necho 'error: no network mpl' >&2\nexit 2\n")
    assert compare("mpl").returncode == 2
    summary = Path("summary.md").read_text()
    assert summary == "No network was compared.\n\n- error: no network mpl\n"


def test_the_action_installs_the_commit_that_it_is_part_of(
    on_path: Callable[[str, str], None],
) -> None:
    on_path("python", '#!/usr/bin/env bash\necho "$@" >> arguments.txt\n')
    assert run_script(ACTION / "install.sh").returncode == 0
    torch, program = Path("arguments.txt").read_text().splitlines()
    assert torch.endswith("https://download.pytorch.org/whl/cpu")
    assert program == f"-m pip install {ROOT.resolve()}"


def test_the_changelog_has_notes_on_this_version() -> None:
    done = run_script(ROOT / ".ci" / "notes", __version__)
    assert done.returncode == 0, done.stderr
    assert "### Added" in done.stdout


def test_notes_are_those_of_one_version(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    script = tmp_path / ".ci" / "notes"
    shutil.copy(ROOT / ".ci" / "notes", script)
    Path("CHANGELOG.md").write_text(
        "# Changelog\n\n## [Unreleased]\n\n- new\n\n## [1.10.0] - 2027-01-01\n\n- ten\n\n"
        "## [1.1.0] - 2026-12-01\n\n### Added\n\n- one\n- two\n\n## [1.0.0] - 2026-11-01\n\n- old\n"
    )
    assert run_script(script, "1.1.0").stdout == "\n### Added\n\n- one\n- two\n"
    missing = run_script(script, "1.1")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.startswith("error: CHANGELOG.md has no section for version 1.1; add ")
