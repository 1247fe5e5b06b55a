"""The sentence about a gate: its outcome, and the figures behind it."""

from math import inf

from mnist_cli.formatting import add_sign, format_percent, format_points, format_seconds, plural
from mnist_cli.schema.comparison import Estimate
from mnist_cli.schema.gates import Gate, GateVerdict


def describe_gate(gate: Gate) -> str:
    """`gate not met: mlp: test accuracy 98.04 % (5 seeds, ...) is below --min-accuracy 0.99`."""
    what = _describe_value(gate, gate.value) if gate.value else _describe_reason(gate)
    network = f"{gate.network}: " if gate.network else ""
    return f"gate {gate.verdict}: {network}{what}"


def _describe_reason(gate: Gate) -> str:
    threshold = gate.option if gate.limit is None else f"{gate.option} {gate.limit:.10g}"
    end = {
        GateVerdict.MET: "",
        GateVerdict.NOT_MET: f", so {threshold} is not met",
        GateVerdict.NOT_PROVEN: f", so nothing is known of {threshold}",
    }
    return f"{gate.reason}{end[gate.verdict]}"


def _describe_value(gate: Gate, value: Estimate) -> str:
    open_ended = gate.verdict == GateVerdict.NOT_PROVEN
    seeds = plural(value.n, "seed")
    if gate.limit is None:
        fall = "prove a fall" if value.mean < 0 else "rule a fall out"
        doubt = f", but {seeds} do not {fall}" if open_ended else ""
        change = f"changed by {add_sign(format_points(value))} since {gate.since}"
        return f"{gate.evaluated_on} accuracy {change}{doubt}"
    by_time = gate.option == "--max-seconds"
    show = format_seconds if by_time else format_percent
    name = "training time" if by_time else f"{gate.evaluated_on} accuracy"
    level = ""
    if value.half_width is not None:
        bound = value.mean + (1 if value.mean < gate.limit else -1) * value.half_width
        bound = min(max(bound, 0), inf if by_time else 1)
        level = f", one-sided {(1 + value.confidence) / 2 * 100:.4g} % bound {show(bound)}"
    side = _describe_side(value.mean - gate.limit, 5e-3 if by_time else 5e-5)
    doubt = f", but {seeds} do not prove it" if open_ended else ""
    return (
        f"{name} {show(value.mean)} ({seeds}{level}) {side} {gate.option} {gate.limit:.10g}{doubt}"
    )


def _describe_side(above: float, rounding: float) -> str:
    """The side of the threshold, with `just` if the printed digits hide the difference."""
    if abs(above) < 1e-9:
        return "equals"
    just = "just " if abs(above) < rounding else ""
    return f"is {just}{'above' if above > 0 else 'below'}"
