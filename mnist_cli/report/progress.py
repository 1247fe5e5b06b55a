"""Events on standard error: live bars on a terminal, plain lines elsewhere."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from mnist_cli.formatting import (
    format_bytes,
    format_loss,
    format_percent,
    format_seconds,
    format_wait,
    plural,
)
from mnist_cli.report import phrases
from mnist_cli.schema import events
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.events import Event, OnEvent
from mnist_cli.schema.results import EpochResult
from mnist_cli.system.streams import say, visible

STARTING = "starting"
WAITING = "waiting"  # the key of a row
LEAST_WIDTH_WITH_BARS = 110  # a narrower terminal has room for the figures only


def show_sign_of_life(quiet: bool = False) -> None:
    """Show that the command runs during long imports; the next line replaces this one."""
    if not quiet and _on_terminal():
        sys.stderr.write(f"{STARTING}\r")
        sys.stderr.flush()


@contextmanager
def reporter(quiet: bool = False) -> Iterator[OnEvent]:
    """Yield the function that shows an event on standard error; with `quiet`, it shows none."""
    if quiet:
        yield lambda event: None
    elif _on_terminal():
        console = Console(stderr=True)
        # Only events redraw the bars: a thread that refreshes them would slow the training.
        with Progress(
            TextColumn("{task.description}", markup=False),
            *([BarColumn(bar_width=24)] if console.width >= LEAST_WIDTH_WITH_BARS else []),
            TaskProgressColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            console=console,
            auto_refresh=False,
            transient=True,  # the result replaces them
        ) as bars:
            on_event = _Bars(bars)
            on_event(events.Waiting(STARTING))
            yield on_event
    else:
        yield _Lines()


def _on_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


class _Lines:
    """Writes a line for each finished run or epoch, and for each download when it starts."""

    def __init__(self) -> None:
        self._announced: set[str] = set()

    def __call__(self, event: Event) -> None:
        match event:
            case events.Waiting(text):
                say(text)
            case events.DownloadProgress(file, _, total) if file not in self._announced:
                self._announced.add(file)
                say(f"downloading {file}" + (f" ({format_bytes(total)})" if total else ""))
            case events.ReadingProgress(path, _, total) if path not in self._announced:
                self._announced.add(path)
                say(f"reading {total:,} pictures of {path}")
            case events.EpochFinished(model, epochs, result, evaluated_on):
                say(
                    f"{model}: epoch {result.epoch}/{epochs}, "
                    f"train loss {format_loss(result.train_loss)}, "
                    f"{_describe_figures(result, evaluated_on)}"
                )
            case events.RunFinished() | events.RunFailed():
                left = event.remaining
                to_look = "" if left.look is None else f" to the look at {left.look} seeds"
                [line] = _describe(event)
                say(f"{line} ({_describe_left(left)}{to_look})")
            case _:
                for line in _describe(event):
                    say(line)


class _Bars:
    """Draws a row for all runs, for each file, and for the run of each network or worker."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._rows: dict[str, TaskID] = {}
        self._runs: dict[str, str] = {}  # the run that a row shows
        self._has_workers = False

    def __call__(self, event: Event) -> None:
        self._hide(WAITING)
        match event:
            case events.Waiting(text):
                self._show(WAITING, text, 0, None)
            case events.DownloadProgress(file, done, total):
                self._show(file, f"downloading {file}", done, total)
            case events.ReadingProgress(path, done, total):
                self._show(path, f"reading pictures of {path}", done, total)
            case events.TrainingProgress():
                self._train(event)
            case events.EpochFinished(model, epochs, result):
                self._finish(model, None, result.epoch, epochs, result.test_accuracy)
            case events.RunsLeft():
                self._count(event)
            case events.RunFinished(model, seed, epochs, run, left):
                if self._has_workers or run.runs_at_once > 1:
                    self._print(event)
                    self._hide_run(_name_run(model, seed))
                else:
                    self._finish(model, seed, run.epochs, epochs, run.test_accuracy)
                self._count(left)
            case events.RunFailed(model, seed, _, left):
                self._print(event)
                self._hide_run(_name_run(model, seed), model)
                self._count(left)
            case _:
                self._print(event)

    def _print(self, event: Event) -> None:
        for line in _describe(event):
            self._bars.console.print(visible(line), markup=False, highlight=False)

    def _train(self, event: events.TrainingProgress) -> None:
        run = _name_run(event.model, event.seed)
        done = event.epoch - 1 + event.step / event.steps
        label = f"{run} epoch {event.epoch}/{event.epochs}"
        key = event.model
        if event.worker:  # a row for each, as several may train the same network
            self._has_workers = True
            key = f"worker {event.worker}"
            label = f"{key}: {label}"
            if self._runs.get(key) != run:
                self._hide_run(run)  # in the row of a lost worker
        self._show(key, label, done, event.epochs, run)

    def _count(self, left: events.RunsLeft) -> None:
        if left.total > 1:
            title = "all runs" if left.look is None else f"runs up to {left.look} seeds"
            self._show("", title, left.total - left.left, left.total, status=_describe_left(left))

    def _finish(
        self, model: str, seed: int | None, epoch: int, epochs: int, accuracy: float
    ) -> None:
        run, status = _name_run(model, seed), f"accuracy {format_percent(accuracy)}"
        self._show(model, f"{run} epoch {epoch}/{epochs}", epoch, epochs, run, status=status)

    def _show(
        self, key: str, label: str, done: float, total: float | None, run: str = "", **status: Any
    ) -> None:
        """Draw the row `key`; reset its clock and status if it shows another run."""
        label = visible(label)
        if key not in self._rows:
            self._rows[key] = self._bars.add_task(label, total=total, status="")
        elif self._runs[key] != run:
            self._bars.reset(self._rows[key], status="")
        self._runs[key] = run
        fields = {"description": label, "completed": done, "total": total, **status}
        self._bars.update(self._rows[key], visible=True, **fields)
        self._bars.refresh()

    def _hide(self, key: str) -> None:
        if key in self._rows:
            self._bars.update(self._rows[key], visible=False)

    def _hide_run(self, *names: str) -> None:
        for key, run in self._runs.items():
            if run in names:
                self._hide(key)
                self._runs[key] = ""


def _describe(event: Event) -> list[str]:
    """The lines about what happened; none for progress."""
    match event:
        case events.Notice(text):
            return [f"notice: {text}"]
        case events.PairsLookedAt(verdicts, margin, settling):
            return [phrases.verdict(pair, margin, settling) for pair in verdicts]
        case events.NetworksDropped(dropped):
            return list(map(phrases.describe_contender, dropped))
        case events.RunFailed(model, seed, reason):
            return [f"{model} failed: seed {seed}: {reason}"]
        case events.RunFinished(model, seed, _, run, _, evaluated_on):
            target = ""
            if run.reached_target is not None:
                reached = "reached" if run.reached_target else "not reached"
                target = f", {reached} in {plural(run.epochs, 'epoch')}"
            return [f"{_name_run(model, seed)}: {_describe_figures(run, evaluated_on)}{target}"]
    return []


def _describe_figures(result: Run | EpochResult, evaluated_on: str) -> str:
    return (
        f"{evaluated_on} loss {format_loss(result.test_loss)}, "
        f"{evaluated_on} accuracy {format_percent(result.test_accuracy)}, "
        f"{format_seconds(result.train_seconds)}"
    )


def _name_run(model: str, seed: int | None) -> str:
    return model if seed is None else f"{model} seed {seed}"


def _describe_left(left: events.RunsLeft) -> str:
    """`7 of 20 runs, about 3 min left`; `at least` if a network has no time yet."""
    if not left.total:
        return "no run is left"
    done = f"{left.total - left.left} of {plural(left.total, 'run')}"
    if not left.left or not left.seconds:
        return done
    return f"{done}, {'at least' if left.at_least else 'about'} {format_wait(left.seconds)} left"
