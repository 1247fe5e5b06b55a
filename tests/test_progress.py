"""What a person sees of made-up events, as lines and as bars."""

import io
import threading
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress

from mnist_cli.report import progress
from mnist_cli.schema import events
from mnist_cli.schema.comparison import Estimate, Measure, Outcome, Run, Settling, Verdict
from mnist_cli.schema.events import Event, RunFailed, RunFinished, RunsLeft
from mnist_cli.schema.results import EpochResult

RUN = Run(3, 2, 0.975, 0.0812, 1.25)
OPEN_PAIR = Verdict(
    "a", "b", Measure.TEST_ACCURACY, Estimate(-0.01, 0.02, 7, 0.999), 1.0, None, Outcome.OPEN
)
LOOKED_AT = events.PairsLookedAt((OPEN_PAIR,), 0.002, Settling(40))
LINES: list[tuple[Event, str]] = [
    (events.Notice("x will be replaced"), "notice: x will be replaced"),
    (events.Waiting("starting 2 workers"), "starting 2 workers"),
    (events.DownloadProgress("f.gz", 0, 9_912_422), "downloading f.gz (9.9 MB)"),
    (events.DownloadProgress("f.gz", 0, None), "downloading f.gz"),
    (
        events.EpochFinished("mlp", 5, EpochResult(2, 0.5, 0.25, 0.912, 1.5)),
        "mlp: epoch 2/5, train loss 0.5000, test loss 0.2500, test accuracy 91.20 %, 1.50 s",
    ),
    (
        RunFinished("mlp", None, 5, RUN, RunsLeft(1, 0, 0, at_least=False)),
        "mlp: test loss 0.0812, test accuracy 97.50 %, 1.25 s (1 of 1 run)",
    ),
    (
        RunFinished("mlp", 3, 5, RUN, RunsLeft(20, 13, 180, at_least=True)),
        "mlp seed 3: test loss 0.0812, test accuracy 97.50 %, 1.25 s "
        "(7 of 20 runs, at least 3 min left)",
    ),
    (
        RunFinished("mlp", 3, 5, Run(3, 2, 0.9, 0.1, 1, True), RunsLeft(2, 1, 40, at_least=False)),
        "mlp seed 3: test loss 0.1000, test accuracy 90.00 %, 1.00 s, reached in 2 epochs "
        "(1 of 2 runs, about 40 s left)",
    ),
    (
        RunFinished("mlp", 3, 5, Run(3, 1, 0.9, 0.1, 1, False), RunsLeft(2, 1, 0, at_least=True)),
        "mlp seed 3: test loss 0.1000, test accuracy 90.00 %, 1.00 s, not reached in 1 epoch "
        "(1 of 2 runs)",
    ),
    (
        LOOKED_AT,
        "a and b have no verdict yet (a - b: -1.00 ± 2.00 points; 7 seeds, 99.9 % interval)",
    ),
    (
        RunFinished("mlp", 3, 5, RUN, RunsLeft(8, 6, 40, at_least=False, look=4)),
        "mlp seed 3: test loss 0.0812, test accuracy 97.50 %, 1.25 s "
        "(2 of 8 runs, about 40 s left to the look at 4 seeds)",
    ),
    (
        RunFailed("net", 0, "the loss is NaN", RunsLeft(0, 0, 0, at_least=False)),
        "net failed: seed 0: the loss is NaN (no run is left)",
    ),
    (
        RunFailed("net", 3, "out of luck", RunsLeft(4, 2, 0, at_least=True)),
        "net failed: seed 3: out of luck (2 of 4 runs)",
    ),
]


@pytest.mark.parametrize(("event", "text"), LINES)
def test_lines(event: Event, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    show = progress._Lines()
    show(event)
    assert capsys.readouterr().err == f"{text}\n"


def test_a_download_is_announced_once(capsys: pytest.CaptureFixture[str]) -> None:
    show = progress._Lines()
    for done in (0, 5, 10):
        show(events.DownloadProgress("f.gz", done, 10))
    show(events.TrainingProgress("mlp", None, 1, 5, 10, 100))
    assert capsys.readouterr().err == "downloading f.gz (0.0 kB)\n"


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.reporter(quiet=True) as on_event:
        for event, _ in LINES:
            on_event(event)
    assert capsys.readouterr() == ("", "")


def test_a_name_is_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    threads = threading.active_count()
    with progress.reporter() as on_event:
        on_event(events.TrainingProgress("[red]x[/red]", None, 1, 5, 10, 100))
        assert threading.active_count() <= threads  # none takes time from the training
    assert "[red]x[/red] epoch 1/5" in terminal.getvalue()


def bars_after(*shown: Event) -> tuple[list[Any], str]:
    """The bars as (description, completed, total), and what was printed above them."""
    output = io.StringIO()
    with Progress(console=Console(file=output, width=100), auto_refresh=False) as bars:
        show = progress._Bars(bars)
        for event in shown:
            show(event)
    rows = [(task.description, task.completed, task.total) for task in bars.tasks]
    return rows, output.getvalue()


def test_bars_count_epochs_and_parts_of_them() -> None:
    rows, _ = bars_after(
        events.TrainingProgress("mlp", None, 1, 5, 10, 100),
        events.TrainingProgress("mlp", None, 3, 5, 50, 100),
    )
    assert rows == [("mlp epoch 3/5", 2.5, 5)]


def test_a_bar_ends_full_though_it_was_never_drawn() -> None:
    left = RunsLeft(2, 1, 4, at_least=False)
    rows, _ = bars_after(RunsLeft(2, 2, 0, at_least=True), RunFinished("mlp", 3, 2, RUN, left))
    assert rows == [("all runs", 1, 2), ("mlp seed 3 epoch 2/2", 2, 2)]


def test_a_row_begins_anew_with_each_run() -> None:
    left = RunsLeft(4, 3, 4, at_least=False)
    output = io.StringIO()
    now = 0.0
    with Progress(
        console=Console(file=output, width=100), auto_refresh=False, get_time=lambda: now
    ) as bars:
        show = progress._Bars(bars)
        show(events.TrainingProgress("mlp", 0, 1, 2, 1, 10))
        now = 60.0
        show(RunFinished("mlp", 0, 2, RUN, left))
        [row] = [task for task in bars.tasks if task.description.startswith("mlp")]
        assert (row.fields["status"], row.elapsed) == ("accuracy 97.50 %", 60.0)
        show(events.TrainingProgress("mlp", 1, 1, 2, 1, 10))
        now = 61.0
        assert (row.fields["status"], row.elapsed, row.completed) == ("", 1.0, 0.1)
        show(RunFinished("mlp", 2, 2, RUN, left))  # which was too fast to be drawn
        assert (row.fields["status"], row.elapsed) == ("accuracy 97.50 %", 0.0)


def test_a_row_for_each_worker() -> None:
    left = RunsLeft(4, 3, 4, at_least=False)
    output = io.StringIO()
    with Progress(console=Console(file=output, width=100), auto_refresh=False) as bars:
        show = progress._Bars(bars)

        def rows() -> list[str]:
            return [task.description for task in bars.tasks if task.visible]

        show(events.TrainingProgress("mlp", 0, 1, 2, 1, 10, "0"))
        show(events.TrainingProgress("mlp", 1, 1, 2, 1, 10, "1"))
        assert rows() == ["worker 0: mlp seed 0 epoch 1/2", "worker 1: mlp seed 1 epoch 1/2"]
        show(RunFinished("mlp", 0, 2, RUN, left))
        assert rows() == ["worker 1: mlp seed 1 epoch 1/2", "all runs"]
        show(events.TrainingProgress("mlp", 1, 1, 2, 1, 10, "0"))  # the other was lost
        assert rows() == ["worker 0: mlp seed 1 epoch 1/2", "all runs"]
        show(RunFailed("mlp", 1, "out of luck", left))
        assert rows() == ["all runs"]


def test_a_run_that_shared_its_machine_has_no_row_of_its_own() -> None:
    left = RunsLeft(4, 3, 4, at_least=False)
    rows, text = bars_after(RunFinished("mlp", 0, 2, replace(RUN, runs_at_once=2), left))
    assert rows == [("all runs", 1, 4)]
    assert "mlp seed 0: test loss 0.0812" in text


def test_the_row_of_a_failed_run_goes_though_it_has_no_seed() -> None:
    with Progress(console=Console(file=io.StringIO()), auto_refresh=False) as bars:
        show = progress._Bars(bars)
        show(events.TrainingProgress("mlp", None, 1, 2, 1, 10))
        show(RunFailed("mlp", 0, "out of luck", RunsLeft(1, 0, 0, at_least=False)))
        assert not [task for task in bars.tasks if task.visible]


def test_what_is_waited_for_is_shown_until_something_happens() -> None:
    with Progress(console=Console(file=io.StringIO()), auto_refresh=False) as bars:
        show = progress._Bars(bars)
        show(events.Waiting("starting 2 workers"))
        assert [task.description for task in bars.tasks if task.visible] == ["starting 2 workers"]
        show(events.Notice("something"))
        assert not [task for task in bars.tasks if task.visible]


def test_bars_up_to_a_look() -> None:
    rows, text = bars_after(RunsLeft(8, 6, 40, at_least=False, look=4), LOOKED_AT)
    assert rows == [("runs up to 4 seeds", 2, 8)]
    assert "a and b have no verdict yet" in text


def test_a_run_that_stopped_at_its_target_fills_its_share() -> None:
    rows, _ = bars_after(
        events.TrainingProgress("mlp", 3, 2, 10, 5, 100),
        RunFinished("mlp", 3, 10, RUN, RunsLeft(1, 0, 0, at_least=False)),
    )
    assert rows == [("mlp seed 3 epoch 2/10", 2, 10)]


def test_one_run_alone_has_no_bar_of_all_runs_and_notices_stand_above() -> None:
    rows, text = bars_after(
        RunsLeft(1, 1, 0, at_least=True),
        events.Notice("[red]x[/red] will be replaced"),
        RunFailed("net", 0, "out of luck", RunsLeft(1, 1, 0, at_least=True)),
    )
    assert rows == []
    assert "notice: [red]x[/red] will be replaced" in text
    assert "net failed: seed 0: out of luck" in text
