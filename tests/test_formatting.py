"""Numbers as people read them, on made-up values at the edges."""

import pytest

from mnist_cli import formatting
from mnist_cli.schema.comparison import Estimate


def estimate(mean: float, half_width: float | None = None) -> Estimate:
    return Estimate(mean, half_width, 1 if half_width is None else 3, 0.95)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (estimate(0.9822), "98.22 %"),
        (estimate(0.9822, 0.0015), "98.22 ± 0.15 %"),
        (estimate(0.678, 0.4574), "67.80 (22.06 to 100) %"),
        (estimate(0.1, 0.2), "10.00 (0 to 30.00) %"),
        (estimate(0.9, 0.1), "90.00 ± 10.00 %"),
        (estimate(1.0), "100.00 %"),
        (estimate(0.999998, 0.000001), "> 99.99 ± 0.00 %"),
        (estimate(0.99998, 0.00005), "> 99.99 (99.99 to 100) %"),
        (estimate(0.999999, 0.000002), "> 99.99 (> 99.99 to 100) %"),
        (estimate(0.00001, 0.1), "< 0.01 (0 to 10.00) %"),
    ],
)
def test_accuracy(value: Estimate, text: str) -> None:
    assert formatting.format_percent(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0214, "0.021 s"), (8.349, "8.35 s"), (99.994, "99.99 s"), (123.44, "123.4 s")],
)
def test_seconds(seconds: float, text: str) -> None:
    assert formatting.format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (89.4, "89 s"), (90, "2 min"), (5369, "89 min"), (5400, "1 h 30 min")],
)
def test_wait(seconds: float, text: str) -> None:
    assert formatting.format_wait(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (1_628_800, "1.63 M"),
        (999_999_999, "1000.00 M"),
        (1e9, "1.00 G"),
        (1.2e9, "1.20 G"),
    ],
)
def test_count(value: float | None, text: str) -> None:
    assert formatting.format_count(value) == text


@pytest.mark.parametrize(
    ("trainable", "total", "text"),
    [(25_450, 25_450, "25,450"), (1010, 79_510, "1,010 of 79,510"), (None, None, "-")],
)
def test_parameters(trainable: int | None, total: int | None, text: str) -> None:
    assert formatting.format_parameters(trainable, total) == text


def test_differences_have_a_sign() -> None:
    def points(mean: float, half_width: float) -> str:
        return formatting.format_points(estimate(mean, half_width))

    assert formatting.add_sign(points(0.0031, 0.0009)) == "+0.31 ± 0.09 points"
    assert formatting.add_sign(points(-0.0031, 0.0009)) == "-0.31 ± 0.09 points"
    assert points(0.05, 4.4) == "5.00 (-100 to 100) points"
    assert points(-0.5, 0.6) == "-50.00 (-100 to 10.00) points"
    for nothing in (0.0, 0.00004, -0.00004):
        assert formatting.add_sign(points(nothing, 0.001)) == "0.00 ± 0.10 points"
    assert formatting.add_sign(points(-1.0, 0.5)) == "-100.00 (-100 to -50.00) points"
    assert formatting.add_sign(formatting.format_seconds(estimate(1.5, 0.25))) == "+1.50 ± 0.25 s"
    slower = formatting.format_seconds(estimate(-0.5, 0.25))
    assert formatting.add_sign(slower) == "-0.500 ± 0.250 s"


@pytest.mark.parametrize(
    ("fraction", "percent"),
    [
        (1.0, "100.00 %"),
        (0.999998, "> 99.99 %"),
        (0.99995, "> 99.99 %"),
        (0.9999, "99.99 %"),
        (0.0, "0.00 %"),
        (0.000002, "< 0.01 %"),
        (0.0001, "0.01 %"),
    ],
)
def test_only_all_is_100_percent_and_only_none_is_0(fraction: float, percent: str) -> None:
    assert formatting.format_percent(fraction) == percent


@pytest.mark.parametrize(
    ("loss", "text"), [(0.0, "0.0000"), (0.00004, "< 0.0001"), (0.0001, "0.0001"), (2.5, "2.5000")]
)
def test_a_loss_is_zero_only_if_it_is(loss: float, text: str) -> None:
    assert formatting.format_loss(loss) == text
    assert formatting.format_loss(estimate(loss)) == text


def test_the_rest() -> None:
    assert formatting.format_percent(None) == "-"
    assert formatting.format_percent(0.98765) == "98.77 %"
    assert formatting.format_loss(estimate(0.05081, 0.0021)) == "0.0508 ± 0.0021"
    assert formatting.format_loss(estimate(0.25, 0.4)) == "0.2500 (0 to 0.6500)"
    assert formatting.format_loss(estimate(2.5, 0.4)) == "2.5000 ± 0.4000"
    assert formatting.format_seconds(estimate(8.349, 0.12)) == "8.35 ± 0.12 s"
    assert [formatting.format_bytes(n) for n in (4500, 9_912_422)] == ["4.5 kB", "9.9 MB"]
    assert [formatting.plural(n, "seed") for n in (1, 2, 1000)] == [
        "1 seed",
        "2 seeds",
        "1,000 seeds",
    ]
