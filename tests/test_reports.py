"""Tables, exports and captions of made-up results: the right figure in the right place."""

import csv
import io
import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console, RenderableType
from rich.table import Table

from mnist_cli.report import export, layout, phrases
from mnist_cli.report.comparison_tables import checkpoint_tables, comparison_tables
from mnist_cli.report.console import json_document
from mnist_cli.report.html.charts import draw_differences
from mnist_cli.report.network_tables import evaluation_tables, summary_table, training_table
from mnist_cli.report.pictures.plots import plot_comparison
from mnist_cli.report.pictures.terminal import caption, disputed_caption
from mnist_cli.schema.comparison import (
    CheckpointComparison,
    CompareResult,
    Disagreement,
    DisputedImage,
    EvaluatedCheckpoint,
    Run,
)
from mnist_cli.schema.datasets import DatasetInfo
from mnist_cli.schema.protocol import Protocol
from mnist_cli.schema.results import (
    ClassResult,
    EpochResult,
    EvalResult,
    LayerSummary,
    ModelSummary,
    ShownImage,
    SummaryResult,
    TrainResult,
)
from mnist_cli.training.evaluation import per_class
from tests.made_up import MACHINE, comparison, learned, network, since

GOOD = (0.980, 0.981, 0.979, 0.982, 0.980)
BAD = (0.950, 0.952, 0.949, 0.951, 0.950)
DATASET = DatasetInfo("mnist", 60_000, 10_000, "0" * 64)
LONG = "a/folder/of/mine/with_many_networks.py:TheOneThatIsCalledLongest"


def rows(parts: list[RenderableType], width: int = 200) -> list[list[str]]:
    """What is printed, each line split where two spaces or more stand."""
    output = io.StringIO()
    console = Console(file=output, width=width, highlight=False, markup=False)
    for part in parts:
        console.print(part)
    lines = output.getvalue().splitlines()
    return [[cell for cell in line.split("  ") if cell.strip()] for line in lines]


def cells(parts: list[RenderableType], name: str) -> list[list[str]]:
    """The rows of all tables that begin with a name."""
    return [[cell.strip() for cell in row] for row in rows(parts) if row and row[0] == name]


TRAINED = TrainResult(
    model="mlp",
    parameters=25_450,
    dataset=DATASET,
    environment=MACHINE,
    protocol=Protocol(),
    code={},
    precision="fp32",
    seed=7,
    epochs=(EpochResult(1, 0.5, 0.25, 0.91, 1.5), EpochResult(2, 0.4, 0.2, 0.92, 1.25)),
    test_accuracy=0.92,
    test_loss=0.2,
    train_seconds=2.75,
    tensors_sha256="0" * 64,
    checkpoint="mlp.safetensors",
)


def under_headers(parts: list[RenderableType]) -> list[dict[str, str]]:
    """The first row of each table, by the headers of its columns."""
    tables = [part for part in parts if isinstance(part, Table)]
    return [
        {str(column.header): str(next(iter(column.cells))).strip() for column in table.columns}
        for table in tables
    ]


def test_a_training_has_a_row_for_each_epoch() -> None:
    parts = training_table(TRAINED)
    assert [*under_headers(parts)[0]] == [
        *("Epoch", "Train loss", "Test loss", "Test accuracy", "Time"),
    ]
    table = [row for row in rows(parts) if row and row[0].strip() in {"1", "2"}]
    assert [[cell.strip() for cell in row] for row in table] == [
        ["1", "0.5000", "0.2500", "91.00 %", "1.50 s"],
        ["2", "0.4000", "0.2000", "92.00 %", "1.25 s"],
    ]
    assert parts[-2] == (
        "Test accuracy 92.00 %, loss 0.2000, trained in 2.75 s "
        "on cpu (EPYC, 2 threads), torch 2.15, in fp32."
    )


def test_a_row_of_the_confusion_matrix_is_the_truth() -> None:
    matrix = ((5, 1, 0), (0, 3, 2), (0, 0, 4))
    record = {field.name: getattr(TRAINED, field.name) for field in fields(TRAINED)}
    result = EvalResult(
        **record,
        trained_on="mnist",
        trained_in=MACHINE,
        num_samples=15,
        per_class=per_class(matrix),
        confusion_matrix=matrix,
        sampling_error=0.12,
    )
    parts = evaluation_tables(result)
    by_class, confusion = cells(parts, "1")
    # Of 4 predicted as 1, three are right; of 5 that are 1, three were found.
    assert by_class == ["1", "75.00 %", "60.00 %", "66.67 %", "5"]
    assert confusion == ["1", ".", "3", "2"]
    assert [*under_headers(parts)[0]] == ["Class", "Precision", "Recall", "F1", "Images"]
    assert [*under_headers(parts)[1]] == ["Truth", "0", "1", "2"]
    assert result.per_class[0] == ClassResult(0, 1.0, 5 / 6, 10 / 11, 6)


def test_a_comparison_has_each_figure_in_its_column() -> None:
    result = comparison(
        network("a", GOOD, (2.0, 2.1, 2.0, 2.1, 2.2), parameters=900),
        network("b", BAD, 9.0, parameters=1000),
    )
    accuracy, cost = cells(comparison_tables(result), "a")
    assert accuracy[:4] == ["a", "98.04 ± 0.14 %", "5", "0.1000 ± 0.0000"]
    assert cost[:5] == ["a", "900 *", "0.06 M", "2.10 s (2.00-2.20) *", "142,857"]
    b = cells(comparison_tables(result), "b")[1]
    assert b[:4] == ["b", "1,000", "0.06 M", "9.00 s (9.00-9.00)"]
    accuracies, costs = under_headers(comparison_tables(result))
    assert [*accuracies] == ["Network", "Accuracy", "n", "Loss", "axis 94 to 99 %"]
    assert costs == {
        "Network": "a",
        "Parameters": "900 *",
        "Mult-adds": "0.06 M",
        "Median time (min-max)": "2.10 s (2.00-2.20) *",
        "Images/s": "142,857",
        "": "██▍",
    }
    once = comparison(network("a", GOOD[:1]), seeds=1)
    accuracies, costs = under_headers(comparison_tables(once))
    assert accuracies == {
        "Network": "a",
        "Accuracy": "98.00 %",
        "n": "1",
        "Loss": "0.1000",
        "axis 98 to 99 %": "●",
    }
    assert costs["Time"] == "2.00 s"
    twice = comparison(network("a", GOOD[:2], (2.0, 2.5)), seeds=2)
    times = under_headers(comparison_tables(twice))[1]["Median time (min-max)"]
    assert times == "2.25 s (2.00-2.50)"


def test_the_scale_of_accuracies_ends_at_what_is_possible() -> None:
    result = comparison(network("a", (0.5, 0.99)), network("b", (0.01, 0.5)), seeds=2)
    accuracies, _ = under_headers(comparison_tables(result))
    bar = accuracies["axis 0 to 100 %"]
    assert bar.startswith("├") and bar.endswith("┤")


@pytest.mark.parametrize(
    ("p", "doubt"), [(0.0499, ""), (0.05, ", not distinguishable from no change")]
)
def test_a_change_is_distinguishable_below_five_percent(p: float, doubt: str) -> None:
    result = since(comparison(network("a", GOOD)), {"a": dict(enumerate(BAD))})
    assert result.baseline
    [change] = result.baseline.changes
    baseline = replace(result.baseline, changes=(replace(change, adjusted_p=p),))
    line = phrases.findings(replace(result, baseline=baseline))[1]
    assert line.endswith(f"paired by seed, n = 5{doubt}")


def test_a_bar_is_that_of_a_network_that_has_a_time() -> None:
    yes, no = (True,) * 5, (True,) * 4 + (False,)
    result = comparison(
        network("a", GOOD, 2.0, reached=yes), network("b", GOOD, 9.0, reached=no), target=0.9
    )
    [table] = [part for part in comparison_tables(result) if isinstance(part, Table)]
    assert [*table.columns[-1].cells] == ["████", ""]
    shared = [network(name, GOOD, runs_at_once=(2,)) for name in "ab"]
    headers = under_headers(comparison_tables(comparison(*shared)))[1]
    assert "" not in headers and headers["Median time (min-max)"] == "-"


def test_a_summary_counts_layers_and_bytes() -> None:
    layers = [
        LayerSummary(kind, kind, (64, 10), parameters, 0)
        for kind, parameters in (("Conv2d", 10), ("ReLU", 0), ("Linear", 20), ("Linear", 5))
    ]
    sizes = (0.2, 2.41, 0.02, 2.63)
    models = [ModelSummary("cnn", 64, 30, 35, 5_970_000, *sizes, tuple(layers))] * 2
    assert under_headers(summary_table(SummaryResult(tuple(models)))) == [
        {
            "Network": "cnn",
            "Layers": "1 Conv2d, 2 Linear",
            "Parameters": "30 of 35",
            "Mult-adds": "5.97 M",
            "Weights": "0.02 MB",
            "Total": "2.63 MB",
        }
    ]


def test_with_a_target_those_that_arrived_come_first_by_time() -> None:
    yes = (True,) * 5
    result = comparison(
        network("slow", GOOD, 8.0, epochs=4, reached=yes),
        network("never", BAD, 1.0, reached=(False,) * 5),
        network("quick", GOOD, 2.0, epochs=2, reached=yes),
        target=0.97,
    )
    names = [row[0] for row in rows(comparison_tables(result)) if row and "/5" in "".join(row)]
    assert names[:3] == ["quick", "slow", "never"]
    assert cells(comparison_tables(result), "quick")[0][1:5] == [
        "5/5",
        "2.00 s (2.00-2.00)",
        "2",
        "1,000",
    ]
    assert cells(comparison_tables(result), "never")[0][1:4] == ["0/5", "-", "-"]
    [headers] = under_headers(comparison_tables(result))
    assert [*headers] == [
        *("Network", "Reached", "Median time (min-max)"),
        *("Epochs", "Parameters", "Mult-adds", ""),
    ]


def test_where_every_network_failed_names_are_whole_and_nothing_is_starred() -> None:
    result = comparison(network(LONG, (), parameters=None, failure="no luck"), seeds=1)
    text = "\n".join(" ".join(row) for row in rows(comparison_tables(result), width=120))
    assert text.count(LONG) >= 2
    assert "*" not in text


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_of_a_table_is_wider_than_the_terminal(width: int) -> None:
    result = comparison(network("größe_網路", GOOD), network(LONG, BAD), network("mlp", GOOD))
    output = io.StringIO()
    console = Console(file=output, width=width)
    for part in comparison_tables(result):
        if not isinstance(part, str):
            console.print(part)
    assert all(len(line) <= width for line in output.getvalue().splitlines())
    assert "98.04 ± 0.14 %" in output.getvalue()


def test_in_ascii_columns_are_as_wide_as_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="mnist-cli.readable")
    monkeypatch.setattr("sys.stdout", stream)
    table = layout.table("Network", "Accuracy")
    table.add_row("größe", "98.04 ± 0.14 %")
    table.add_row("mlp", "98.04 %")
    Console(file=stream, width=80).print(table)
    stream.flush()
    shown = stream.buffer.getvalue().decode("ascii").splitlines()[-2:]
    assert shown[0].startswith("gr\\xf6\\xdfe")
    assert "98.04 +/- 0.14 %" in shown[0]
    assert len(shown[0].rstrip()) == len(shown[1].rstrip())


def judged(
    only_first: int,
    only_second: int,
    better: str | None,
    pairs: int = 1,
    bounds: tuple[float, float] = (0.001, 0.003),
) -> list[RenderableType]:
    pair = Disagreement(
        *("a", "b", only_first, only_second, (only_first - only_second) / 10_000),
        *(*bounds, 0.95, 0.004, better),
    )
    one = EvaluatedCheckpoint("a", "mlp", 3, 25_450, 30_000, 0.97, 0.1, 0.003)
    result = CheckpointComparison(DATASET, MACHINE, (one,), (pair,) * pairs, ())
    return checkpoint_tables(result, None)


def test_checkpoints_and_their_disagreements() -> None:
    parts = judged(30, 10, "a")
    assert cells(parts, "a") == [["a", "mlp", "3", "25,450 of 30,000", "97.00 %", "0.1000"]]
    assert [*under_headers(parts)[0]] == [
        *("Checkpoint", "Network", "Seed", "Params", "Accuracy", "Loss"),
    ]
    assert parts[2] == (
        "a beats b by 0.20 points (0.10 to 0.30, p = 0.004): a alone is right on 30 images, b "
        "alone on 10 images"
    )
    # The interval of a second that is better is told from its smaller end as well.
    assert str(judged(10, 30, "b", bounds=(-0.003, -0.001))[2]).startswith(
        "b beats a by 0.20 points (0.10 to 0.30, p = 0.004): "
    )
    assert "McNemar tests on these images. Neither" in str(parts[3])
    assert "on these images, Bonferroni-adjusted for 3 pairs. Neither" in str(
        judged(30, 10, "a", 3)[5]
    )
    assert str(judged(1, 2, None)[2]) == (
        "a and b are not distinguishable (p = 0.004): a alone is right on 1 image, b alone on 2 "
        "images"
    )


@pytest.mark.parametrize("target", [None, 0.97])
@pytest.mark.parametrize("swapped", [False, True])
def test_a_difference_has_the_sign_of_the_chart_beside_it(
    target: float | None, swapped: bool
) -> None:
    spread = np.array([-0.02, 0.03, 0.01, -0.01, 0.03])
    first, second = "ba" if swapped else "ab"
    rows = {
        "a": network("a", GOOD, (2.0 - 20 * spread).tolist(), epochs=1, reached=(True,) * 5),
        "b": network("b", (np.array(GOOD) - spread).tolist(), 2.0, epochs=1, reached=(True,) * 5),
    }
    result = comparison(rows[first], rows[second], target=target)
    figure: Any = Figure()
    draw_differences(figure, result.verdicts)
    [mean] = figure.axes[0].containers[0].lines[0].get_xdata()
    [line] = phrases.verdicts(result)[1:]
    # By accuracy and by time, a is ahead.
    assert (mean > 0) == (first == "a")
    amount = f"{mean:+.2f}" if target is None else f"{mean:+.3f}"
    names = f"{first} - {second}" if target is None else f"{second} - {first}"
    assert f"{first} and {second} are not distinguishable with n = 5 ({names}: {amount} ± " in line


def test_captions() -> None:
    assert caption(ShownImage(5, 7)) == "7"
    assert caption(ShownImage(5, 7, 7)) == "7, predicted 7"
    assert caption(ShownImage(5, 7, 1)) == "7, predicted 1 (wrong)"
    assert disputed_caption(DisputedImage(5, 7, (7, 1))) == "7: 7, 1"


# Exports


def result_of_two() -> CompareResult:
    return comparison(network("a_b|c", GOOD[:2]), network("mlp", BAD[:2], 3.0), seeds=2)


def test_the_csv_has_every_field_of_every_run() -> None:
    table = list(csv.DictReader(io.StringIO(export.to_csv(result_of_two()))))
    assert [(row["model"], row["seed"], row["test_accuracy"]) for row in table] == [
        ("a_b|c", "0", "0.98"),
        ("a_b|c", "1", "0.981"),
        ("mlp", "0", "0.95"),
        ("mlp", "1", "0.952"),
    ]
    expected = {"model", "parameters", "total_parameters", "mult_adds", "precision", "target"}
    expected |= {"looks", "settled"}
    expected |= {field.name for field in fields(Run)} - {"history", "mistakes"}
    for prefix, kind in (("protocol", Protocol), ("dataset", DatasetInfo)):
        expected |= {f"{prefix}_{field.name}" for field in fields(kind)}
    expected -= {"dataset_classes", "dataset_class_sizes"}
    expected |= {f"environment_{field.name}" for field in fields(MACHINE)}
    assert table[0].keys() == expected
    assert export.to_csv(comparison(network("a", ()), seeds=1)) == ""


def test_markdown_is_the_same_whatever_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = export.to_markdown(result_of_two())
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert export.to_markdown(result_of_two()) == plain
    assert "| a\\_b\\|c | 98.05 ± 0.64 % | 2 |" in plain
    assert "± is the 95 % t-interval over seeds. \\* Pareto-optimal" in plain


def test_in_markdown_a_time_is_that_of_networks_which_always_arrive() -> None:
    result = comparison(
        network("always", GOOD, 2.0, reached=(True,) * 5),
        network("some", GOOD, 3.0, reached=(True, True, False, True, True)),
        target=0.97,
    )
    rows = [line.split(" | ") for line in export.to_markdown(result).splitlines()]
    times = {row[0]: row[6] for row in rows if len(row) == 10}
    assert times == {
        "| network": "median time (min-max)",
        "| ---": "---:",
        "| always": "2.00 s (2.00-2.00)",
        "| some": "-",
    }


ONE = network("a", GOOD[:1], parameters=900)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (
            comparison(network("a", GOOD, (2.0, 2.1, 2.0, 2.1, 2.2), parameters=900)),
            "a | 98.04 ± 0.14 % | 5 | 0.1000 ± 0.0000 | 2.10 s (2.00-2.20) | 142,857 | 900",
        ),
        (comparison(ONE, seeds=1), "a | 98.00 % | 1 | 0.1000 | 2.00 s | 150,000 | 900"),
        (
            comparison(network("a", GOOD[:1], reached=(True,)), seeds=1, target=0.9),
            "a | 98.00 % | 1 | 0.1000 | 1/1 | 5 | 2.00 s | 150,000 | 1,000",
        ),
        (
            comparison(network("a", GOOD[:1], failure="no luck"), seeds=2, target=0.9),
            "a | failed | 1 | - | failed | - | - | - | 1,000",
        ),
    ],
)
def test_markdown_has_each_figure_in_its_column(result: CompareResult, expected: str) -> None:
    lines = export.to_markdown(result).splitlines()
    [headers] = [line for line in lines if line.startswith("| network | accuracy")]
    reached = " | reached | epochs" if result.target is not None else ""
    time = "median time (min-max)" if len(result.seeds) > 1 else "time"
    assert headers == (
        f"| network | accuracy | n | loss{reached} | {time} | images/s | parameters | mult-adds |"
    )
    assert f"| {expected} | 0.06 M |" in lines
    assert "| a | 0 | 5 | 98.00 % | 0.1000 | 2.00 s |" in lines
    assert lines[lines.index(headers) + 1].count("|") == headers.count("|")


def test_latex_is_a_table_whose_names_are_text() -> None:
    names = (r"a_b\c{d}$&#^~%<>|[" + '"', "größe")
    result = comparison(network(names[0], GOOD), network(names[1], BAD, 3.0))
    text = export.to_latex(result)
    lines = [line.strip() for line in text.splitlines()]
    assert r"\usepackage{booktabs}" in lines[0] and lines[0].startswith("% ")
    rules = [lines.index(rf"\{rule}rule") for rule in ("top", "mid", "bottom")]
    assert rules == sorted(rules)
    head, first, second = (line for line in lines if line.endswith(r"\\"))
    escaped = (
        r"a\_b\textbackslash{}c\{d\}\$\&\#\textasciicircum{}\textasciitilde{}\%"
        r"\textless{}\textgreater{}\textbar{}{[}''"
    )
    assert first.startswith(escaped + r" & 98.04 $\pm$ 0.14 \% & 5 & 0.1000 $\pm$ 0.0000 & ")
    assert second.startswith(r"größe & 95.04 $\pm$ 0.14 \% & 5 & ")
    columns = text.partition(r"\begin{tabular}{")[2].partition("}")[0]
    assert {line.replace(r"\&", "").count(" & ") + 1 for line in (head, first, second)} == {8}
    assert columns == "l" + "r" * 7
    # Environments and braces are closed, and findings, which others may word, are comments.
    for opened in ("table", "tabular"):
        assert text.count(rf"\begin{{{opened}}}") == text.count(rf"\end{{{opened}}}") == 1
    bare = text.replace(r"\{", "").replace(r"\}", "").replace("{d}", "")
    assert bare.count("{") == bare.count("}")
    assert [line for line in lines if "beats" in line and not line.startswith("% ")] == []


def test_a_reason_of_two_lines_stays_a_comment_in_latex() -> None:
    text = export.to_latex(comparison(network("a", (), parameters=None, failure="no\n\\luck")))
    [line] = [line for line in text.splitlines() if "luck" in line]
    assert text.splitlines()[1] == "% a failed: there is nothing to rank."
    assert line == r"% a failed: no \luck"


def test_json_is_one_document() -> None:
    document = json.loads(json_document(result_of_two()))
    assert [model["model"] for model in document["models"]] == ["a_b|c", "mlp"]


def test_a_plot_of_odd_results_is_drawn(tmp_path: Path) -> None:
    odd = comparison(
        network(LONG, (0.1, 0.99), 2.0),
        network("failed", BAD[:1], failure="no luck"),
        network("none", (), parameters=None, failure="no luck"),
        network("one", GOOD[:2], 2.0),
        seeds=2,
    )
    for suffix, magic in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        path = tmp_path / f"plot.{suffix}"
        plot_comparison(path, odd)
        assert path.read_bytes().startswith(magic)
    result = comparison(learned(network("mlp", GOOD), [3, 4], [3, 4]), network("old", BAD))
    plot_comparison(tmp_path / "curves.svg", result)
    drawn = (tmp_path / "curves.svg").read_text(encoding="utf-8")
    for words, curves in (("test loss (nats)", 1), ("training time (s)", 2)):
        assert drawn.count(f"<!-- {words} -->") == 1
        assert (tmp_path / "plot.svg").read_text(encoding="utf-8").count(f"<!-- {words} -->") == (
            curves - 1
        )
    assert np.char.find((tmp_path / "plot.svg").read_text(encoding="utf-8"), "<svg") > 0
