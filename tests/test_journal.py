"""Finished runs outlive whatever ends a comparison."""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from mnist_cli.comparison import journal
from mnist_cli.errors import ExitCode, MnistCliError, UsageError
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.events import Event, Notice
from tests.conftest import RunCli, run_process, start

FAST = ("--epochs", 1, "--dataset", "mnist5k")
CONDITIONS = {"networks": {"mlp": {"lr": 0.001}}, "target": None}
PATH = Path("runs.jsonl")


def run(seed: int) -> Run:
    return Run(seed, epochs=1, test_accuracy=0.9, test_loss=0.3, train_seconds=1.5 + seed)


def opened(
    path: Path | None = PATH, conditions: Any = CONDITIONS, seeds: Any = (0, 1), events: Any = None
) -> Any:
    on_event = print if events is None else events.append
    return journal.opened(path, conditions, seeds, on_event)


# The file


def test_runs_are_found_again() -> None:
    with opened() as book:
        assert book.runs == {}
        book.add_all([("mlp", run(0))])
        book.add_all([("mlp", run(1))])
    with opened() as book:
        assert book.runs == {("mlp", 0): run(0), ("mlp", 1): run(1)}


def test_a_run_is_on_the_disk_when_it_was_added(monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    with opened() as book:
        synced.clear()
        book.add_all([("mlp", run(0))])
        assert synced == [PATH.stat().st_size]


def test_an_unfinished_line_is_dropped_and_the_next_run_follows() -> None:
    with opened() as book:
        book.add_all([("mlp", run(0))])
    whole = PATH.read_bytes()
    for length in (1, 20, len(whole.splitlines()[1])):
        PATH.write_bytes(whole + whole.splitlines()[1][:length])
        with opened() as book:
            assert book.runs == {("mlp", 0): run(0)}
            book.add_all([("mlp", run(1))])
        with opened() as book:
            assert book.runs == {("mlp", 0): run(0), ("mlp", 1): run(1)}


def test_an_empty_file_becomes_a_journal() -> None:
    PATH.touch()
    with opened() as book:
        book.add_all([("mlp", run(0))])
    with opened() as book:
        assert book.runs == {("mlp", 0): run(0)}


def test_other_conditions_are_refused_and_named() -> None:
    with opened():
        pass
    before = PATH.read_bytes()
    other = {"networks": {"mlp": {"lr": 0.01}}, "target": None}
    with pytest.raises(UsageError, match=r"mlp lr 0\.001, now 0\.01"), opened(PATH, other):
        pass
    added = {"networks": {"mlp": {"lr": 0.001}, "cnn": {"lr": 1}}, "target": None}
    with (
        pytest.raises(UsageError, match=r"another comparison \(without cnn\)"),
        opened(PATH, added),
    ):
        pass
    assert PATH.read_bytes() == before


def test_more_seeds_are_no_other_conditions() -> None:
    with opened() as book:
        book.add_all([("mlp", run(0))])
    with opened(seeds=(0, 1, 2, 3)) as book:
        assert ("mlp", 0) in book.runs
        assert book.seeds_changed


@pytest.mark.parametrize(
    "content",
    [
        "model,seed\n",
        "{}\n",
        '{"format": 3}\n',
        "[]\n",
        "\0\0\n",
        "garbage",
        "[" * 9999,
        '{"format": "mnist-cli-journal-3", "seeds": [0], "conditions": {"networks": 5}}\n',
    ],
)
def test_what_is_no_journal_stays_as_it_is(content: str) -> None:
    PATH.write_text(content)
    with pytest.raises(MnistCliError, match="is not a journal of mnist-cli"), opened():
        pass
    assert PATH.read_text() == content


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ('"seed": 0', '"seed": "0"'),
        ('"seed": 0', '"seed": -1'),
        ('"test_accuracy": 0.9', '"test_accuracy": "x"'),
        ('"test_accuracy": 0.9', '"test_accuracy": 9'),
        ('"test_loss": 0.3', '"test_loss": NaN'),
        ('"train_seconds": 1.5', '"train_seconds": 0'),
        ('"train_seconds": 1.5, ', ""),
        ('"test_accuracy": 0.9', '"test_accuracy": 0.8'),
        ('"model": "mlp"', '"model": "cnn"'),
        ('"train_seconds": 1.5', f'"train_seconds": {10**400}'),
        ('"test_loss": 0.3', '"reached_target": "x", "test_loss": 0.3'),
        ('"model"', '"no model"'),
    ],
)
def test_a_damaged_line_is_named(part: str, other: str) -> None:
    with opened() as book:
        book.add_all([("mlp", run(0))])
        book.add_all([("mlp", run(1))])
    lines = PATH.read_text().splitlines()
    damaged = lines[1].replace(', "reached_target": null', "").replace(part, other)
    assert damaged != lines[1]
    PATH.write_text("\n".join([lines[0], damaged, lines[2], ""]))
    with pytest.raises(MnistCliError, match=r"line 2 of runs\.jsonl is damaged"), opened():
        pass
    assert sys.platform == "win32" or not list(Path().glob("*.lock"))


def test_a_second_process_is_refused() -> None:
    with opened() as book:
        book.add_all([("mlp", run(0))])
        with pytest.raises(MnistCliError, match="another process has runs"), opened():
            pass
    with opened():
        pass


# The state folder


def test_an_unfinished_comparison_is_continued_and_a_finished_one_is_not() -> None:
    with opened(None) as book:
        first = book.path
        book.add_all([("mlp", run(0))])
    with opened(None) as book:
        assert book.path == first
        assert book.runs == {("mlp", 0): run(0)}
        book.add_all([("mlp", run(1))])
    with opened(None) as book:  # all runs are there, but nobody has seen the result
        assert book.path == first
        book.finish()
    with opened(None) as book:
        assert book.path != first
        assert book.runs == {}


def test_locks_leave_nothing_behind() -> None:
    with opened(None) as book:
        book.finish()
    with opened(), opened(None) as book:
        folder = book.path.parent
        locks = list(folder.glob("*.lock"))
        assert sys.platform == "win32" or locks == [Path(f"{book.path}.lock")]
    if sys.platform != "win32":  # an open file cannot be removed there
        assert not list(folder.glob("*.lock"))
        assert not list(Path().glob("*.lock"))


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_is_locked_like_its_file() -> None:
    with opened():
        Path("link").symlink_to(PATH)
        with pytest.raises(MnistCliError, match="another process has link"), opened(Path("link")):
            pass


def test_others_have_their_own_journal() -> None:
    with opened(None) as book:
        book.add_all([("mlp", run(0))])
        with opened(None) as other:
            assert other.path != book.path
            assert other.runs == {}
    with opened(None, {"networks": {}, "target": 0.5}) as other:
        assert other.path != book.path


def test_other_seeds_of_a_finished_comparison_go_on_and_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with opened(None, seeds=range(3)) as book:
        book.add_all([("mlp", run(seed)) for seed in range(3)])
        book.finish()
        first = book.path
    assert not book.seeds_changed
    with opened(None, seeds=range(6)) as book:
        assert (book.path, len(book.runs), book.seeds_changed) == (first, 3, True)
    with opened(None, seeds=range(6)) as book:  # it was interrupted
        assert (book.path, book.seeds_changed) == (first, True)
        book.add_all([("mlp", run(seed)) for seed in range(3, 6)])
        book.finish()
    later = time.gmtime(time.time() + 3600)
    monkeypatch.setattr(time, "gmtime", lambda: later)
    with opened(None, seeds=range(6)) as book:  # the same seeds again, which were looked at before
        assert (book.path == first, len(book.runs), book.seeds_changed) == (False, 0, True)
    with opened(None, seeds=range(6)) as again:
        assert (again.path, again.seeds_changed) == (book.path, True)
    with opened(None, seeds=range(2)) as other:  # the newest one has it
        assert (other.path, other.seeds_changed) == (book.path, True)


@pytest.mark.parametrize(
    ("earlier", "now", "changed"),
    [
        ((0,), (0, 1, 2), False),  # one seed gives no verdict
        ((0, 1), (0, 1, 2), True),
        ((0, 1, 2), (0, 1), True),
        ((0, 1, 2), (0, 1, 2), False),
        ((0, 1, 2), (1000, 1001), False),  # fresh seeds
        ((0, 1, 2), (2, 3), True),
    ],
)
@pytest.mark.parametrize("path", [PATH, None])
def test_which_earlier_seeds_change_what_a_verdict_means(
    path: Path | None, earlier: Any, now: Any, changed: bool
) -> None:
    for _ in range(2):
        with opened(path, seeds=earlier) as book:
            assert not book.seeds_changed
            book.finish()
    for _ in range(2):
        with opened(path, seeds=now) as book:
            assert book.seeds_changed == changed
            book.finish()


def test_seeds_that_are_asked_for_again_are_those_of_now() -> None:
    for seeds, changed in (((0, 1), False), ((0, 1, 2), True), ((0, 1), True), ((0, 1), True)):
        with opened(seeds=seeds) as book:
            assert (list(book.requests)[-1], book.seeds_changed) == (seeds, changed)
    assert PATH.read_bytes().count(b"\n") == 3


def test_seeds_of_now_are_the_last_even_if_other_journals_had_them() -> None:
    header = journal.Header(journal.FORMAT, (0, 1), CONDITIONS)
    book = journal.Journal(None, header, [(0, 1), (0, 1, 2)])
    assert list(book.requests) == [(0, 1, 2), (0, 1)]


def kind(*names: str, lr: float = 0.1, number: str = "fixed") -> Any:
    networks = {name: {"lr": lr, "precision": "fp32"} for name in names}
    return {"networks": networks, "dataset": {"sha256": "0"}, "number of seeds": number}


@pytest.mark.parametrize("path", [PATH, None])
@pytest.mark.parametrize("number", ["fixed", "until settled from 0 on"])
def test_a_comparison_that_was_narrowed_knows_from_how_many(path: Path | None, number: str) -> None:
    with opened(None, kind("a", "b", "c", number=number), seeds=range(3)) as book:
        book.add_all([(name, run(seed)) for name in "abc" for seed in range(3)])
        book.finish()
    assert book.narrowed_from is None
    for names, seeds, lr, wanted in (
        ("ab", range(3), 0.1, 3),
        ("ca", range(1, 9), 0.1, 3),
        ("ab", range(2, 9), 0.1, None),  # one common seed
        ("ab", range(1000, 1003), 0.1, None),
        ("ab", range(3), 0.2, None),
        ("a", range(3), 0.1, None),
        ("ad", range(3), 0.1, None),
        ("abc", range(3), 0.1, None),
    ):
        with opened(path, kind(*names, lr=lr), seeds=seeds) as book:
            assert book.narrowed_from == wanted, names
        PATH.unlink(missing_ok=True)
    with opened(None, kind("a", "b", "c", "d", number=number), seeds=range(3)) as book:
        book.add_all([(name, run(seed)) for name in "abcd" for seed in range(3)])
    for names, largest in (("ab", 4), ("ad", 4)):
        with opened(path, kind(*names), seeds=range(3)) as book:
            assert book.narrowed_from == largest
        PATH.unlink(missing_ok=True)


def test_nothing_was_narrowed_where_the_others_never_ran() -> None:
    with opened(None, kind("a", "b", "c"), seeds=range(3)) as book:
        book.add_all([(name, run(seed)) for name in "ab" for seed in range(3)])
        book.add_all([("c", run(0))])
    with opened(None, kind("a", "b"), seeds=range(3)) as book:
        assert book.narrowed_from is None


@pytest.mark.parametrize("change", ["removed", "emptied", "line removed"])
def test_a_journal_that_is_lost_meanwhile_is_written_whole(change: str) -> None:
    with opened() as book:
        book.add_all([("mlp", run(0))])
        whole = PATH.read_bytes()
        if change == "removed":
            PATH.unlink()
        elif change == "emptied":
            PATH.write_bytes(b"")
        else:
            PATH.write_bytes(whole.splitlines(keepends=True)[0])
        book.add_all([("mlp", run(1))])
        assert PATH.read_bytes().startswith(whole)
        PATH.unlink()
        book.finish()
    with opened() as book:
        assert book.runs.keys() == {("mlp", 0), ("mlp", 1)}
        PATH.write_text("a letter")
        with pytest.raises(MnistCliError, match="was replaced by another file"):
            book.add_all([("mlp", run(2))])
        book.runs = dict(reversed(book.runs.items()))
        with pytest.raises(MnistCliError, match="was replaced by another file"):
            book.finish()
    assert PATH.read_text() == "a letter"


def test_two_networks_of_one_code_are_told_apart_by_their_size() -> None:
    for key in ("parameters", "mult_adds"):
        small, large, failed = ({"networks": {"a": {key: size}}} for size in (10, 20, None))
        with opened(conditions=small):
            pass
        with opened(conditions=failed):  # it is not known now
            pass
        with pytest.raises(UsageError, match=f"a {key} 10, now 20"), opened(conditions=large):
            pass
        PATH.unlink()


def test_networks_may_come_in_another_order() -> None:
    with opened(conditions=kind("a", "b")) as book:
        book.add_all([("a", run(0))])
    with opened(conditions=kind("b", "a")) as book:
        assert book.runs.keys() == {("a", 0)}


def test_a_clock_that_goes_back_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(None) as book:
        book.add_all([("mlp", run(0))])
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "gmtime", lambda: time.struct_time((1970, 1, 1, 0, 0, 0, 3, 1, 0)))
    with opened(None) as again:
        assert (again.path, again.runs) == (book.path, book.runs)
        again.finish()
    with opened(None) as new:
        assert new.path != book.path


@pytest.mark.skipif(sys.platform == "win32", reason="no links, pipes and owners there")
def test_what_others_left_in_the_state_folder_is_not_touched(tmp_path: Path) -> None:
    with opened(None) as book:
        path = book.path
    content = path.read_bytes()
    (tmp_path / "theirs").write_bytes(content)
    lock = Path(f"{path}.lock")
    for target, linked in (
        (path, "theirs"),
        (path, "dangling"),
        (path, "/dev/zero"),
        (path, None),
        (lock, "dangling"),
        (lock, None),
    ):
        path.unlink()
        if target == lock:
            path.write_bytes(content)
        if linked:
            target.symlink_to(tmp_path / linked)
        else:
            os.mkfifo(target)
        with opened(None) as book:
            assert book.path != path
            book.add_all([("mlp", run(0))])
        book.path.unlink()
        lock.unlink(missing_ok=True)
        assert (tmp_path / "theirs").read_bytes() == content
        assert not (tmp_path / "dangling").exists()
    path.unlink()
    path.write_bytes(content)
    if os.geteuid() == 0:
        os.chown(path, 12345, 12345)
        with opened(None) as book:
            assert book.path != path


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes there")
def test_a_pipe_is_no_journal() -> None:
    os.mkfifo(PATH)
    with pytest.raises(MnistCliError, match=r"runs\.jsonl: it is not a regular file"), opened():
        pass


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_journal_is_refused_at_once() -> None:
    with opened():
        pass
    PATH.chmod(0o400)
    with pytest.raises(MnistCliError, match="Permission denied"), opened():
        pass


def test_without_a_state_folder_it_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").write_text("")
    monkeypatch.setenv("MNIST_CLI_STATE_DIR", str(Path("file", "state").resolve()))
    events: list[Event] = []
    with opened(None, events=events) as book:
        assert book.path is None
        book.add_all([("mlp", run(0))])
    [notice] = events
    assert isinstance(notice, Notice)
    assert "cannot keep a journal in" in notice.text
    assert "MNIST_CLI_STATE_DIR" in notice.text


def test_a_finished_journal_goes_after_a_month_and_an_unfinished_one_stays() -> None:
    folder = Path(os.environ["MNIST_CLI_STATE_DIR"])
    month = 30 * 24 * 3600
    old, new, unfinished = (f"compare-0123456789a{c}-20250101-120000-beef.jsonl" for c in "abc")
    ages = {old: month + 60, new: month - 60, "compare-mine.jsonl": 2 * month}
    for name, age in ages.items():
        (folder / name).write_text('{}\n{"finished": true}\n', encoding="utf-8")
        os.utime(folder / name, (time.time() - age,) * 2)
    (folder / unfinished).write_text("{}\n", encoding="utf-8")
    os.utime(folder / unfinished, (0, 0))
    with opened(None) as journal:
        assert journal.path is not None
        left = {path.name for path in folder.glob("*.jsonl")} - {journal.path.name}
    assert left == {new, unfinished, "compare-mine.jsonl"}


# The command


def test_the_same_command_goes_on(run_cli: RunCli) -> None:
    command = ("compare", "mlp", "tinycnn", "--seeds", 2, "--journal", PATH, *FAST, "--json")
    whole = run_cli(*command).json
    lines = PATH.read_text().splitlines()
    PATH.write_text("\n".join([*lines[:4], ""]))
    outcome = run_cli(*command)
    assert "notice: 3 of 4 runs are in runs.jsonl" in outcome.err
    assert "tinycnn seed 1:" in outcome.err
    assert outcome.err.count("test loss") == 1
    for model, before in zip(outcome.json["models"], whole["models"], strict=True):
        for one, other in zip(model["runs"], before["runs"], strict=True):
            for repeated in (one, other):
                for timed in (repeated, *repeated["history"]):
                    del timed["train_seconds"]
                del repeated["cpu_seconds"]
            assert one == other
    assert outcome.json["journal"] == "runs.jsonl"
    again = run_cli(*command)
    assert "4 of 4 runs are in runs.jsonl" in again.err
    took = {"wall_seconds": 0, "checksum": ""}
    assert again.json | took == outcome.json | took


@pytest.mark.parametrize(
    "other",
    [
        ("--batch-size", 32),
        ("--lr", 0.01),
        ("--epochs", 2),
        ("--precision", "bf16"),
        ("--target", 0.5),
        ("--recipe", "fast"),
        ("cnn",),
    ],
)
def test_a_journal_of_other_options_is_refused(run_cli: RunCli, other: tuple[Any, ...]) -> None:
    command = ("compare", "mlp", "--journal", PATH, *FAST, "--quiet")
    run_cli(*command)
    before = PATH.read_bytes()
    outcome = run_cli(*command, *other)
    assert outcome.code == ExitCode.USAGE
    sentence = "runs.jsonl holds runs of another comparison"
    if "--precision" in other:
        sentence = "the runs in runs.jsonl were trained in fp32: continue with --precision fp32"
    assert sentence in outcome.err
    assert PATH.read_bytes() == before


@pytest.mark.parametrize(
    ("part", "key", "other"),
    [
        ("dataset", "sha256", "0" * 64),
        ("environment", "torch", "1.0"),
        ("environment", "device", "mps"),
    ],
)
def test_a_journal_of_other_images_or_another_machine_is_refused(
    run_cli: RunCli, part: str, key: str, other: str | int
) -> None:
    command = ("compare", "mlp", "--journal", PATH, *FAST, "--quiet")
    run_cli(*command)
    first, *rest = PATH.read_text(encoding="utf-8").splitlines()
    header = json.loads(first)
    header["conditions"][part][key] = other
    PATH.write_text("\n".join([json.dumps(header), *rest, ""]), encoding="utf-8")
    outcome = run_cli(*command)
    assert outcome.code == ExitCode.USAGE
    name = f"{part} {key}" if part == "dataset" else key
    assert f"another comparison ({name} {other}, now " in outcome.err


def test_changed_code_is_another_network(run_cli: RunCli) -> None:
    source = "from torch import nn\ndef f(): return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))"
    Path("own.py").write_text(source)
    command = ("compare", "own.py:f", "--journal", PATH, *FAST, "--quiet")
    assert run_cli(*command).code == ExitCode.OK
    Path("own.py").write_text(f"{source}  # changed")
    outcome = run_cli(*command)
    assert outcome.code == ExitCode.USAGE
    assert "own.py of own.py:f has changed since" in outcome.err


def test_a_failed_network_is_tried_again(run_cli: RunCli) -> None:
    Path("own.py").write_text(
        "from pathlib import Path\n"
        "from torch import nn\n"
        "def f():\n"
        "    assert Path('fixed').exists()\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))\n"
    )
    command = ("compare", "own.py:f", "mlp", "--seeds", 2, *FAST)
    kept = (*command, "--journal", PATH)
    assert run_cli(*kept).code == ExitCode.FAILURE
    assert run_cli(*command).code == ExitCode.FAILURE
    anew = run_cli(*command)
    assert "runs are in" not in anew.err  # it had come to its end
    Path("fixed").write_text("")
    outcome = run_cli(*kept)
    assert outcome.code == ExitCode.OK
    assert "2 of 4 runs are in runs.jsonl" in outcome.err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("number", ["SIGKILL", "SIGINT"])
def test_a_killed_comparison_goes_on_where_it_was(number: str) -> None:
    command = ("compare", "mlp", "tinycnn", "--seeds", "60", *map(str, FAST))
    process = start(*command)
    assert process.stderr is not None
    finished = [process.stderr.readline() for _ in range(5)]
    assert "(5 of 120 runs" in finished[-1]
    process.send_signal(getattr(signal, number))
    _, err = process.communicate(timeout=60)
    if number == "SIGINT":
        assert process.returncode == 130
        assert re.search(r"\d+ of 120 runs are in .*\.jsonl; the same command continues", err)
    short = ("compare", "mlp", "tinycnn", "--seeds", "60", "--epochs", "1", "--dataset", "mnist5k")
    again = start(*short)
    assert again.stderr is not None
    first = again.stderr.readline()
    again.kill()
    again.communicate(timeout=60)
    count = int(first.split()[1])
    assert 5 <= count < 120
    assert " runs are in " in first


def test_two_processes_on_one_journal() -> None:
    lock = FileLock(f"{PATH}.lock")
    with lock:
        outcome = run_process("compare", "mlp", "--journal", PATH, *map(str, FAST))
    assert outcome.code == ExitCode.FAILURE
    assert outcome.err == (
        "error: another process has runs.jsonl open; wait for it or choose another journal\n"
    )


def test_runs_are_put_in_order_at_the_end() -> None:
    names: Any = {"networks": {"b": {}, "a": {}}}
    for order in (((0, "b"), (0, "a"), (1, "b")), ((1, "b"), (0, "a"), (0, "b"))):
        with opened(conditions=names) as book:
            for seed, name in order:
                book.add_all([(name, run(seed))])
            assert PATH.read_bytes().count(b"\n") == 4
            book.finish()
            whole = PATH.read_bytes()
            book.finish()
            assert PATH.read_bytes() == whole
        lines = list(map(json.loads, PATH.read_text().splitlines()))
        assert [(line["run"]["seed"], line["model"]) for line in lines[1:-1]] == [
            (0, "b"),
            (0, "a"),
            (1, "b"),
        ]
        assert lines[-1] == {"seeds": [0, 1], "finished": True}
        PATH.unlink()


def test_other_threads_are_named(run_cli: RunCli) -> None:
    command = ("compare", "mlp", "--journal", PATH, *FAST)
    assert run_cli(*command, "--threads", 1).code == 0
    outcome = run_process(*map(str, command), "--threads", "2")
    assert outcome.code == ExitCode.USAGE
    assert outcome.err == (
        "error: the runs in runs.jsonl used 1 thread each: continue with --threads 1, or choose "
        "another journal\n"
    )
