"""What do several jobs gain, and what do they cost?

python -m tests.benchmarks.parallel --data-dir FOLDER

Each round trains the same runs with one job of one thread, with one job of all threads, and with
a job a core of one thread each, one after the other, so that a machine that drifts slows all of
them. Then workers get runs that do nothing: how long it takes until the first is back, how long one
takes, and how many a second come through the whole loop with its journal and its analysis.
"""

import math
import os
import pickle
import random
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from mnist_cli.data import datasets
from mnist_cli.data.dataset import Dataset
from mnist_cli.execution import answers, worker
from mnist_cli.execution.executor import Executor, executing
from mnist_cli.execution.trainer import Trainer
from mnist_cli.networks.registry import MODELS
from mnist_cli.schema.comparison import Run
from mnist_cli.schema.datasets import DatasetName
from mnist_cli.schema.options import CompareOptions, DataOptions, Entry, ExecutionOptions
from mnist_cli.schema.protocol import Protocol
from mnist_cli.schema.record import to_json
from mnist_cli.schema.results import EpochResult
from mnist_cli.schema.runs import RunTask, WorkerAnswer
from mnist_cli.training.device import use_threads
from mnist_cli.workflows.compare_networks import compare_networks

CORES = os.cpu_count() or 1
RUNS = 2 * CORES  # of a network in each mode and round
IDLE_SEEDS = 300
IDLE_WORKERS = 6


def main(
    data_dir: Annotated[Path, typer.Option(envvar="MNIST_CLI_DATA_DIR")],
    networks: Annotated[str, typer.Option(help="Comma-separated.")] = "mlp,tinycnn,cnn",
    rounds: Annotated[int, typer.Option(min=1, help="Counted rounds.")] = 3,
) -> None:
    """Time runs with one job and with several, interleaved."""
    data = DataOptions(DatasetName.MNIST, data_dir)
    dataset = datasets.load(data, lambda event: None)
    entries = tuple(Entry(MODELS[name], Protocol()) for name in networks.split(","))
    execution = ExecutionOptions(jobs=CORES, threads=1)
    options = CompareOptions(entries, data, device="cpu", execution=execution)
    modes = ("1 job, 1 thread", f"1 job, {CORES} threads", f"{CORES} jobs, 1 thread")
    rates: dict[tuple[str, str], list[float]] = {}
    here = Trainer("cpu", 1)
    _, measured = here.measure_all(entries)
    here.hand_over(dataset)
    with executing(options, lambda event: None) as several:
        several.measure_all(())  # waits for the first worker
        several.hand_over(dataset)
        for number in range(rounds + 1):
            for entry, cost in zip(entries, measured, strict=True):
                assert cost.precision is not None
                task = Entry(entry.model, entry.protocol, cost.precision)
                executors: tuple[Executor, ...] = (here, here, several)
                for mode, executor, threads in zip(modes, executors, (1, CORES, 1), strict=True):
                    use_threads(threads)
                    rate = runs_a_minute(executor, task, number * RUNS)
                    if number:
                        rates.setdefault((entry.name, mode), []).append(rate)
            sys.stderr.write(f"round {number} of {rounds}\n")
    show(rates, [entry.name for entry in entries], modes)
    idle(options, dataset)


def runs_a_minute(executor: Executor, entry: Entry, first_seed: int) -> float:
    """How many runs an executor finishes, from the first that is submitted to the last result."""
    started = time.perf_counter()
    train(executor, entry, range(first_seed, first_seed + RUNS))
    return 60 * RUNS / (time.perf_counter() - started)


def train(executor: Executor, entry: Entry, seeds: range) -> None:
    """Train an entry with all seeds."""
    count, tasks = 0, [RunTask(entry, seed, None) for seed in seeds]
    while count < len(seeds):
        done = executor.train_all(tasks, lambda *told: None)
        assert all(isinstance(outcome, Run) for _, outcome in done), done
        count, tasks = count + len(done), []


def nothing(versions: dict[str, str], job: bytes, question: bytes, images: None) -> str:
    """A run that does nothing, if a worker is asked for one; lr and seed decide its accuracy."""
    asked, _ = pickle.loads(question)
    if not isinstance(asked, RunTask):
        return worker.answer(job, question, images)
    protocol = asked.entry.protocol
    level = 0.96 + 0.004 * math.log10(protocol.lr * 1000)
    accuracy = round(random.Random(f"{protocol.lr} {asked.seed}").gauss(level, 0.0015), 4)
    epochs = range(1, protocol.epochs + 1)
    history = tuple(EpochResult(epoch, 0.1, 0.1, accuracy, 1.0) for epoch in epochs)
    seconds = float(len(history))
    run = Run(asked.seed, len(history), accuracy, 0.1, seconds, history=history, threads=1)
    return to_json(WorkerAnswer(run=run))


def idle(options: CompareOptions, dataset: Dataset) -> None:
    """What the engine and the loop cost, by runs that do nothing."""
    answers.make_ask = lambda: nothing
    started = time.perf_counter()
    with executing(options, lambda event: None) as executor:
        executor.measure_all(())  # waits for the first worker
        executor.hand_over(dataset)
        train(executor, options.entries[0], range(1))
        startup = time.perf_counter() - started
        seconds = []
        for seed in range(100):
            begun = time.perf_counter()
            train(executor, options.entries[0], range(seed, seed + 1))
            seconds.append(time.perf_counter() - begun)
        sys.stdout.write(
            f"from the start of {CORES} workers to the first result: {startup:.2f} s\n"
            f"a run that does nothing, alone: {1000 * statistics.median(seconds):.1f} ms\n"
        )
    with TemporaryDirectory() as folder:
        whole = CompareOptions(
            options.entries[:2],
            options.data,
            device="cpu",
            seeds=IDLE_SEEDS,
            journal=Path(folder) / "runs.jsonl",
            execution=ExecutionOptions(jobs=IDLE_WORKERS, threads=1),
        )
        seen = [
            (time.perf_counter(), sum(len(model.runs) for model in result.models))
            for result in compare_networks(whole, lambda event: None)
        ]
        (begun, before), (ended, after) = seen[1], seen[-1]
        sys.stdout.write(
            f"through the whole loop, with its journal, {IDLE_WORKERS} workers: "
            f"{(after - before) / (ended - begun):.0f} a second\n"
        )


def show(
    rates: dict[tuple[str, str], list[float]], names: list[str], modes: tuple[str, ...]
) -> None:
    """A row for each network; the gain is that of each round, to the better of the single jobs."""
    rounds = len(next(iter(rates.values())))
    table = Table("network", *modes, "gain", "min-max", title=f"Runs a minute, {rounds} rounds")
    for name in names:
        one, all_threads, several = (rates[name, mode] for mode in modes)
        gains = [c / max(a, b) for a, b, c in zip(one, all_threads, several, strict=True)]
        table.add_row(
            name,
            *(f"{statistics.median(each):.1f}" for each in (one, all_threads, several)),
            f"{statistics.median(gains):.2f}",
            f"{min(gains):.2f}-{max(gains):.2f}",
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    typer.run(main)
