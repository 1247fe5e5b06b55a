"""Numbers as people read them, the same in tables and in progress."""


def percent(fraction: float | None) -> str:
    """0.9822 as `98.22 %`; a dash for what is not defined."""
    return "-" if fraction is None else f"{fraction * 100:.2f} %"


def loss(value: float) -> str:
    """A cross-entropy to four places."""
    return f"{value:.4f}"


def seconds(value: float) -> str:
    """Hundredths below 100 s, tenths above."""
    return f"{value:.2f} s" if value < 100 else f"{value:,.1f} s"


def count(value: float) -> str:
    """Operations in millions or billions: `1.63 M`, `1.20 G`."""
    return f"{value / 1e9:.2f} G" if value >= 1e9 else f"{value / 1e6:.2f} M"


def size(number: int) -> str:
    """Bytes as `9.9 MB` or `4.5 kB`."""
    return f"{number / 1e6:.1f} MB" if number >= 1e6 else f"{number / 1e3:.1f} kB"


def epochs(number: int) -> str:
    """`1 epoch`, `5 epochs`."""
    return "1 epoch" if number == 1 else f"{number} epochs"
