"""A comparison in files: JSON and CSV for programs, Markdown and LaTeX for documents."""

import csv
import io
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from mnist_cli.report import phrases
from mnist_cli.report.conclusion import conclusion
from mnist_cli.report.console import json_document
from mnist_cli.report.rows import rows, run_rows
from mnist_cli.schema.comparison import CompareResult
from mnist_cli.schema.options import STDOUT, ExportOptions
from mnist_cli.system.files import absolute, write
from mnist_cli.system.streams import visible

NOT_IN_CSV = {"history", "mistakes", "classes", "class_sizes"}  # they are no single figures
LATEX_START = "% A comparison by mnist-cli. It needs \\usepackage{booktabs}."
IN_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': "''",  # \textquotedbl is not in every font encoding
        "[": "{[}",  # at the start of a row, it would be an option of the line break before it
        "±": r"$\pm$",
        **{char: f"\\{char}" for char in "{}$&#_%"},
    }
)


class Exports:
    """The files of a comparison.

    Each result is written to new files. A file that existed before the comparison is replaced only
    by the last result, if that has a run.
    """

    def __init__(self, options: ExportOptions) -> None:
        self._writers = [(path, form) for path, form in _list_formats(options) if path != STDOUT]
        self._existing = {path for path, _ in self._writers if absolute(path).exists()}

    def write(self, result: CompareResult, *, last: bool = False) -> None:
        """Write new files, and with the `last` result all files; raises MnistCliError."""
        replace = last and any(model.runs for model in result.models)
        advice = "choose another file"
        if result.journal:
            advice += f"; {result.journal} holds the runs, and the same command continues"
        for path, to_text in self._writers:
            if replace or path not in self._existing:
                write(path, to_text(result).encode(), advice)


def write_stdout(result: CompareResult, options: ExportOptions) -> None:
    """Write the export whose path is `-` to standard output."""
    for path, to_text in _list_formats(options):
        if path == STDOUT:
            sys.stdout.write(to_text(result))


def to_csv(result: CompareResult) -> str:
    r"""A row for each run, with all that it depends on; only the JSON has its epochs.

    A cell that begins with one of `= + - @ '` gets a `'`, so that no spreadsheet reads a formula.
    Control characters become escapes such as `\x1b`; the JSON has names unchanged.
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
        | _add_prefix("protocol", vars(model.protocol) | {"augment": str(model.protocol.augment)})
        | {"target": result.target, "looks": looks, "settled": model.settled}
        | _add_prefix("dataset", asdict(result.dataset))
        | _add_prefix("environment", asdict(result.environment))
        for model in result.models
        for run in model.runs
    ]
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _clean_cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def to_markdown(result: CompareResult) -> str:
    """A table of the networks, the findings as a list, and a table of all runs."""
    environment = result.environment
    lines = [
        f"**{_escape_markdown(conclusion(result))}**",
        "",
        *[f"{_escape_markdown(line)}  " for line in phrases.headline(result)],
        "",
        *_render_table(rows(result)),
        "",
        _escape_markdown(phrases.legend(result)),
        "",
        *_render_findings(result),
        *_render_table(run_rows(result)),
        "",
        _escape_markdown(phrases.trained_on(result)),
        *map(_escape_markdown, phrases.machines(result)),
        *phrases.duration(result),
        _escape_markdown(
            f"mnist-cli {environment.mnist_cli}, Python {environment.python}, "
            f"{environment.platform}, {environment.cpu_capability}."
        ),
        f"SHA-256 of the images and labels: `{result.dataset.sha256}`.",
    ]
    return "\n".join(lines) + "\n"


def _render_table(table: Sequence[dict[str, str]]) -> list[str]:
    """The lines of a table with text in the first column; none for no rows."""
    if not table:
        return []
    cells = [list(table[0]), ["---", *["---:"] * (len(table[0]) - 1)]]
    cells += [list(map(_escape_markdown, row.values())) for row in table]
    return [f"| {' | '.join(row)} |" for row in cells]


def _render_findings(result: CompareResult) -> list[str]:
    lines: list[str] = []
    for section in phrases.sections(result):
        lines += [_escape_markdown(section.head), ""] if section.head else []
        lines += [*[f"- {_escape_markdown(line)}" for line in section.lines], ""]
    apart = [_escape_markdown(line) for line in phrases.sampling(result)]
    return [*lines, *apart, ""] if apart else lines


def _escape_markdown(text: str) -> str:
    return re.sub(r"^[-+=#](?=.)|[\\`*_<>|\[\]$&~]", r"\\\g<0>", visible(text))


def to_latex(result: CompareResult) -> str:
    """A table of the networks for the booktabs package; the findings are comments."""
    table = rows(result)
    headline = "; ".join(phrases.headline(result))
    lines = [
        LATEX_START,
        *[f"% {visible(line)}" for line in (conclusion(result), *phrases.findings(result))],
        r"\begin{table}",
        r"  \centering",
        f"  \\caption{{{_escape_latex(headline)}. {_escape_latex(phrases.legend(result))}}}",
        f"  \\begin{{tabular}}{{l{'r' * (len(table[0]) - 1)}}}",
        r"    \toprule",
        f"    {_render_row(table[0])}",
        r"    \midrule",
        *[f"    {_render_row(row.values())}" for row in table],
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _render_row(cells: Iterable[str]) -> str:
    return f"{' & '.join(map(_escape_latex, cells))} \\\\"


def _escape_latex(text: str) -> str:
    return visible(text).translate(IN_LATEX)


def _clean_cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "'")) else text


def _add_prefix(name: str, values: dict[str, object]) -> dict[str, object]:
    return {f"{name}_{key}": values[key] for key in values if key not in NOT_IN_CSV}


def _list_formats(options: ExportOptions) -> list[tuple[Path, Callable[[CompareResult], str]]]:
    formats = (
        (options.json, json_document),
        (options.csv, to_csv),
        (options.markdown, to_markdown),
        (options.latex, to_latex),
    )
    return [(path, to_text) for path, to_text in formats if path is not None]
