"""Events on standard error: live bars on a terminal, plain lines elsewhere."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from mnist_cli.formatting import (
    format_bytes,
    format_loss,
    format_percent,
    format_seconds,
    format_wait,
    plural,
)
from mnist_cli.report import phrases
from mnist_cli.report.notices import notice
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.events import (
    DownloadProgress,
    EpochFinished,
    Event,
    OnEvent,
    PairsLookedAt,
    RunFailed,
    RunFinished,
    RunsLeft,
    TrainingProgress,
)
from mnist_cli.system.streams import say


@contextmanager
def reporter(quiet: bool = False) -> Iterator[OnEvent]:
    """What to call with each event; with `quiet`, nothing is shown."""
    if quiet:
        yield lambda event: None
    elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        # Drawn only when something was reported: no thread takes time from the training.
        with Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            console=Console(stderr=True),
            auto_refresh=False,
        ) as bars:
            yield _Bars(bars)
    else:
        yield _Lines()


class _Lines:
    """A line for what is finished, and for each file when its download starts."""

    def __init__(self) -> None:
        self._announced: set[str] = set()

    def __call__(self, event: Event) -> None:
        match event:
            case DownloadProgress(file, _, total) if file not in self._announced:
                self._announced.add(file)
                say(f"downloading {file}" + (f" ({format_bytes(total)})" if total else ""))
            case EpochFinished(model, epochs, result):
                say(
                    f"{model}: epoch {result.epoch}/{epochs}, "
                    f"train loss {format_loss(result.train_loss)}, "
                    f"test loss {format_loss(result.test_loss)}, "
                    f"test accuracy {format_percent(result.test_accuracy)}, "
                    f"{format_seconds(result.train_seconds)}"
                )
            case RunFinished():
                say(f"{_finished(event)} {_in_brackets(event.remaining)}")
            case RunFailed(model, left):
                say(f"{model} failed {_in_brackets(left)}")
            case PairsLookedAt():
                for line in _looked_at(event):
                    say(line)
            case _ if text := notice(event):
                say(f"notice: {text}")


class _Bars:
    """A bar for each network and each file."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case DownloadProgress(file, done, total):
                self._show(file, f"downloading {file}", done, total)
            case TrainingProgress(model, seed, epoch, epochs, step, steps, worker):
                done = (epoch - 1) * steps + step
                label = f"{_named(model, seed)} epoch {epoch}/{epochs}"
                if worker:  # a bar for each, as several may train the same network
                    self._show(worker, f"worker {worker}: {label}", done, epochs * steps)
                else:
                    self._show(model, label, done, epochs * steps)
            case EpochFinished(model, epochs, result):
                # The bar of a fast network may not have been drawn yet: count in epochs then.
                self._finish(model, None, result.epoch, epochs, result.test_accuracy)
            case RunsLeft():
                self._count(event)
            case RunFinished(model, seed, epochs, run, left):
                if run.runs_at_once == 1:
                    self._finish(model, seed, run.epochs, epochs, run.test_accuracy)
                else:
                    self._print(_finished(event))
                self._count(left)
            case RunFailed(model, left):
                self._print(f"{model} failed")
                self._count(left)
            case PairsLookedAt():
                for line in _looked_at(event):
                    self._print(line)
            case _ if text := notice(event):
                self._print(f"notice: {text}")

    def _print(self, line: str) -> None:
        self._bars.console.print(line, markup=False, highlight=False)

    def _count(self, left: RunsLeft) -> None:
        if left.total > 1:
            title = "all runs" if left.look is None else f"runs up to {left.look} seeds"
            self._show("", title, left.total - left.left, left.total, _left(left))

    def _finish(
        self, model: str, seed: int | None, epoch: int, epochs: int, accuracy: float
    ) -> None:
        task = self._tasks.get(model)
        total = (task is not None and self._bars.tasks[task].total) or epochs
        description = f"{_named(model, seed)} epoch {epoch}/{epochs}"
        self._show(
            model,
            description,
            total * epoch / epochs,
            total,
            f"accuracy {format_percent(accuracy)}",
        )

    def _show(
        self,
        key: str,
        description: str,
        done: float,
        total: float | None,
        status: str | None = None,
    ) -> None:
        if key not in self._tasks:
            self._tasks[key] = self._bars.add_task(description, total=total, status="")
        task = self._tasks[key]
        self._bars.update(task, description=description, completed=done, total=total)
        if status is not None:
            self._bars.update(task, status=status)
        self._bars.refresh()


def _named(model: str, seed: int | None) -> str:
    return model if seed is None else f"{model} seed {seed}"


def _finished(event: RunFinished) -> str:
    run = event.run
    return (
        f"{_named(event.model, event.seed)}: test loss {format_loss(run.test_loss)}, "
        f"test accuracy {format_percent(run.test_accuracy)}, "
        f"{format_seconds(run.train_seconds)}{_target(run)}"
    )


def _target(run: Run) -> str:
    if run.reached_target is None:
        return ""
    return (
        f", {'reached' if run.reached_target else 'not reached'} in {plural(run.epochs, 'epoch')}"
    )


def _looked_at(event: PairsLookedAt) -> list[str]:
    return [phrases.verdict(pair, event.margin, event.settling) for pair in event.verdicts]


def _in_brackets(left: RunsLeft) -> str:
    to_look = "" if left.look is None else f" to the look at {left.look} seeds"
    return f"({_left(left)}{to_look})"


def _left(left: RunsLeft) -> str:
    """`7 of 20 runs, about 3 min left`; honest where not every network has been timed yet."""
    if not left.total:
        return "no run is left"
    done = f"{left.total - left.left} of {plural(left.total, 'run')}"
    if not left.left or not left.seconds:
        return done
    return f"{done}, {'at least' if left.at_least else 'about'} {format_wait(left.seconds)} left"
