"""Titles, tables and lines that several reports share."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mnist_cli.formatting import plural
from mnist_cli.schema.comparison import Settling
from mnist_cli.schema.datasets import DatasetInfo
from mnist_cli.schema.protocol import Optimizer, Protocol, Schedule
from mnist_cli.schema.results import Environment
from mnist_cli.system.streams import as_shown, visible

OPTIMIZERS = {Optimizer.ADAM: "Adam", Optimizer.ADAMW: "AdamW", Optimizer.SGD: "SGD"}
MOST_NAMED = 4  # networks


def title(text: str) -> Text:
    """A heading."""
    return Text(visible(text), "bold")


class _Table(Table):
    """A table that measures its cells as standard output shows them."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        super().add_row(*(as_shown(visible(str(cell))) for cell in cells), **options)


def table(first: str, *others: str) -> Table:
    """Make a table with names in the first column, which may fold, and numbers in the others."""
    table = _Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first, overflow="fold", min_width=len(first))
    for header in others:
        table.add_column(header, justify="right", no_wrap=True)
    return table


def dataset_line(info: DatasetInfo) -> str:
    """The dataset, its numbers of images, and its note."""
    note = f" ({info.note})" if info.note else ""
    train = f"{info.num_train:,} training and " if info.num_train else ""
    return f"{info.name}, {train}{info.num_test:,} {info.evaluated_on} images{note}"


def protocol_line(protocol: Protocol) -> str:
    """How a network is trained, in one line."""
    return ", ".join(protocol_parts(protocol))


def protocol_parts(protocol: Protocol, *, at_most: bool = False) -> list[str]:
    """How a network is trained: `5 epochs` or `at most 5 epochs`, `batch size 64`, and so on."""
    constant = protocol.schedule == Schedule.CONSTANT
    rate = "learning rate" if constant else f"{protocol.schedule} rate up to"
    nesterov = "Nesterov " if protocol.nesterov else ""
    optional = (
        (f"{nesterov}momentum {protocol.momentum:g}", protocol.momentum),
        (f"weight decay {protocol.weight_decay:g}", protocol.weight_decay),
        (f"warmup {protocol.warmup:g}", constant and protocol.warmup),
        (f"dropout rates x {protocol.dropout:g}", protocol.dropout not in {0, 1}),
        ("without dropout", protocol.dropout == 0),
        (f"augmented by {protocol.augment}", protocol.augment),
        ("shuffled pixels", protocol.shuffle_pixels),
    )
    return [
        f"{'at most ' if at_most else ''}{plural(protocol.epochs, 'epoch')}",
        f"batch size {protocol.batch_size}",
        OPTIMIZERS[protocol.optimizer],
        f"{rate} {protocol.lr:g}",
        *(text for text, applies in optional if applies),
    ]


def seeds_line(ranges: Sequence[range]) -> str:
    """`seed 3`, `seeds 0 to 4`, `seeds 0 to 4 and 10 to 14`."""
    texts = [f"{part[0]} to {part[-1]}" if len(part) > 1 else f"{part[0]}" for part in ranges]
    return f"seed{'s' if sum(map(len, ranges)) > 1 else ''} {listed(texts)}"


def listed(names: Sequence[str], word: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def join(names: Sequence[str]) -> str:
    """The names, or for more than four their number: `5 networks`."""
    return listed(names) if len(names) <= MOST_NAMED else f"{len(names)} networks"


def looks(settling: Settling) -> str:
    """The numbers of seeds at which networks may be compared: `4, 5, 7 or 10`."""
    return listed(list(map(str, settling.allowed_looks)), "or")


def machine_line(environment: Environment) -> str:
    """The device with its processor and threads, and the version of torch."""
    threads = plural(environment.threads, "thread")
    return f"{environment.device} ({environment.processor}, {threads}), torch {environment.torch}"
