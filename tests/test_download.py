import gzip
import hashlib
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from mnist_cli.data.download import Limits, any_answers, download
from mnist_cli.errors import MnistCliError
from mnist_cli.schema.events import DownloadProgress, Event
from tests.conftest import start_python
from tests.mirror import Mirror

CONTENT = gzip.compress(bytes(range(256)) * 8, mtime=0)
MD5 = hashlib.md5(CONTENT).hexdigest()
QUICK = Limits(stall_seconds=0.5, file_seconds=5, rounds=1)


@pytest.fixture
def files(mirror: Mirror) -> Mirror:
    mirror.files["file.gz"] = CONTENT
    return mirror


def fetch(mirror: Mirror, *behaviours: str, limits: Limits = QUICK) -> Path:
    path = Path("new", "folder", "file.gz")
    urls = [mirror.url(behaviour) + "file.gz" for behaviour in behaviours]
    download(urls, path, MD5, limits, print)
    return path


def leftovers() -> list[Path]:
    return [path for path in Path().rglob("*") if path.is_file()]


def test_a_good_mirror_delivers_and_reports_bytes(files: Mirror) -> None:
    seen: list[Event] = []
    path = Path("file.gz")
    download([files.url("ok") + "file.gz"], path, MD5, QUICK, seen.append)
    assert path.read_bytes() == CONTENT
    assert seen[-1] == DownloadProgress("file.gz", len(CONTENT), len(CONTENT))
    assert leftovers() == [path]


@pytest.mark.skipif(os.name == "nt", reason="no umask")
def test_a_file_is_as_readable_as_the_umask_says(files: Mirror) -> None:
    assert fetch(files, "ok").stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("403", "HTTP 403"),
        ("503", "HTTP 503"),
        ("silent", "timed out"),
        ("stall", "timed out"),
        ("short", "IncompleteRead"),
        ("reset", "reset"),
        ("wrong", "wrong bytes"),
    ],
)
def test_a_bad_mirror_is_named_and_the_next_one_serves(
    files: Mirror, behaviour: str, reason: str
) -> None:
    assert fetch(files, behaviour, "ok").read_bytes() == CONTENT
    with pytest.raises(MnistCliError, match=reason) as caught:
        fetch(files, behaviour)
    assert files.url(behaviour) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "lengths",
    [["5, 5"], ["5", "5"], ["5", "6"], ["abc"], ["5.0"], ["-5"], ["9" * 5000], [""], ["0"]],
)
def test_an_odd_length_is_no_bug(files: Mirror, lengths: list[str]) -> None:
    files.lengths = lengths
    any_answers([files.url("lengths") + "file.gz"], 0.5)
    with suppress(MnistCliError):
        assert fetch(files, "lengths").read_bytes() == CONTENT
    assert fetch(files, "lengths", "ok").read_bytes() == CONTENT


def test_an_endless_download_is_ended(files: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[download.__module__], "MOST_BYTES", len(CONTENT) - 1)
    with pytest.raises(MnistCliError, match="more than 0 MiB"):
        fetch(files, "ok")
    assert leftovers() == []


def test_a_failure_leaves_no_file(files: Mirror) -> None:
    with pytest.raises(MnistCliError):
        fetch(files, "wrong", "short", "stall")
    assert leftovers() == []


def test_a_refusal_leaves_no_folder(files: Mirror) -> None:
    with pytest.raises(MnistCliError):
        fetch(files, "503", "403")
    assert list(Path().iterdir()) == []


def test_a_dripping_mirror_meets_the_deadline(files: Mirror) -> None:
    started = time.monotonic()
    with pytest.raises(MnistCliError, match="timed out"):
        fetch(files, "drip", limits=Limits(stall_seconds=5, file_seconds=0.3, rounds=1))
    assert time.monotonic() - started < 5


def test_nothing_listens(files: Mirror) -> None:
    with pytest.raises(MnistCliError, match="refused"):
        download(["http://127.0.0.1:9/file.gz"], Path("f"), MD5, QUICK, print)


def test_an_encoding_header_does_not_change_the_bytes(files: Mirror) -> None:
    assert fetch(files, "encoded").read_bytes() == CONTENT


def test_mirrors_are_asked_again_in_rounds(files: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with pytest.raises(MnistCliError):
        fetch(files, "503", "403", limits=Limits(1, 5, rounds=3))
    assert files.asked == ["/503/file.gz", "/403/file.gz"] * 3
    assert pauses == [0, 1, 2]


def test_an_unwritable_folder_is_not_the_mirrors_fault(files: Mirror) -> None:
    Path("new").write_text("in the way")
    with pytest.raises(OSError, match="folder"):
        fetch(files, "ok", "ok")
    assert len(files.asked) == 1


def test_the_old_file_stays_until_the_new_one_is_whole(files: Mirror) -> None:
    path = Path("new", "folder", "file.gz")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"old")
    with pytest.raises(MnistCliError):
        fetch(files, "short")
    assert path.read_bytes() == b"old"


def _in_a_process(url: str) -> subprocess.Popen[bytes]:
    code = (
        "import sys; from pathlib import Path; from mnist_cli.data.download import *;"
        f"download([sys.argv[1]], Path('file.gz'), {MD5!r}, Limits(5, 9, 1), print)"
    )
    return start_python("-c", code, url)


def test_two_processes_at_once(files: Mirror) -> None:
    processes = [_in_a_process(files.url("slow") + "file.gz") for _ in range(2)]
    assert [process.wait(30) for process in processes] == [0, 0]
    assert Path("file.gz").read_bytes() == CONTENT
    assert leftovers() == [Path("file.gz")]


def test_a_kill_leaves_nothing_that_looks_complete(files: Mirror) -> None:
    process = _in_a_process(files.url("stall") + "file.gz")
    deadline = time.monotonic() + 20
    while not leftovers() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert leftovers(), "the download never began"
    process.kill()
    process.wait()
    assert not Path("file.gz").exists()
    download([files.url("ok") + "file.gz"], Path("file.gz"), MD5, QUICK, print)
    assert Path("file.gz").read_bytes() == CONTENT


def test_any_answers_asks_all_at_once(files: Mirror) -> None:
    silent, ok, bad = (files.url(b) + "file.gz" for b in ("silent", "ok", "503"))
    started = time.monotonic()
    assert any_answers([silent, ok], 20)
    assert not any_answers([bad, "http://127.0.0.1:9/"], 20)
    assert time.monotonic() - started < 10
    assert not any_answers([silent], 0.3)
