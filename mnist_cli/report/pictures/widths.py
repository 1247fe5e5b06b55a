"""The curve of a network over its sizes: accuracy against parameters."""

from mnist_cli.networks.registry import plain_name
from mnist_cli.report.pictures.style import accuracy_ends
from mnist_cli.schema.comparison import CompareResult


def join_widths(result: CompareResult) -> list[tuple[int, list[tuple[float, float]]]]:
    """The curve of each network that a comparison has in several sizes.

    These are rows that differ only in arguments, such as `mlp` and `mlp(hidden=128)`. A curve is
    the position of its first row, and (parameters, accuracy in percent) in the order of parameters.
    """
    curves: dict[tuple[object, ...], tuple[int, list[tuple[float, float]]]] = {}
    for position, model in enumerate(result.models):
        if model.figures and model.total_parameters:
            network = plain_name(model.network or model.model), *model.varied.items()
            _, places = curves.setdefault(network, (position, []))
            places.append((model.total_parameters, accuracy_ends(model.figures)[0]))
            places.sort()
    return [(first, places) for first, places in curves.values() if places[0][0] < places[-1][0]]
