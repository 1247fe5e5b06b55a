"""On the complete MNIST: each network within a band around the article's accuracy.

The folder is ../shared/data beside the project, or MNIST_CLI_FULL_DATA.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.conftest import RunCli

DATA = Path(os.environ.get("MNIST_CLI_FULL_DATA", Path(__file__).parents[2] / "shared" / "data"))

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not (DATA / "MNIST" / "raw").is_dir(), reason=f"no MNIST in {DATA}"),
]


@pytest.fixture(autouse=True)
def all_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    yield
    torch.set_num_threads(before)


ARTICLE = {"mlp": 0.9596, "tinycnn": 0.9796, "cnn": 0.9822, "strongcnn": 0.9909}


# The article and its repository differ by up to 0.7 points between single runs.
@pytest.mark.parametrize(("name", "article"), ARTICLE.items())
def test_five_epochs_reach_the_articles_accuracy(
    run_cli: RunCli, name: str, article: float
) -> None:
    outcome = run_cli("train", name, "--data-dir", DATA, "--json", "--quiet")
    assert outcome.code == 0
    result = outcome.json
    dataset = result["dataset"]
    assert (dataset["name"], dataset["num_train"], dataset["num_test"]) == ("mnist", 60000, 10000)
    assert dataset["note"] is None
    assert len(result["epochs"]) == 5
    assert abs(result["test_accuracy"] - article) < 0.01
    evaluated = run_cli("eval", f"{name}.safetensors", "--data-dir", DATA, "--json").json
    assert evaluated["test_accuracy"] == result["test_accuracy"]
    assert evaluated["test_loss"] == result["test_loss"]


def test_the_fast_recipe_reaches_the_articles_accuracy(run_cli: RunCli) -> None:
    outcome = run_cli("compare", "--recipe", "fast", "--data-dir", DATA, "--json", "--quiet")
    for model in outcome.json["models"]:
        accuracy = model["runs"][0]["test_accuracy"]
        assert accuracy > ARTICLE[model["model"]] - 0.001, model["model"]


def test_nothing_is_written_beside_the_data(run_cli: RunCli) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in DATA.rglob("*"))
    assert run_cli("show-samples", "--data-dir", DATA, "--count", 1).code == 0
    assert sorted((path, path.stat().st_mtime_ns) for path in DATA.rglob("*")) == before
