"""A comparison in files: JSON and CSV for programs, Markdown for documents."""

import csv
import io
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from mnist_cli.formatting import (
    format_accuracy,
    format_count,
    format_loss_estimate,
    format_parameters,
    format_percent,
    format_seconds,
    format_seconds_range,
)
from mnist_cli.report import phrases
from mnist_cli.report.console import json_document
from mnist_cli.schema.comparison import CompareResult, ModelRuns
from mnist_cli.schema.options import STDOUT, ExportOptions
from mnist_cli.system.files import explaining, replacing


def write(result: CompareResult, options: ExportOptions) -> None:
    """Write the files that were asked for, each in one step.

    Raises:
        MnistCliError: a file cannot be written.
    """
    for path, form in _forms(options):
        if path != STDOUT:
            with explaining(f"write {path}", "choose another file"), replacing(path) as file:
                file.write(form(result).encode())


def write_stdout(result: CompareResult, options: ExportOptions) -> None:
    """Write the one export that was asked for on standard output."""
    for path, form in _forms(options):
        if path == STDOUT:
            sys.stdout.write(form(result))


def to_csv(result: CompareResult) -> str:
    """A row for each run, with everything that it depends on."""
    looks = " ".join(map(str, result.settling.looks)) if result.settling else None
    rows = [
        {
            "model": model.model,
            "parameters": model.parameters,
            "total_parameters": model.total_parameters,
            "mult_adds": model.mult_adds,
        }
        | asdict(run)
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
    target = ["reached"] if result.target is not None else []
    spread = ["sd", "settled"] if result.settling else []
    headers = [
        "network",
        "accuracy",
        *spread,
        "n",
        "loss",
        *target,
        "median time (min-max)",
        "images/s",
    ]
    headers += ["parameters", "mult-adds"]
    lines = [
        f"**{headline}**",
        "",
        *[f"{line}  " for line in protocols],
        "",
        _row(headers),
        _row(["---", *["---:"] * (len(headers) - 1)]),
        *[_row(_cells(model, result)) for model in result.models],
        "",
        phrases.MULT_ADDS if target else f"\\* {phrases.PARETO} {phrases.MULT_ADDS}",
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


def _cells(model: ModelRuns, result: CompareResult) -> list[str]:
    figures = model.figures
    reached = [phrases.reached(model)] if result.target is not None else []
    size = [
        format_parameters(model.parameters, model.total_parameters),
        format_count(model.mult_adds),
    ]
    settled = "yes" if model.settled else "no"
    if figures is None:
        state = "failed" if model.failure else "-"
        spread = ["-", settled] if result.settling else []
        count = str(len(model.runs))
        return [_plain(model.model), state, *spread, count, "-", *reached, "-", "-", *size]
    spread = [format_percent(figures.accuracy_deviation), settled] if result.settling else []
    small = " \\*" if figures.pareto_parameters else ""
    quick = " \\*" if figures.pareto_seconds else ""
    times = "-"
    if figures.times:
        middle, *extremes = figures.times
        times = format_seconds(middle)
        if len(model.runs) > 1:
            times += f" {format_seconds_range(*extremes)}"
    return [
        _plain(model.model),
        format_accuracy(figures.test_accuracy),
        *spread,
        str(figures.test_accuracy.n),
        format_loss_estimate(figures.test_loss),
        *reached,
        f"{times}{quick}",
        f"{figures.images_per_second:,.0f}" if figures.images_per_second else "-",
        f"{size[0]}{small}",
        size[1],
    ]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _findings(result: CompareResult) -> list[str]:
    """A line that ends in a colon heads a list of its own."""
    lines: list[str] = []
    for line in map(_plain, phrases.findings(result)):
        if line.endswith(":"):
            lines += ["", line, ""] if lines else [line, ""]
        else:
            lines.append(f"- {line}")
    apart = [_plain(line) for line in phrases.sampling(result)]
    return [*lines, "", *apart, ""] if apart else [*lines, ""]


def _plain(text: str) -> str:
    """A name or reason that others chose, escaped so that it is not taken for Markdown."""
    shown = "".join(char for char in " ".join(text.split()) if char.isprintable())
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", shown)


def _prefixed(name: str, values: dict[str, object]) -> dict[str, object]:
    return {f"{name}_{key}": value for key, value in values.items()}


def _forms(options: ExportOptions) -> list[tuple[Path, Callable[[CompareResult], str]]]:
    forms = ((options.json, json_document), (options.csv, to_csv), (options.markdown, to_markdown))
    return [(path, form) for path, form in forms if path is not None]
