"""A comparison in files: JSON and CSV for programs, Markdown and LaTeX for documents."""

import csv
import io
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from mnist_cli.report import phrases
from mnist_cli.report.console import json_document
from mnist_cli.report.latex import to_latex
from mnist_cli.report.rows import rows
from mnist_cli.schema.comparison import CompareResult
from mnist_cli.schema.options import STDOUT, ExportOptions
from mnist_cli.system.files import absolute, write

NOT_IN_CSV = {"history", "mistakes"}  # a run is a row, and these are no single figures


class Exports:
    """The files of a comparison: one that was there stays until there is something better.

    A file that was not there when the comparison began is written with each result. One that was
    is replaced once, by the last result, and not at all by a result without a run.
    """

    def __init__(self, options: ExportOptions) -> None:
        self._forms = [(path, form) for path, form in _forms(options) if path != STDOUT]
        self._earlier = {path for path, _ in self._forms if absolute(path).exists()}

    def write(self, result: CompareResult, *, last: bool = False) -> None:
        """Write the files whose turn it is, each in one step.

        Raises:
            MnistCliError: a file cannot be written.
        """
        better = last and any(model.runs for model in result.models)
        way_out = "choose another file"
        if result.journal:
            way_out += f"; {result.journal} holds the runs, and the same command goes on from there"
        for path, form in self._forms:
            if better or path not in self._earlier:
                write(path, form(result).encode(), way_out)


def write_stdout(result: CompareResult, options: ExportOptions) -> None:
    """Write the one export that was asked for on standard output."""
    for path, form in _forms(options):
        if path == STDOUT:
            sys.stdout.write(form(result))


def to_csv(result: CompareResult) -> str:
    """A row for each run, with everything that it depends on; its epochs are in the JSON."""
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
        writer.writerows(rows)
    return text.getvalue()


def to_markdown(result: CompareResult) -> str:
    """A table of the networks, the findings as a list, and a table of all runs."""
    headline, *protocols = phrases.headline(result)
    environment = result.environment
    table = rows(result)
    lines = [
        f"**{headline}**",
        "",
        *[f"{line}  " for line in protocols],
        "",
        _row(table[0]),
        _row(["---", *["---:"] * (len(table[0]) - 1)]),
        *[_row(map(_plain, row.values())) for row in table],
        "",
        _plain(phrases.legend(result)),
        "",
        *_findings(result),
        _row(["network", "seed", "epochs", "test accuracy", "test loss", "training time (s)"]),
        _row(["---", *["---:"] * 5]),
        *[
            _row(
                [
                    _plain(model.model),
                    str(run.seed),
                    str(run.epochs),
                    str(run.test_accuracy),
                    f"{run.test_loss:.6f}",
                    f"{run.train_seconds:.6f}",
                ]
            )
            for model in result.models
            for run in model.runs
        ],
        "",
        phrases.trained_on(result),
        *phrases.machines(result),
        *phrases.duration(result),
        f"mnist-cli {environment.mnist_cli}, Python {environment.python}, {environment.platform}, "
        f"{environment.cpu_capability}.",
        f"SHA-256 of the images and labels: `{result.dataset.sha256}`.",
    ]
    return "\n".join(lines) + "\n"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _findings(result: CompareResult) -> list[str]:
    lines: list[str] = []
    for head, items in phrases.grouped([_plain(line) for line in phrases.findings(result)]):
        lines += [head, ""] if head else []
        lines += [*[f"- {item}" for item in items], ""]
    apart = [_plain(line) for line in phrases.sampling(result)]
    return [*lines, *apart, ""] if apart else lines


def _plain(text: str) -> str:
    """A name or reason that others chose, escaped so that it is not taken for Markdown."""
    shown = "".join(char for char in " ".join(text.split()) if char.isprintable())
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", shown)


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
