"""What a comparison of settings on held-out images chose, and the command that tests it once."""

from dataclasses import replace

from mnist_cli.report.cautions import is_incomplete
from mnist_cli.report.command import repeating
from mnist_cli.report.layout import join
from mnist_cli.schema.comparison import CompareResult, ModelRuns
from mnist_cli.schema.options import LEAST_RUNS

NOT_OPTIONS = {"dropout"}  # settings that only --vary changes


def describe_choice(result: CompareResult) -> list[str]:
    """The setting with the highest accuracy, those that may be as good, and how to test it.

    Empty unless settings were varied on held-out images, and all runs are finished.
    """
    known = {model.model: model for model in result.models if model.figures}
    varied = any(model.varied for model in result.models)
    if not (result.dataset.hold_out and varied and known) or is_incomplete(result):
        return []
    if result.target is not None:
        return []
    beaten = {worse for _, worse in result.beaten}
    candidates = [each.model for each in result.remaining] or [
        name for name in known if name not in beaten
    ]
    ranked = sorted(
        (name for name in candidates if name in known),
        key=lambda name: -_mean_accuracy(known[name]),
    )
    chosen, *others = ranked
    rest = ""
    if len(result.seeds) == 1:
        rest = ", with one seed"
    elif others:
        rest = f"; {join(others)} may be as good" if others else ""
    return [
        f"Chosen on {result.dataset.num_test:,} validation images: {chosen}{rest}.",
        f"To train it with all images and test it once: {_make_test(result, known[chosen])}",
    ]


def _mean_accuracy(model: ModelRuns) -> float:
    return model.figures.test_accuracy.mean if model.figures else 0.0


def _make_test(result: CompareResult, chosen: ModelRuns) -> str:
    """The command that trains with all images and new seeds, and evaluates on the test images."""
    varied = {key: value for key, value in chosen.varied.items() if key in NOT_OPTIONS}
    first = max(result.seeds) + 1
    test = replace(
        result,
        models=(replace(chosen, varied=varied),),
        dataset=replace(result.dataset, hold_out=0),
        seeds=tuple(range(first, first + LEAST_RUNS)),
        settling=None,
        margin=None,
    )
    [command] = repeating(test)
    return command
