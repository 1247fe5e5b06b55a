"""Numbers as text, the same in tables and in progress."""

from collections.abc import Sequence
from math import inf

from mnist_cli.schema.comparison import Estimate, Run


def format_percent(value: Estimate | float | None) -> str:
    """A fraction as `98.22 %`, `98.22 ± 0.15 %` or `67.80 (22.06 to 100) %`; None as a dash.

    Only 1 itself is `100.00 %`.
    """
    return "-" if value is None else f"{_format(value, 100, 2, most=1)} %"


def format_loss(value: Estimate | float | None) -> str:
    """A cross-entropy as `0.0508`, `< 0.0001` or `0.0508 ± 0.0021`; None as a dash."""
    return "-" if value is None else _format(value, 1, 4)


def format_points(difference: Estimate) -> str:
    """A difference of fractions as `0.31 ± 0.09 points`."""
    return f"{_format(difference, 100, 2, least=-1, most=1)} points"


def format_seconds(value: Estimate | float) -> str:
    """Seconds as `0.021 s`, `123.4 s` or `8.35 ± 0.12 s`."""
    size = abs(value.mean if isinstance(value, Estimate) else value)
    decimals = 3 if size < 1 else 2 if size < 100 else 1
    return f"{_format(value, 1, decimals, least=-inf)} s"


def add_sign(number: str) -> str:
    """`+0.31 ± 0.09 points`; zero has no sign."""
    if not number.split(maxsplit=1)[0].strip("-0."):
        return number.removeprefix("-")
    return number if number.startswith("-") else f"+{number}"


def format_runs(runs: Sequence[Run]) -> tuple[str, str]:
    """The seeds of runs and their accuracies: `seeds 1, 4` and `9.80-11.35 %`."""
    seeds = ", ".join(str(run.seed) for run in runs)
    accuracies = [run.test_accuracy for run in runs]
    low, high = format_percent(min(accuracies)), format_percent(max(accuracies))
    return f"seed{'s' * (len(runs) > 1)} {seeds}", low if low == high else f"{low[:-2]}-{high}"


def format_wait(value: float) -> str:
    """A wait as `40 s`, `12 min` or `1 h 20 min`."""
    if value < 90:
        return f"{max(value, 1):.0f} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def format_parameters(trainable: int | None, total: int | None) -> str:
    """`25,450`, or `1,010 of 79,510` if some are frozen; a dash if unknown."""
    if trainable is None or total is None:
        return "-"
    return f"{trainable:,}" if trainable == total else f"{trainable:,} of {total:,}"


def format_count(value: float | None) -> str:
    """Operations in millions or billions, `1.63 M` or `1.20 G`; a dash if unknown."""
    if value is None:
        return "-"
    return f"{value / 1e9:.2f} G" if value >= 1e9 else f"{value / 1e6:.2f} M"


def format_megabytes(value: float | None) -> str:
    """Millions of bytes as `2.63 MB`; a dash if unknown."""
    return "-" if value is None else f"{value:.2f} MB"


def format_bytes(number: int) -> str:
    """Bytes as `9.9 MB` or `4.5 kB`."""
    return f"{number / 1e6:.1f} MB" if number >= 1e6 else f"{number / 1e3:.1f} kB"


def plural(number: int, noun: str) -> str:
    """`1 seed`, `5 seeds`."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def _format(
    value: Estimate | float, scale: float, decimals: int, least: float = 0, most: float = inf
) -> str:
    """A number, or a mean with its interval, cut at the least and most possible values."""

    def show(number: float) -> str:
        return _format_number(number, scale, decimals, least, most)

    if not isinstance(value, Estimate):
        return show(value)
    if value.half_width is None:
        return show(value.mean)
    low, high = value.mean - value.half_width, value.mean + value.half_width
    if low >= least and high <= most:
        return f"{show(value.mean)} ± {value.half_width * scale:,.{decimals}f}"
    first = show(low) if low > least else f"{least * scale:.0f}"
    last = show(high) if high < most else f"{most * scale:.0f}"
    return f"{show(value.mean)} ({first} to {last})"


def _format_number(value: float, scale: float, decimals: int, least: float, most: float) -> str:
    """A number; near a limit, it is not rounded to it, but shown as `> 99.99` or `< 0.01`."""
    text, step = f"{value * scale:,.{decimals}f}", 10.0**-decimals
    if least == 0 and value > 0 and not text.strip("0."):
        return f"< {step:.{decimals}f}"
    if value < most and text == f"{most * scale:.{decimals}f}":
        return f"> {most * scale - step:.{decimals}f}"
    return text
