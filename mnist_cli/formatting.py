"""Numbers as people read them, the same in tables and in progress."""

from math import inf

from mnist_cli.schema.comparison import Estimate


def format_percent(fraction: float | None) -> str:
    """0.9822 as `98.22 %`; a dash for what is not defined."""
    return "-" if fraction is None else f"{fraction * 100:.2f} %"


def format_loss(value: float) -> str:
    """A cross-entropy to four places."""
    return f"{value:.4f}"


def format_seconds(value: float) -> str:
    """Three digits or more: `0.021 s`, `8.35 s`, `123.4 s`."""
    return f"{value:,.{_decimals(value)}f} s"


def format_wait(value: float) -> str:
    """A wait as `40 s`, `12 min` or `1 h 20 min`."""
    if value < 90:
        return f"{max(value, 1):.0f} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def format_seconds_range(low: float, high: float) -> str:
    """A range of seconds as `(8.21-8.90)`."""
    return f"({format_seconds(low)[:-2]}-{format_seconds(high)[:-2]})"


def format_parameters(trainable: int | None, total: int | None) -> str:
    """`25,450`, or `1,010 of 79,510` where not all are trained; a dash for what is not known."""
    if trainable is None or total is None:
        return "-"
    return f"{trainable:,}" if trainable == total else f"{trainable:,} of {total:,}"


def format_count(value: float | None) -> str:
    """Operations in millions or billions, `1.63 M` or `1.20 G`; a dash for what is not known."""
    if value is None:
        return "-"
    return f"{value / 1e9:.2f} G" if value >= 1e9 else f"{value / 1e6:.2f} M"


def format_megabytes(value: float | None) -> str:
    """Millions of bytes as `2.63 MB`; a dash for what is not known."""
    return "-" if value is None else f"{value:.2f} MB"


def format_bytes(number: int) -> str:
    """Bytes as `9.9 MB` or `4.5 kB`."""
    return f"{number / 1e6:.1f} MB" if number >= 1e6 else f"{number / 1e3:.1f} kB"


def plural(number: int, noun: str) -> str:
    """`1 seed`, `5 seeds`."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def format_accuracy(value: Estimate) -> str:
    """An estimated fraction as `98.22 ± 0.15 %`, or `98.22 %` from one value.

    An interval that leaves what is possible ends there: `67.80 (22.06 to 100) %`.
    """
    return f"{_possible(value, 100, 2, most=1)} %"


def format_loss_estimate(value: Estimate) -> str:
    """An estimated cross-entropy as `0.0508 ± 0.0021`; it is not below zero either."""
    return _possible(value, 1, 4)


def format_points(value: Estimate) -> str:
    """A difference of fractions as `0.31 ± 0.09 points`."""
    return f"{_possible(value, 100, 2, least=-1, most=1)} points"


def format_signed_points(value: Estimate) -> str:
    """A change of fractions as `-0.31 ± 0.09 points`."""
    return f"{'+' if value.mean > 0 else ''}{format_points(value)}"


def format_duration(value: Estimate) -> str:
    """Estimated seconds as `8.35 ± 0.12 s`."""
    return f"{_interval(value, 1, _decimals(abs(value.mean)))} s"


def _possible(
    value: Estimate, scale: float, decimals: int, least: float = 0, most: float = inf
) -> str:
    """An interval that ends where it leaves what is possible, `least` to `most`."""
    low, high = value.mean - (value.half_width or 0), value.mean + (value.half_width or 0)
    if low >= least and high <= most:
        return _interval(value, scale, decimals)
    ends = (
        f"{end * scale:.{decimals if least < end < most else 0}f}"
        for end in (max(low, least), min(high, most))
    )
    return f"{value.mean * scale:.{decimals}f} ({' to '.join(ends)})"


def _interval(value: Estimate, scale: float, decimals: int = 2) -> str:
    mean = f"{value.mean * scale:,.{decimals}f}"
    if value.half_width is None:
        return mean
    return f"{mean} ± {value.half_width * scale:,.{decimals}f}"


def _decimals(seconds: float) -> int:
    if seconds < 1:
        return 3
    return 2 if seconds < 100 else 1
