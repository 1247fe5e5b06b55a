"""Round numbers on the axes of plots and of the page."""

from matplotlib.ticker import EngFormatter, Locator, LogLocator, MaxNLocator

THOUSANDS = EngFormatter(sep="")
ROUND = (1, 2, 2.5, 5, 10)


def is_logarithmic(low: float, high: float) -> bool:
    """Whether the values differ much; below that, such an axis has too few round numbers."""
    return high > 3 * low > 0


def tick_locator(low: float, high: float, *, whole: bool = False) -> Locator:
    """What chooses the ticks of an axis that shows `low` to `high`, logarithmic or `whole`."""
    if is_logarithmic(low, high) and not whole:
        return LogLocator(subs=(1,) if high > 100 * low else (1, 2, 5))
    return MaxNLocator(5, steps=list(ROUND), integer=whole)


def tick_text(tick: float) -> str:
    """`0.5`, `97.5`, `25.4k`, `1M`."""
    return str(THOUSANDS(tick)) if tick >= 1000 else f"{tick:.6g}"
