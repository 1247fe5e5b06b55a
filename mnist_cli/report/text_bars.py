"""Small bars and intervals in text, to see beside the numbers."""

import math

EIGHTHS = " ▏▎▍▌▋▊▉"


def bar(value: float, most: float, width: int) -> str:
    """A bar of `width` characters for `most`, in proportion for `value`; never empty above 0."""
    eighths = max(round(value / most * width * 8), int(value > 0))
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8]).strip()


def interval(middle: float, half_width: float, start: float, end: float, width: int) -> str:
    """`  ├──●──┤`: where an interval lies between `start` and `end`, in so many characters."""

    def column(value: float) -> int:
        share = (value - start) / (end - start)
        return min(max(round(share * (width - 1)), 0), width - 1)

    left, right = column(middle - half_width), column(middle + half_width)
    cells = [" "] * left + ["─"] * (right - left + 1) + [" "] * (width - right - 1)
    cells[left], cells[right] = "├", "┤"
    cells[column(middle)] = "●"
    return "".join(cells)


def nice_scale(low: float, high: float) -> tuple[float, float, int]:
    """A range of round numbers around low to high, and how many decimals they have."""
    span = high - low or 1.0
    step = 10.0 ** math.floor(math.log10(span))
    decimals = max(0, -round(math.log10(step)))
    start, end = math.floor(low / step), math.ceil(high / step)
    return start * step, max(end, start + 1) * step, decimals
