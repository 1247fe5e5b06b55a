"""What is written as JSON is read back as it was, or refused."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from typing import Any

import pytest

from mnist_cli.comparison.analysis import analyse
from mnist_cli.comparison.journal import RunEntry, SeedsEntry
from mnist_cli.schema.comparison import CompareResult, Estimate, ModelRuns, Run, Settling
from mnist_cli.schema.datasets import DatasetInfo
from mnist_cli.schema.protocol import Protocol, Recipe, Schedule
from mnist_cli.schema.record import MOST, check_seal, from_json, seal, to_json
from mnist_cli.schema.results import Environment
from tests.made_up import comparison, network, resealed

RUN = Run(3, 2, 0.975, 0.08, 1.25, None)
PROTOCOL = Protocol(recipe=Recipe.FAST, schedule=Schedule.ONE_CYCLE, lr=0.02, warmup=0.3)
RESULT = CompareResult(
    schema_version=2,
    dataset=DatasetInfo("mnist5k", 4000, 1000, "0" * 64, "a note"),
    environment=Environment("cpu", "p", 2, "AVX2", "2.15", "3.11", "os", "0.1"),
    seeds=(3, 4),
    target=None,
    journal=None,
    models=(
        ModelRuns("mlp", 25_450, 25_450, 1_628_800, PROTOCOL, "fp32", (RUN,), "seed 4: no luck"),
    ),
)


def changed(path: str, value: Any) -> str:
    """RESULT as JSON with another value at a path such as `models.0.parameters`."""
    document = asdict(RESULT)
    place: Any = document
    *parents, last = path.split(".")
    for key in parents:
        place = place[int(key)] if isinstance(place, tuple | list) else place[key]
    place[last] = value
    return json.dumps(document)


def test_everything_comes_back_as_it_was() -> None:
    again = from_json(CompareResult, to_json(RESULT))
    assert again == RESULT
    assert again.models[0].protocol.schedule is Schedule.ONE_CYCLE
    assert isinstance(again.seeds, tuple)


def test_a_field_of_a_newer_version_is_passed_over() -> None:
    assert from_json(CompareResult, changed("models.0.colour", "red")) == RESULT


def test_a_seal_is_that_of_the_text_whatever_version_wrote_it() -> None:
    whole = asdict(seal(RESULT))
    check_seal(to_json(seal(RESULT), indent=2))
    del whole["seeds_changed"]  # as an older version has it
    for document in (whole, whole | {"colour": "red"}):
        text = resealed(document)
        check_seal(text)
        from_json(CompareResult, text)
        with pytest.raises(ValueError, match="checksum is another one"):
            check_seal(text.replace("0.975", "0.976"))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema_version", 3, "schema_version: Input should be 2"),
        ("seeds", [], "seeds: "),
        ("target", 1.5, "target: "),
        ("models.0.parameters", "25450", "models.0.parameters: Input should be a valid integer"),
        ("models.0.parameters", True, "models.0.parameters: "),
        ("models.0.protocol.epochs", 0, "models.0.protocol.epochs: "),
        ("models.0.protocol.recipe", "slow", "models.0.protocol.recipe: "),
        ("models.0.runs.0.test_accuracy", 1.01, "models.0.runs.0.test_accuracy: "),
        ("models.0.runs.0.test_loss", float("nan"), "models.0.runs.0.test_loss: "),
        ("models.0.runs.0.train_seconds", 0, "models.0.runs.0.train_seconds: "),
        ("models.0.runs.0.seed", -1, "models.0.runs.0.seed: "),
        ("models.0.runs.0.seed", 10**400, "models.0.runs.0.seed: "),
        ("models.0.runs.0.epochs", 2**63, "models.0.runs.0.epochs: "),
        ("models.0.runs.0.test_loss", 1e308, "models.0.runs.0.test_loss: "),
        ("models.0.runs.0.train_seconds", 1e-300, "models.0.runs.0.train_seconds: "),
        ("models.0.runs.0.cpu_seconds", 1e308, "models.0.runs.0.cpu_seconds: "),
        ("models.0.runs", [asdict(RUN)] * 2001, "models.0.runs: "),
        ("models.0.parameters", 10**400, "models.0.parameters: "),
        ("models.0.model", "", "models.0.model: "),
        ("models.0.model", "n" * 10**6, "models.0.model: "),
        ("models.0.protocol.epochs", 10**400, "models.0.protocol.epochs: "),
        ("models.0.protocol.lr", 1e308, "models.0.protocol.lr: "),
        ("models", [], "models: "),
        ("models", [asdict(RESULT)["models"][0]] * 257, "models: "),
        ("seeds", list(range(2001)), "seeds: "),
        ("dataset.num_test", 100_001, "dataset.num_test: "),
        ("dataset.num_test", 0, "dataset.num_test: "),
        ("dataset.num_test", 3_000_000_000, "dataset.num_test: "),
        ("dataset.num_train", 10**400, "dataset.num_train: "),
        ("environment.threads", 10**400, "environment.threads: "),
        ("settling", {"max_seeds": 10**400}, "settling.max_seeds: "),
        ("settling", {"max_seeds": 40, "looks": [0]}, "settling.looks.0: "),
        ("settling", {"max_seeds": 40, "looks": [4] * 100_000}, "settling.looks: "),
        ("narrowed_from", -1, "narrowed_from: "),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_place(
    path: str, value: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        from_json(CompareResult, changed(path, value))
    assert "\n" not in str(caught.value)


def test_the_largest_figures_that_are_taken_can_be_analysed() -> None:
    """So no file of others makes a traceback of them."""
    runs = tuple(
        replace(RUN, seed=seed, epochs=MOST, test_loss=loss, train_seconds=seconds)
        for seed, (loss, seconds) in enumerate(((1e99, 1e-9), (-1e99, 1e12), (0.0, 1e-9)))
    )
    row = replace(RESULT.models[0], runs=runs, failure=None, parameters=MOST, mult_adds=MOST)
    for settling in (None, Settling(2000, looks=(2,)), Settling(4, looks=(2000,))):
        rows = (row, replace(row, model="cnn", runs=runs[::-1]))
        result = replace(RESULT, models=rows, seeds=(0, 1, 2, MOST), settling=settling)
        again = from_json(CompareResult, to_json(result))
        to_json(analyse(again))


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "[" * 99_999, b"\xff", "1e999"])
def test_what_is_no_such_document_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"Input should be|Invalid JSON"):
        from_json(CompareResult, text)


@pytest.mark.parametrize("layout", ["jq .", "jq -c .", "jq -S .", "python -m json.tool"])
def test_a_seal_holds_for_the_same_figures_in_another_layout(layout: str) -> None:
    rows = network("é", (0.1 + 0.2, 1.0), seconds=(1e-05, 1e16)), network("cnn", (0.95, 0.9))
    whole = to_json(seal(comparison(*rows, seeds=2)), indent=2)
    if layout.startswith("jq") and not shutil.which("jq"):
        pytest.skip("jq is not installed")
    command = layout.replace("python", sys.executable).split()
    again = subprocess.run(command, input=whole, capture_output=True, text=True, check=True).stdout
    assert again != whole
    for text in (again, re.sub(r": 1\.0\b", ": 1", again), again.replace("1e-05", "0.00001")):
        check_seal(text)
    for figure, other in (("0.95", "0.96"), ("0.95", "0.9500000000000001"), ("1000", "1001")):
        assert figure in again
        with pytest.raises(ValueError, match="it was changed"):
            check_seal(again.replace(figure, other, 1))


def test_a_number_that_json_does_not_have_is_not_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(Estimate(float("inf"), None, 1, 0.95))


def test_the_lines_of_a_journal_are_told_apart() -> None:
    kinds: Any = RunEntry | SeedsEntry
    entry = RunEntry("mlp", RUN)
    assert from_json(kinds, to_json(entry)) == entry
    assert from_json(kinds, '{"seeds": [3], "finished": true}') == SeedsEntry((3,), finished=True)
    for line in ('{"model": "mlp"}', "{}", '{"finished": false}'):
        with pytest.raises(ValueError, match="required"):
            from_json(kinds, line)
    assert replace(entry, model="cnn") != entry


def test_the_schema_is_printed_and_describes_what_needs_it() -> None:
    command = [sys.executable, "-m", "mnist_cli.schema"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    schema = json.loads(output)
    assert schema["$defs"]["Run"]["properties"]["test_loss"]["description"].endswith("in nats.")
    assert schema["$defs"]["Run"]["properties"]["test_accuracy"]["maximum"] == 1
    assert set(schema["required"]) == asdict(RESULT).keys()  # those with a default are written too
    for name, definition in schema["$defs"].items():
        assert "dict(" not in definition.get("description", ""), name


def test_a_seal_holds_for_the_fields_that_were_written() -> None:
    """An older version did not write the newest fields, and sealed what it wrote."""
    document = json.loads(to_json(seal(comparison(network("mlp", (0.95,))))))
    for run in document["models"][0]["runs"]:
        del run["host"]
    older = resealed(document)
    check_seal(older)
    assert from_json(CompareResult, older).models[0].runs[0].host == ""
    with pytest.raises(ValueError, match="it was changed"):
        check_seal(older.replace("0.95", "0.96", 1))
