"""What stands beside the numbers says the same as they do."""

import pytest

from mnist_cli.report.comparison_tables import bar, interval, nice_scale


def test_a_bar_is_as_long_as_its_share() -> None:
    assert bar(10, 10, 8) == "█" * 8
    assert bar(5, 10, 8) == "█" * 4
    assert bar(5.3, 10, 8) == "████▎"
    assert bar(1e-9, 10, 8) == "▏"
    assert bar(0, 10, 8) == ""


def test_an_interval_stands_where_it_is() -> None:
    assert interval(50, 20, 0, 100, 11) == "   ├─●─┤   "
    assert interval(50, 0, 0, 100, 11) == "     ●     "
    assert interval(99, 20, 0, 100, 11) == "        ├─●"
    assert interval(0, 0, 0, 100, 11) == "●          "


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (95.2, 99.4, (95, 100, 0)),
        (98.93, 99.41, (98.9, 99.5, 1)),
        (79.8, 79.8, (79, 80, 0)),
        (80, 80, (80, 81, 0)),
        (12, 96, (10, 100, 0)),
    ],
)
def test_scales_end_in_round_numbers(
    low: float, high: float, expected: tuple[float, float, int]
) -> None:
    assert nice_scale(low, high) == pytest.approx(expected)
