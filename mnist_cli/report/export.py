"""A comparison in files: JSON and CSV for programs, Markdown and LaTeX for documents."""

import csv
import io
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from mnist_cli.report import phrases
from mnist_cli.report.conclusion import conclusion
from mnist_cli.report.console import json_document
from mnist_cli.report.latex import to_latex
from mnist_cli.report.rows import rows, run_rows
from mnist_cli.schema.comparison import CompareResult
from mnist_cli.schema.options import STDOUT, ExportOptions
from mnist_cli.system.files import absolute, write
from mnist_cli.system.streams import visible

NOT_IN_CSV = {"history", "mistakes"}  # they are no single figures


class Exports:
    """The files of a comparison.

    A new file is written with each result. A file that existed before the comparison is replaced
    once, by the last result, and only if that has a run.
    """

    def __init__(self, options: ExportOptions) -> None:
        self._forms = [(path, form) for path, form in _forms(options) if path != STDOUT]
        self._earlier = {path for path, _ in self._forms if absolute(path).exists()}

    def write(self, result: CompareResult, *, last: bool = False) -> None:
        """Write each new file, and with the `last` result also the earlier ones.

        Raises:
            MnistCliError: a file cannot be written.
        """
        better = last and any(model.runs for model in result.models)
        advice = "choose another file"
        if result.journal:
            advice += f"; {result.journal} holds the runs, and the same command continues"
        for path, form in self._forms:
            if better or path not in self._earlier:
                write(path, form(result).encode(), advice)


def write_stdout(result: CompareResult, options: ExportOptions) -> None:
    """Write the one export that was asked for on standard output."""
    for path, form in _forms(options):
        if path == STDOUT:
            sys.stdout.write(form(result))


def to_csv(result: CompareResult) -> str:
    r"""A row for each run, with all that it depends on; the JSON has its epochs too.

    A text that begins with one of `= + - @ '` has a `'` before it, so that no spreadsheet reads
    it as a formula. Control characters are escapes such as `\x1b`; the JSON has names unchanged.
    """
    looks = " ".join(map(str, result.settling.looks)) if result.settling else None
    rows = [
        {
            "model": model.model,
            "parameters": model.parameters,
            "total_parameters": model.total_parameters,
            "mult_adds": model.mult_adds,
        }
        | {key: value for key, value in asdict(run).items() if key not in NOT_IN_CSV}
        | {"precision": model.precision}
        | _prefixed("protocol", asdict(model.protocol))
        | {"target": result.target, "looks": looks, "settled": model.settled}
        | _prefixed("dataset", asdict(result.dataset))
        | _prefixed("environment", asdict(result.environment))
        for model in result.models
        for run in model.runs
    ]
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def to_markdown(result: CompareResult) -> str:
    """A table of the networks, the findings as a list, and a table of all runs."""
    environment = result.environment
    lines = [
        f"**{_plain(conclusion(result))}**",
        "",
        *[f"{_plain(line)}  " for line in phrases.headline(result)],
        "",
        *_table(rows(result)),
        "",
        _plain(phrases.legend(result)),
        "",
        *_findings(result),
        *_table(run_rows(result)),
        "",
        _plain(phrases.trained_on(result)),
        *map(_plain, phrases.machines(result)),
        *phrases.duration(result),
        _plain(
            f"mnist-cli {environment.mnist_cli}, Python {environment.python}, "
            f"{environment.platform}, {environment.cpu_capability}."
        ),
        f"SHA-256 of the images and labels: `{result.dataset.sha256}`.",
    ]
    return "\n".join(lines) + "\n"


def _table(table: Sequence[dict[str, str]]) -> list[str]:
    """The lines of a table with text in its first column; no lines without a row."""
    if not table:
        return []
    cells = [list(table[0]), ["---", *["---:"] * (len(table[0]) - 1)]]
    cells += [list(map(_plain, row.values())) for row in table]
    return [f"| {' | '.join(row)} |" for row in cells]


def _findings(result: CompareResult) -> list[str]:
    lines: list[str] = []
    for section in phrases.sections(result):
        lines += [_plain(section.head), ""] if section.head else []
        lines += [*[f"- {_plain(line)}" for line in section.lines], ""]
    apart = [_plain(line) for line in phrases.sampling(result)]
    return [*lines, *apart, ""] if apart else lines


def _plain(text: str) -> str:
    """Text with the characters escaped that Markdown interprets."""
    return re.sub(r"^[-+=#](?=.)|[\\`*_<>|\[\]$&~]", r"\\\g<0>", visible(text))


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "'")) else text


def _prefixed(name: str, values: dict[str, object]) -> dict[str, object]:
    return {f"{name}_{key}": value for key, value in values.items()}


def _forms(options: ExportOptions) -> list[tuple[Path, Callable[[CompareResult], str]]]:
    forms = (
        (options.json, json_document),
        (options.csv, to_csv),
        (options.markdown, to_markdown),
        (options.latex, to_latex),
    )
    return [(path, form) for path, form in forms if path is not None]
