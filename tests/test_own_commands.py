"""All commands on a person's own images, whose classes have names and any number."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from sklearn.datasets import load_digits
from torch import nn

from mnist_cli.comparison.mistakes import decode, is_wrong
from mnist_cli.data.mnist5k import read_mnist5k
from mnist_cli.errors import ExitCode
from mnist_cli.networks.building import build, count_parameters
from mnist_cli.networks.registry import MODELS, resolve
from mnist_cli.report.command import repeating
from mnist_cli.schema.datasets import DatasetInfo
from tests.conftest import RunCli, write_files
from tests.made_up import comparison, network
from tests.own_images import made, write_folder, write_npz

NETS = """
from torch import nn

def takes(hidden=8, *, num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, hidden), nn.Linear(hidden, num_classes))

def placed(num_classes, hidden=8):
    return takes(hidden, num_classes=num_classes)

def fixed():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
"""
NAMES = np.array(["bee", "cat", "dog"])
FAST = ("--epochs", 1, "--threads", 1)


def write_pets(folder: str = "pets") -> Path:
    splits = {"train": made(60), "test": made(30, seed=1), "val": made(24, seed=2)}
    named = {name: (images, NAMES[labels]) for name, (images, labels) in splits.items()}
    return write_folder(Path(folder), **named)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_the_articles_networks_have_an_output_for_each_class(name: str, classes: int) -> None:
    usual, sized = build(resolve(name), 0), build(resolve(name), 0, classes)
    last = [module for module in usual.modules() if isinstance(module, nn.Linear)][-1]
    more = (classes - 10) * (last.in_features + 1)
    assert count_parameters(sized) - count_parameters(usual) == more


def test_a_custom_network_is_given_num_classes_where_it_takes_it(run_cli: RunCli) -> None:
    write_files({"nets.py": NETS})
    write_pets()
    names = ("nets.py:takes", "nets.py:placed", "nets.py:placed(3)", "nets.py:takes(4)")
    wrong = ("nets.py:fixed", "nets.py:placed(5)")
    outcome = run_cli("compare", *names, *wrong, "--dataset", "pets", *FAST, "--json")
    rows = {row["model"]: row for row in outcome.json["models"]}
    assert [name for name in rows if rows[name]["failure"]] == list(wrong)
    hint = "maps 2x1x28x28 images to (2, 10), not to (2, 3) logits; let it take an argument num_cl"
    assert hint in rows["nets.py:fixed"]["failure"]
    assert rows["nets.py:takes(4)"]["parameters"] == 784 * 4 + 4 + 4 * 3 + 3
    plain = run_cli("summary", "nets.py:takes", "--json").json["models"][0]
    assert plain["parameters"] == 784 * 8 + 8 + 8 * 10 + 10


def test_names_of_classes_are_in_every_table_and_file(run_cli: RunCli) -> None:
    pets = ("--dataset", write_pets())
    trained = run_cli("train", "tinycnn", *pets, "--epochs", 20, "--lr", 0.02, "--threads", 1)
    assert trained.code == ExitCode.OK, trained.err
    assert "notice: pets: 114 pictures of 28x28" in trained.err
    assert "pets/, 60 training and 30 test images" in trained.out
    evaluated = run_cli("eval", "tinycnn.safetensors", *pets)
    assert "which adds an uncertainty of ±" in evaluated.out
    assert "Truth  bee  cat  dog" in evaluated.out
    assert "dog     100.00 %  100.00 %  100.00 %      10" in evaluated.out
    exported = run_cli("export", "tinycnn.safetensors", *pets, "--output", "out.safetensors")
    assert exported.code == ExitCode.OK
    with safe_open("out.safetensors", "pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["classes"]) == ["bee", "cat", "dog"]
    assert "proportions kept" in metadata["preprocessing"]
    told = run_cli("predict", "tinycnn.safetensors", "pets/test/cat", "--json").json
    assert told["classes"] == ["bee", "cat", "dog"]
    assert {picture["prediction"] for picture in told["pictures"]} == {1}
    table = run_cli("predict", "tinycnn.safetensors", "pets/test/cat/1.png").out
    assert "Class" in table and "cat (" in table and "digit" not in table
    shown = run_cli(
        *("show-samples", *pets, "--checkpoint", "tinycnn.safetensors", "--label", "dog")
    )
    assert "dog, predicted dog" in shown.out and "cat" not in shown.out
    seen = run_cli("show-features", "tinycnn.safetensors", *pets, "--index", 13)
    assert "test image 13 of pets/ (a cat): predicts cat (" in seen.out
    assert "how many points cat loses" in seen.out
    picture = ("show-features", "tinycnn.safetensors", "pets/test/dog/11.png")
    followed = run_cli(*picture, "--json", "--output", "dog.svg").json
    assert (followed["prediction"], followed["classes"]) == (2, ["bee", "cat", "dog"])
    assert "predicts dog" in Path("dog.svg").read_text()
    unknown = run_cli("show-samples", *pets, "--label", "cow")
    assert unknown.err.endswith("error: --label is one of bee, cat, dog, not cow\n")


def test_a_checkpoint_opens_no_path_and_refuses_other_classes(run_cli: RunCli) -> None:
    run_cli("train", "mlp", "--dataset", write_pets(), *FAST)
    again = run_cli("eval", "mlp.safetensors")
    assert again.code == ExitCode.USAGE
    assert again.err == (
        "error: mlp.safetensors was trained on pets/: name it, or other images, with --dataset "
        "PATH\n"
    )
    digits = run_cli("eval", "mlp.safetensors", "--dataset", "mnist5k")
    assert digits.code == ExitCode.USAGE
    assert (
        "mnist5k has the class 0, but the checkpoint was trained on the classes of pets/: bee, "
        in (digits.err)
    )
    resumed = run_cli("train", "mlp", "--epochs", 2, "--resume", "mlp.safetensors", "--threads", 1)
    assert "with --dataset PATH" in resumed.err
    good = ("--dataset", "pets", "--resume", "mlp.safetensors", "--threads", 1)
    assert run_cli("train", "mlp", "--epochs", 2, *good).code == ExitCode.OK
    (Path("pets/train/bee/0.png")).unlink()
    changed = run_cli("train", "mlp", "--epochs", 3, *good)
    assert "was trained on other images called pets/; give them as they were" in changed.err


@pytest.mark.full  # it takes five seconds
def test_a_comparison_of_own_images_has_jobs_a_report_and_the_command_to_repeat_it(
    run_cli: RunCli,
) -> None:
    write_pets()
    command = ("compare", "mlp", "tinycnn", "--dataset", "pets", "--hold-out", "val", "--seeds", 2)
    files = ("--report", "a.html", "--export-csv", "a.csv", "--export-json", "a.json")
    outcome = run_cli(*command, *FAST, "--jobs", 2, *files)
    assert outcome.code == ExitCode.OK, outcome.err
    assert "pets/, 60 training and 24 validation images" in outcome.out
    assert "24 validation images are few: with 2 seeds, expect no verdict on" in outcome.err
    page = Path("a.html").read_text("utf-8")
    assert "--dataset pets/ --hold-out val" in page
    assert "data:image/png" in page and "taken for" in page
    for name in NAMES:
        assert f'<th scope="col">{name}</th>' in page and f'<th scope="row">{name}</th>' in page
    alone = run_cli(*command, *FAST, "--journal", "b.jsonl", "--json").json
    together = json.loads(Path("a.json").read_text("utf-8"))
    for one, other in zip(alone["models"], together["models"], strict=True):
        for run, same in zip(one["runs"], other["runs"], strict=True):
            assert (run["test_loss"], run["mistakes"]) == (same["test_loss"], same["mistakes"])


def test_classes_of_very_different_sizes_have_a_balanced_accuracy(run_cli: RunCli) -> None:
    images, labels = made(200, classes=2)
    kept = np.flatnonzero((labels == 0) | (np.arange(200) % 20 == 1))
    train = images[kept], NAMES[labels[kept]]
    write_folder(Path("few"), train=train, test=train)
    outcome = run_cli("compare", "mlp", "--dataset", "few", *FAST, "--lr", 1e-6)
    assert "the classes have 10 (cat) to 100 (bee) test images: balanced accuracy" in outcome.err
    assert "Balanced" in outcome.out
    told = run_cli("compare", "mlp", "--dataset", "few", *FAST, "--lr", 1e-6, "--json").json
    [run] = told["models"][0]["runs"]
    wrong = is_wrong(decode(run["mistakes"], 110, 2))
    recalls = [1 - wrong[train[1] == name].mean() for name in ("bee", "cat")]
    assert run["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    assert run["test_accuracy"] == pytest.approx(1 - wrong.mean())
    assert abs(run["balanced_accuracy"] - run["test_accuracy"]) > 0.01
    trained = run_cli("train", "mlp", "--dataset", "few", *FAST)
    assert "balanced accuracy" in trained.out
    assert told["models"][0]["figures"]["balanced_accuracy"]["mean"] == run["balanced_accuracy"]
    usual = run_cli("compare", "mlp", "tinycnn", "--dataset", "mnist5k", "--seeds", 2, *FAST)
    assert "alanced" not in usual.out + usual.err and "are few" not in usual.err


def test_the_command_that_repeats_a_comparison_converts_the_pictures_again() -> None:
    result = comparison(network("mlp", [0.9]), seeds=1)
    dataset = DatasetInfo("ours/", 30, 10, "", as_digits=True, hold_out=6)
    [line] = repeating(replace(result, dataset=dataset))
    assert "--dataset ours/ --as-digits --hold-out 6 " in line


def test_many_classes_have_a_list_of_errors_instead_of_a_matrix(run_cli: RunCli) -> None:
    train, test = made(120, classes=30), made(60, classes=30, seed=1)
    write_npz(Path("many.npz"), train=train, test=test)
    run_cli("train", "mlp", "--dataset", "many.npz", *FAST)
    evaluated = run_cli("eval", "mlp.safetensors", "--dataset", "many.npz")
    assert "The most frequent errors; --json has the confusion matrix." in evaluated.out
    assert "Truth  Predicted  Images" in evaluated.out
    compared = run_cli("compare", "mlp", "--dataset", "many.npz", *FAST, "--report", "a.html")
    assert compared.code == ExitCode.OK, compared.err
    assert Path("a.html").read_text("utf-8").count('<th scope="row">') < 30


@pytest.mark.full  # it takes four seconds
def test_a_class_judges_a_network_on_its_own_handwriting(run_cli: RunCli) -> None:
    run_cli("train", "cnn", "--dataset", "mnist5k", "--epochs", 5, "--threads", 1)
    _, (images, labels) = read_mnist5k()
    for number in range(0, 1000, 10):  # on paper: dark on light, with margins, in colour
        drawn = Image.fromarray(255 - images[number]).resize((84, 84)).convert("RGB")
        page = Image.new("RGB", (150, 120), "white")
        page.paste(drawn, (30, 20))
        path = Path("ours", str(labels[number]), f"{number}.jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        page.save(path)
    outcome = run_cli("eval", "cnn.safetensors", "--dataset", "ours/", "--as-digits", "--json")
    assert "100 pictures of 150x120, 100 dark on light (inverted), brought to" in outcome.err
    assert outcome.json["num_samples"] == 100  # no image was trained on
    assert outcome.json["test_accuracy"] > 0.85
    assert 0.04 < outcome.json["sampling_error"] < 0.1
    plain = run_cli("eval", "cnn.safetensors", "--dataset", "ours/", "--json")
    assert "give --as-digits" in plain.err
    assert plain.json["test_accuracy"] < 0.5


def test_mnist_as_own_images_gives_the_same_weights(run_cli: RunCli) -> None:
    (images, labels), (test_images, test_labels) = read_mnist5k()
    train, test = (images, labels), (test_images, test_labels)
    write_folder(Path("png"), train=train, test=test)
    write_npz(Path("keras.npz"), train=train, test=test)
    column = (test_images, test_labels[:, None].astype(np.int64))
    write_npz(
        Path("med.npz"), "{0}_images {0}_labels", train=(images, labels[:, None]), test=column
    )
    weights = {
        run_cli("train", "mlp", "--dataset", name, *FAST, "--json").json["tensors_sha256"]
        for name in ("mnist5k", "png", "keras.npz", "med.npz")
    }
    assert len(weights) == 1


@pytest.mark.parametrize("name", ["digits", "digits.npz"])
def test_the_digits_of_scikit_learn_go_through_all_commands(run_cli: RunCli, name: str) -> None:
    bunch = load_digits()
    images, labels = bunch.images[:600], bunch.target[:600]
    if name == "digits":
        grey = np.rint(images / 16 * 255).astype(np.uint8)
        write_folder(Path(name), all=(grey, labels))
    else:
        write_npz(Path(name), train=(images[:480], labels[:480]), test=(images[480:], labels[480:]))
    data = ("--dataset", name)
    trained = run_cli("train", "mlp", *data, "--epochs", 15, "--threads", 1)
    assert "600 pictures of 8x8, made 28x28 grey pixels" in trained.err
    assert ("values 0 to 16 as 0 to 255" in trained.err) == (name == "digits.npz")
    assert run_cli("eval", "mlp.safetensors", *data, "--json").json["test_accuracy"] > 0.8
    run_cli("train", "tinycnn", *data, *FAST)
    for command in (
        ("compare", "mlp", "cnn", *data, "--seeds", 2, *FAST),
        ("compare", "mlp.safetensors", "tinycnn.safetensors", *data, "--show-disagreements"),
        ("show-samples", *data, "--checkpoint", "mlp.safetensors"),
        ("show-samples", *data, "--output", "a.png"),
        ("export", "mlp.safetensors", *data, "--output", "a.pt2"),
    ):
        outcome = run_cli(*command)
        assert outcome.code == ExitCode.OK, outcome.err
