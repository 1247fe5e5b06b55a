"""The page of a comparison: each section of made-up results, and what a browser makes of it."""

import json
import os
import re
import shutil
import subprocess
import time
from base64 import b64decode
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from mnist_cli.cli import compare as command_line
from mnist_cli.cli.compare_networks import _show
from mnist_cli.errors import ExitCode, MnistCliError
from mnist_cli.report import phrases
from mnist_cli.report.command import repeating
from mnist_cli.report.html.document import page, write_report
from mnist_cli.report.html.wrong_images import _round, wrong_images
from mnist_cli.schema.comparison import CompareResult, Settling
from mnist_cli.schema.options import CompareOptions, ExportOptions
from mnist_cli.schema.results import Stage
from tests.conftest import RunCli, made_images
from tests.made_up import comparison, learned, network
from tests.test_reports import BAD, GOOD

IMAGES, LABELS = made_images(20)
STAGES = {
    "good": (
        Stage(("input",), (1, 28, 28)),
        *[Stage(("Conv2d 3×3", "BatchNorm2d"), (16, 28, 28), (3, 3), 2352)] * 9,
        Stage(("Linear",), (10,), (), 125_450),
    )
}
FAST = ("--epochs", 1, "--dataset", "mnist5k", "--quiet")
HOSTILE = "<script>alert(1)</script>&\"'.py:X"


def answers(*wrong: tuple[int, int]) -> list[int]:
    """Right answers but for some (image, answer)."""
    given: list[int] = LABELS.astype(int).tolist()
    for image, answer in wrong:
        given[image] = answer
    return given


def two(**options: Any) -> CompareResult:
    labels = LABELS.astype(int).tolist()
    good = learned(network("good", GOOD, 9.0, parameters=9000), labels, answers((4, 9)))
    bad = learned(
        network("bad", BAD, 1.0, parameters=900),
        labels,
        answers((4, 9), (7, 1), (17, 1)),
        answers((4, 7), (7, 1), (17, 1)),
    )
    return comparison(good, bad, num_test=20, **options)


class Document(HTMLParser):
    """The tags of a page with their attributes, and its text by the tag around it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip() and self.tags:
            self.texts.append((self.tags[-1][0], " ".join(data.split())))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


# The sections


def test_sections_come_in_the_order_of_the_questions() -> None:
    text = page(two(), IMAGES, "2026-11-24").replace("\N{NO-BREAK SPACE}", " ")
    titles = re.findall(r"<h[12][^>]*>(.*?)</h", text)
    assert titles == [
        "Which is better, and at what cost: good or bad?",
        *("What the runs say", "Accuracy", "Cost", "Learning curves", "Where they err"),
        "Every run",
    ]
    for sentence in (
        "mnist, 60,000 training and 20 test images",
        "5 epochs, batch size 64, Adam, learning rate 0.001, seeds 0 to 4",
        "Differences on these test images, paired by seed, 5 seeds, 95 % confidence interval "
        "if all seeds were decided on before any result was seen:",
        "<li>good beats bad by 3.00 ± 1.79 points</li>",
        "Trained on cpu (EPYC, 2 threads), torch 2.15, in fp32.",
        '<p class="kind">A comparison by mnist-cli, 2026-11-24</p>',
        "3 of 20 images wrong in a run, most often 7 taken for 1: 2 times in a run, 10 in all 5.",
        "In the mean of two runs, good alone is right on 2 images and bad alone on 0.",
        "mnist-cli compare good bad --precision fp32 --dataset mnist --device cpu --threads 2 "
        "--seeds 5</code>",
        "0" * 64,
    ):
        assert sentence in text, sentence


def test_headings_tables_and_pictures_are_told_to_a_screen_reader() -> None:
    document = Document(page(two(), IMAGES))
    levels = [int(tag[1]) for tag, _ in document.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))
    assert {tag for tag, _ in document.tags} >= {"header", "main", "section", "caption"}
    assert document.all("html") == [{"lang": "en"}]
    assert len(document.all("caption")) == len(document.all("table"))
    assert all(cell.get("scope") in {"row", "col"} for cell in document.all("th"))
    assert document.all("img") and all(image["alt"] for image in document.all("img"))
    identifiers = [attributes["id"] for _, attributes in document.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))


def test_names_and_reasons_of_others_are_escaped_and_nothing_is_loaded() -> None:
    result = comparison(
        learned(network(HOSTILE, GOOD), LABELS.tolist(), answers((4, 9))),
        network("failed", BAD[:1], failure="<img src=x onerror=alert(1)>"),
        num_test=20,
    )
    text = page(result, IMAGES)
    document = Document(text)
    assert not document.all("script")
    assert not any(name.startswith("on") for _, its in document.tags for name in its)
    assert not any("style" in attributes for _, attributes in document.tags)
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    sources = [str(its[key]) for _, its in document.tags for key in ("src", "href") if key in its]
    assert all(source.startswith("data:") for source in sources)
    drawn = [b64decode(source.partition("svg+xml;base64,")[2]) for source in sources]
    trees = [ElementTree.fromstring(svg) for svg in drawn if svg]
    tags = {element.tag.rpartition("}")[2] for tree in trees for element in tree.iter()}
    assert {"path", "text"} < tags and tags.isdisjoint({"script", "foreignObject", "image"})
    assert "url(" not in text and "@import" not in text
    [policy] = [m["content"] for m in document.all("meta") if "http-equiv" in m]
    assert policy and policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_images_are_those_that_most_runs_get_wrong() -> None:
    networks, [pair] = wrong_images(two(), IMAGES)
    good, bad = networks
    assert (good.names, good.runs, good.confusion[4][9]) == (["good"], 5, 5)
    assert good.sentence == (
        "1 of 20 images wrong in a run, most often 4 taken for 9: once in a run, 5 in all 5."
    )
    # Answers alternate: 4 is taken for 9 in three of five runs, for 7 in two.
    assert (bad.confusion[4][9], bad.confusion[4][7], bad.confusion[7][1]) == (3, 2, 10)
    assert [(image.label, image.answers) for image in bad.images] == [
        ("4", [(5, 5, "9")]),
        ("7", [(5, 5, "1")]),
        ("7", [(5, 5, "1")]),
    ]
    assert [(image.label, image.answers) for image in pair.images] == [
        ("7", [(0, 5, None), (5, 5, "1")])
    ] * 2
    assert pair.sentence.endswith("good alone is right on 2 images and bad alone on 0.")
    assert len({image.source for image in bad.images}) == 3


@pytest.mark.parametrize(
    ("accuracies", "seeds", "said"),
    [((0.9,), 1, "once."), ((0.9,) * 3, 3, "once in a run, 3 in all 3.")],
)
def test_errors_are_counted_by_run_and_in_all(
    accuracies: tuple[float, ...], seeds: int, said: str
) -> None:
    row = learned(network("a", accuracies), LABELS.tolist(), answers((4, 9)))
    [[only], _] = wrong_images(comparison(row, seeds=seeds, num_test=20), None)
    assert only.sentence.endswith(f"most often 4 taken for 9: {said}")
    assert sum(map(sum, only.confusion)) == len(accuracies)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (5.52, "5.5"), (9.94, "9.9"), (10, "10"), (67.72, "68"), (1234.5, "1,234")],
)
def test_a_mean_of_images_has_no_figures_that_say_nothing(count: float, text: str) -> None:
    assert _round(count) == text


def test_each_note_stands_under_the_table_that_it_explains() -> None:
    text = unescape(page(two(), IMAGES)).replace("\N{NO-BREAK SPACE}", " ")
    accuracy, cost = (text.partition(f"<h2>{title}</h2>")[2] for title in ("Accuracy", "Cost"))
    accuracy = accuracy.partition("<h2>")[0]
    cost = cost.partition("<h2>")[0]
    assert phrases.MEANS in accuracy
    assert phrases.MULT_ADDS not in accuracy and "Pareto" not in accuracy
    assert phrases.MULT_ADDS in cost and f"* {phrases.PARETO}" in cost
    assert "checksum" not in text


def test_a_report_has_the_day_of_its_journal(tmp_path: Path) -> None:
    journal = tmp_path / "a.jsonl"
    journal.touch()
    os.utime(journal, (1_000_000_000, 1_000_000_000))
    write_report(tmp_path / "a.html", replace(two(), journal=str(journal)), None)
    assert "mnist-cli, 2001-09-" in (tmp_path / "a.html").read_text(encoding="utf-8")
    journal.unlink()  # then it is the day on which the page is made
    write_report(tmp_path / "a.html", replace(two(), journal=str(journal)), None)
    today = time.strftime("%Y-%m-%d")
    assert f"mnist-cli, {today}" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_pairs_that_disagree_on_more_images_come_first() -> None:
    labels = LABELS.astype(int).tolist()
    rows = {"a": answers(), "b": answers((4, 9)), "c": answers((7, 1), (17, 1))}
    result = comparison(
        *(learned(network(name, GOOD), labels, its) for name, its in rows.items()), num_test=20
    )
    _, pairs = wrong_images(result, None)
    assert [pair.names for pair in pairs] == [["b", "c"], ["a", "c"], ["a", "b"]]


def test_without_the_images_or_the_epochs_it_says_so() -> None:
    text = page(two(), None)
    assert "the test images of mnist were not at hand" in text
    assert "image/png" not in text and "7 taken for 1" in text
    old = page(comparison(network("a", GOOD), network("b", BAD)), IMAGES)
    assert "No run here has kept its epochs." in old
    assert "No run here has kept its wrong answers." in old


def test_damaged_mistakes_are_one_line() -> None:
    result = two()
    run = replace(result.models[0].runs[0], mistakes="eA==")
    broken = replace(result, models=(replace(result.models[0], runs=(run,)),))
    with pytest.raises(MnistCliError, match="cannot draw the errors: the mistakes of a run are"):
        page(broken, IMAGES)


def test_every_kind_of_comparison_has_a_page() -> None:
    yes = (True,) * 5
    cases: dict[str, CompareResult] = {
        "How good is alone, at what cost?": comparison(network("alone", GOOD[:1]), seeds=1),
        "One seed cannot rank": comparison(network("a", GOOD[:1]), network("b", BAD[:1]), seeds=1),
        "c failed: no luck": comparison(
            network("a", GOOD), network("c", (), parameters=None, failure="no luck")
        ),
        "Which of 7 networks is better": comparison(*(network(f"n{i}", GOOD) for i in range(7))),
        "Which gets to 97 % first: a or b?": comparison(
            network("a", GOOD, reached=yes), network("b", BAD, 3.0, reached=yes), target=0.97
        ),
        "never reached 97 % within 5 epochs": comparison(
            network("b", BAD, reached=(False,) * 5), target=0.97
        ),
        "No times, as the runs shared their machine": comparison(
            network("a", GOOD, runs_at_once=(2,)), network("b", BAD, runs_at_once=(2,))
        ),
        "tested after 4, 5, 7 or 10 seeds": comparison(
            network("a", GOOD), network("b", BAD), settling=Settling(10), margin=0.002
        ),
    }
    for sentence, result in cases.items():
        assert sentence in page(result, IMAGES).replace("\N{NO-BREAK SPACE}", " "), sentence


# The command that repeats it


@pytest.mark.parametrize(
    "arguments",
    [
        ("mlp", "cnn", "--seeds", "5", "--precision", "fp32"),
        ("mlp", "nets.py:wide(hidden=64)", "--recipe", "fast", "--precision", "bf16"),
        ("cnn(hidden=4, channels=3)", "strongcnn(dropout=0)", "--recipe", "fast"),
        ("mlp", "--vary", "lr=0.001,0.00123456789"),
        ("mlp", "--seed", "7", "--target", "0.5"),
        ("cnn", "--vary", "lr=0.0005,0.001", "--vary", "precision=fp32,bf16", "--seed", "3"),
        ("mlp", "cnn", "--recipe", "fast", "--epochs", "3", "--precision", "fp32"),
        ("mlp", "cnn", "--seeds", "auto", "--max-seeds", "10", "--margin", "0.002"),
        ("mlp", "--vary", "recipe=article,fast", "--batch-size", "32", "--target", "0.9"),
    ],
)
def test_the_command_asks_for_the_same(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    asked = []

    def noted(options: Any, *_: Any, **__: Any) -> int:
        asked.append(options)
        return 0

    monkeypatch.setattr(command_line, "compare_networks", noted)
    run_cli("compare", *arguments, "--dataset", "mnist", "--device", "cpu", "--threads", 2)
    rows = [
        replace(
            network(entry.name, ()),
            protocol=entry.protocol,
            precision=str(entry.precision) if entry.precision != "auto" else None,
            network=entry.model.name,
            varied=entry.varied,
        )
        for entry in asked[0].entries
    ]
    options = asked[0]
    result = replace(
        comparison(
            *rows,
            target=options.target,
            margin=options.margin,
            settling=Settling(options.settle.max_seeds) if options.settle else None,
        ),
        seeds=tuple(range(options.seed, options.seed + (options.seeds or 4))),
    )
    import shlex

    [command] = repeating(result)
    run_cli(*shlex.split(command)[1:])
    assert asked[1] == asked[0]


def test_formats_that_auto_chose_are_left_to_it() -> None:
    first, second = network("mlp", GOOD), replace(network("cnn", GOOD), precision="bf16")
    assert "precision" not in repeating(comparison(first, second))[0]
    assert "--precision fp32" in repeating(comparison(first))[0]


def test_seeds_with_gaps_take_several_commands() -> None:
    rows = [replace(network(name, GOOD * 2), network=name) for name in ("a", "b")]
    result = replace(comparison(*rows), seeds=(0, 1, 2, 3, 4, 10, 11, 12, 13, 14, 20))
    assert phrases.headline(result)[1].endswith(", seeds 0 to 4, 10 to 14 and 20")
    *parts, last = repeating(result)
    assert [part.partition("--threads 2 ")[2] for part in parts] == [
        "--seed 0 --seeds 5 --export-json seeds-0-to-4.json",
        "--seed 10 --seeds 5 --export-json seeds-10-to-14.json",
        "--seed 20 --seeds 1 --export-json seeds-20-to-20.json",
    ]
    assert last == ("mnist-cli compare seeds-0-to-4.json seeds-10-to-14.json seeds-20-to-20.json")
    assert f"<code>{parts[0]}</code><code>{parts[1]}</code>" in page(result, None)
    two = replace(result, seeds=(0, 1, 10, 11))
    assert phrases.headline(two)[1].endswith(", seeds 0 to 1 and 10 to 11")


# The option


def test_a_finished_journal_makes_the_report_without_training(run_cli: RunCli) -> None:
    command = ("compare", "mlp", "--seeds", 2, "--journal", "runs.jsonl", *FAST[:-1])
    run_cli(*command)
    outcome = run_cli(*command, "--report", "a.html", "--export-json", "a.json")
    assert outcome.code == ExitCode.OK
    assert "nothing is left to train" in outcome.err
    text = Path("a.html").read_text(encoding="utf-8")
    [model] = json.loads(Path("a.json").read_text(encoding="utf-8"))["models"]
    for run in model["runs"]:
        assert f"<td>{run['test_accuracy'] * 100:.2f}\N{NO-BREAK SPACE}%</td>" in text
    assert text.count("image/png") == 12
    again = run_cli(*command, "--report", "a.html")
    assert again.code == ExitCode.OK
    assert run_cli(*command, "--report", "a.pdf").err == (
        "error: --report a.pdf must end in .html or .htm\n"
    )


def test_a_report_is_written_although_the_plot_fails() -> None:
    files = ExportOptions(plot=Path("no/plot.svg"), report=Path("a.html"))
    with pytest.raises(MnistCliError, match=r"^cannot write no/plot\.svg"):
        _show(two(), CompareOptions(files=files), json=False, quiet=True)
    assert "good beats bad" in Path("a.html").read_text(encoding="utf-8")


def test_a_report_is_not_in_the_way_of_other_failures(run_cli: RunCli) -> None:
    Path("broken.py").write_text("def broken():\n    raise ValueError('no luck')\n")
    outcome = run_cli("compare", "broken.py:broken", "--report", "a.html", *FAST)
    assert outcome.code == ExitCode.FAILURE
    assert "ValueError: no luck" in Path("a.html").read_text(encoding="utf-8")


# A browser

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--hide-scrollbars"),
)
with_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")


def browse(profile: Path, url: str, *flags: str) -> tuple[str, str]:
    """What a headless Chromium prints for a page, and its log."""
    done = subprocess.run(
        [str(BROWSER), *FLAGS, f"--user-data-dir={profile}", *flags, url],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=os.environ | {"HOME": str(profile)},
    )
    return done.stdout, done.stderr


MEASURE = """
<!doctype html><iframe id="page" src="a.html" width="{width}" height="3000"></iframe>
<p id="seen"></p>
<script>
window.onload = () => {
  const page = document.getElementById("page").contentDocument;
  const root = page.documentElement;
  const canvas = document.createElement("canvas")
    .getContext("2d", {willReadFrequently: true});
  const is_drawn = chart => {  // in the colour of the first or the second network
    canvas.canvas.width = 999, canvas.canvas.height = 999;
    canvas.drawImage(chart, 0, 0, 999, 999);
    const pixels = canvas.getImageData(0, 0, 999, 999).data;
    return pixels.some((red, i) => i % 4 == 0
      && (red == 0 && pixels[i + 1] == 114 || red == 213 && pixels[i + 1] == 94));
  };
  document.getElementById("seen").textContent = JSON.stringify({
    width: root.clientWidth, content: root.scrollWidth,
    images: [...page.images].filter(image => image.complete && image.naturalWidth === 28).length,
    charts: [...page.querySelectorAll(".chart")].filter(is_drawn).length,
    colour: getComputedStyle(page.body).color,
  });
};
</script>
"""


@with_browser
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_draws_all_of_it_at_each_width(tmp_path: Path, width: int) -> None:
    result = two()
    write_report(tmp_path / "a.html", result, IMAGES, STAGES)
    frame = MEASURE.replace("{width}", str(width))
    (tmp_path / "frame.html").write_text(frame, encoding="utf-8")
    dom, log = browse(
        tmp_path / "profile",
        (tmp_path / "frame.html").as_uri(),
        *("--dump-dom", "--allow-file-access-from-files", "--window-size=1400,3200"),
    )
    assert "CONSOLE" not in log, log
    seen = json.loads(re.findall(r'<p id="seen">(.*?)</p>', dom)[0])
    assert (seen["width"], seen["content"]) == (width, width)  # nothing is wider than the page
    assert seen["images"] == page(result, IMAGES).count("image/png") > 0
    assert seen["charts"] == 9
    assert seen["colour"] == "rgb(28, 32, 36)"  # the style was taken, so its hash is right


@with_browser
@pytest.mark.full  # it takes four seconds
def test_no_request_leaves_the_page_and_no_script_runs(tmp_path: Path) -> None:
    whole = page(comparison(network(HOSTILE, GOOD), network("b", BAD)), IMAGES)
    added = "<script>document.title = 'ran'</script><img src='http://127.0.0.1:9/leak.png'>"
    attacked = whole.replace("</main>", f"{added}</main>")
    without_policy = re.sub("<meta http-equiv.*>", "", attacked)
    seen = []
    for name, text in (("a", whole), ("b", attacked), ("c", without_policy)):
        file, net_log = tmp_path / f"{name}.html", tmp_path / f"{name}.json"
        file.write_text(text, encoding="utf-8")
        dom, log = browse(tmp_path / name, file.as_uri(), "--dump-dom", f"--log-net-log={net_log}")
        asked = "127.0.0.1:9/leak" in net_log.read_text(encoding="utf-8")
        seen.append((log.count("Content Security Policy"), "<title>ran" in dom, asked))
    assert seen == [(0, False, False), (2, False, False), (0, True, True)]
    assert "CONSOLE" not in browse(tmp_path / "a", (tmp_path / "a.html").as_uri(), "--dump-dom")[1]
