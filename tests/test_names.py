"""Names are data: whatever they hold, each output shows it, and does nothing else with it."""

import csv
import io
import json
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mnist_cli.report import console, export
from mnist_cli.report.comparison_tables import comparison_tables
from mnist_cli.report.console import json_document
from mnist_cli.report.html.document import page
from mnist_cli.report.network_tables import prediction_tables
from mnist_cli.report.pictures.plots import plot_comparison, plot_training
from mnist_cli.report.pictures.terminal import picture_caption
from mnist_cli.report.progress import reporter
from mnist_cli.schema.comparison import CompareResult
from mnist_cli.schema.events import Notice
from mnist_cli.schema.record import check_seal, from_json
from mnist_cli.schema.results import PictureResult, PredictResult
from mnist_cli.system.streams import say, visible
from tests.made_up import comparison, learned, network, since
from tests.test_reports import BAD, GOOD, TRAINED

NAMES = {
    "an escape": ("\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
    "no break": ("a\x00b\x7fc\x9bd", r"a\x00b\x7fc\x9bd"),
    "two lines": ("a\r\n# head\n\nb", "a # head b"),
    "direction": ("a\u202egnp.exe\u2066b\u200f", r"a\u202egnp.exe\u2066b\u200f"),
    "separators": ("a\u2028b\u2029c\ufeff\u00ad", r"a\u2028b\u2029c\ufeff\xad"),
    "bytes": (b"caf\xe9\xff".decode("utf-8", "surrogateescape"), r"caf\udce9\udcff"),
    "dollars": (r"$x_1^2$ \$ $\frac{$", r"$x_1^2$ \$ $\frac{$"),
    "a formula": ("=HYPERLINK(1)", "=HYPERLINK(1)"),
    "plus": ("+1+1", "+1+1"),
    "minus": ("-1-1", "-1-1"),
    "at": ("@SUM(A1)", "@SUM(A1)"),
    "a quote": ("'=1", "'=1"),
    "markup": ("<script>x</script>|`*_[a](b)", "<script>x</script>|`*_[a](b)"),
    "an entity": ("&lt;b&gt; {{ 7*7 }} \\input{x} %", "&lt;b&gt; {{ 7*7 }} \\input{x} %"),
    "rich": ("[bold]x[/bold] [link=http://x]", "[bold]x[/bold] [link=http://x]"),
    "letters": ("größe", "größe"),
    "long": ("long" * 2000, "long" * 2000),
}
each_name = pytest.mark.parametrize(("name", "shown"), NAMES.values(), ids=NAMES)


def named(name: str) -> CompareResult:
    """A comparison with the name at each place where a foreign export may have one."""
    rows = [
        replace(network(name, GOOD, hosts=(name, "b")), network=name, precision=name),
        network("b", BAD, 3.0),
        network("c", (), parameters=None, failure=name),
    ]
    for model in rows[:2]:
        runs = tuple(replace(run, processor=name + str(run.seed % 2)) for run in model.runs)
        rows[rows.index(model)] = replace(model, runs=runs)
    made = comparison(*rows)
    machine = replace(made.environment, processor=name, platform=name, device=name, torch=name)
    dataset = replace(made.dataset, name=name, note=name)
    result = replace(made, environment=machine, dataset=dataset, journal=name)
    result = since(result, {name: dict(enumerate(BAD))})
    assert result.baseline
    return replace(result, baseline=replace(result.baseline, file=name, note=name))


def terminal(result: CompareResult) -> str:
    console.emit(result, comparison_tables, as_json=False)
    with reporter() as on_event:
        on_event(Notice(f"{result.models[0].model} will be replaced"))
    say(f"error: {result.models[0].model}")
    name = result.models[0].model
    picture = PictureResult(name, 7, (0.0,) * 7 + (1.0, 0.0, 0.0))
    told = PredictResult(name, name, name, (picture,))
    console.show(*prediction_tables(told, picture_caption(picture)))
    return ""


OUTPUTS: dict[str, Callable[[CompareResult], str]] = {
    "terminal": terminal,
    "Markdown": export.to_markdown,
    "CSV": export.to_csv,
    "LaTeX": export.to_latex,
    "page": lambda result: page(result, None),
    "JSON": json_document,
}


@pytest.mark.parametrize("output", OUTPUTS)
@each_name
def test_no_output_has_a_character_that_is_not_shown(
    name: str, shown: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = OUTPUTS[output](named(name))
    seen = capsys.readouterr()
    text += seen.out + seen.err
    assert [line for line in text.split("\n") if visible(line) != line.replace("\t", " ")] == []
    assert text.encode()  # it can be written
    if name != shown and output in {"terminal", "page", "CSV"}:
        # A column may fold it, a page escapes what it is for.
        assert shown in text.replace("\n", "") or "<" in shown


@each_name
def test_a_csv_gives_text_back_and_holds_no_formula(name: str, shown: str) -> None:
    table = list(csv.DictReader(io.StringIO(export.to_csv(named(name)))))
    assert len(table) == 10
    cells = {key: cell for row in table for key, cell in row.items() if cell}
    assert not any(
        cell.startswith(("=", "+", "-", "@")) for cell in cells.values()
    )  # no number here is below 0
    for key in ("model", "dataset_name", "environment_processor", "host"):
        cell = table[0][key]
        assert (cell.removeprefix("'")) == shown, key


@each_name
def test_markdown_has_it_in_one_cell(name: str, shown: str) -> None:
    text = export.to_markdown(named(name))
    rows = [line for line in text.split("\n") if line.startswith("|")]
    bars = [len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows]
    assert bars == [bars[0]] * 5 + [7] * 12
    bare = re.sub(r"\\.", "", text)  # without what is escaped
    assert not re.search(r"[<$\[&~]|(?m:^- [-+=#])|(?m:^#)", bare)
    first = re.sub(r"\\(.)", r"\1", rows[2]).removeprefix("| ")
    assert first.startswith(shown)


@each_name
def test_latex_has_it_in_one_row_or_comment(name: str, shown: str) -> None:
    lines = export.to_latex(named(name)).split("\n")
    code = [re.sub(r"\\[{}$&#_%]", "", line) for line in lines if not line.startswith("%")]
    bare = "".join(code)
    commands = set(re.findall(r"\\([a-z]+)", bare))
    assert commands <= {
        *("begin", "end", "centering", "caption", "toprule", "midrule", "bottomrule", "pm"),
        *("textbackslash", "textless", "textgreater", "textbar", "textasciicircum"),
    }
    assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0 and "%" not in bare


@each_name
def test_a_page_has_no_tag_of_it(name: str, shown: str) -> None:
    text = page(named(name), None)
    body = text.partition("</style>")[2]
    assert "<script" not in text and "<b>" not in body
    assert body.count("<h1>") == 1


@each_name
def test_json_is_read_again(name: str, shown: str) -> None:
    text = json_document(named(name))
    check_seal(text)
    again = from_json(CompareResult, text)
    lone = name != name.encode("utf-8", "replace").decode()
    assert again.models[0].model == (shown if lone else name)
    assert json_document(again) == text
    assert json.loads(text)["journal"] == again.journal


def test_a_character_beyond_the_first_plane_stays_as_it_is_in_json() -> None:
    for name in ("\U0001f600", "\\ud83d", "\\\ud83d", "\ud83d\U0001f600", "\udc00\ud83d"):
        text = json_document(comparison(network(name, GOOD)))
        again = from_json(CompareResult, text)
        assert again.models[0].model == name.encode("utf-8", "backslashreplace").decode()


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_every_name_is_drawn_as_it_is(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"plot.{suffix}"
    names = [(name, shown) for name, shown in NAMES.values() if shown.strip()]
    rows = [
        network(name, GOOD[:2], parameters=1000 * 2**place) for place, (name, _) in enumerate(names)
    ]
    rows[0] = learned(rows[0], [3, 4], [3, 4])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for odd in ("$x_1", "a\x1b$b$") if suffix == "svg" else ():
            varied = [replace(row, network=odd, varied={odd: 1 + i}) for i, row in enumerate(rows)]
            result = comparison(*varied, seeds=2)
            plot_comparison(path, replace(result, dataset=replace(result.dataset, name=odd)))
            plot_training(path, replace(TRAINED, model=odd))
        plot_comparison(path, comparison(*rows, seeds=2))
    if suffix == "svg":
        text = path.read_text(encoding="utf-8")
        ElementTree.fromstring(text)
        drawn = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        for _, shown in names:
            assert f"<!-- {shown[:20].replace('--', '- -')}" in drawn, shown
