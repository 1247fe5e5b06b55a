"""The commands that repeat a comparison, or test the setting that it chose."""

import shlex
from collections.abc import Mapping
from dataclasses import replace

from mnist_cli.report.cautions import is_incomplete
from mnist_cli.report.layout import join
from mnist_cli.schema.comparison import CompareResult, ModelRuns
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.options import LEAST_RUNS, written
from mnist_cli.training.recipes import settings_of

NOT_OPTIONS = {"dropout"}  # settings that only --vary changes


def repeating(result: CompareResult) -> list[str]:
    """`mnist-cli compare ...` with the same networks, seeds, images, settings, device and threads.

    If seeds have gaps, each range has a command, and a last one merges the exports. The commands
    have no time limit.
    """
    networks = dict.fromkeys(model.network or model.model for model in result.models)
    varied: dict[str, dict[str, None]] = {}  # the values of each setting, in their order
    for model in result.models:
        for key, value in model.varied.items():
            varied.setdefault(key, {})[written(value)] = None
    options = {key: value for key, value in _list_settings(result).items() if key not in varied}
    settling, ranges = result.settling, result.seed_ranges
    options |= {
        "max-seeds": settling.max_seeds if settling else None,
        "margin": result.margin,
        "target": result.target,
        "dataset": result.dataset.name,
        "as-digits": result.dataset.as_digits,
        "hold-out": result.dataset.hold_out_option or None,
        "device": result.environment.device,
        "threads": result.environment.threads,
    }
    words = ["mnist-cli", "compare", *networks]
    for key, values in varied.items():
        words += ["--vary", f"{key}={','.join(values)}"]
    words += _to_words(options)
    if settling or len(ranges) == 1:
        count = "auto" if settling else len(result.seeds) if len(result.seeds) > 1 else None
        best = settling is not None and settling.find_best
        seeds = {"seed": result.seeds[0] or None, "seeds": count, "find-best": best}
        return [shlex.join([*words, *_to_words(seeds)])]
    files = [f"seeds-{part[0]}-to-{part[-1]}.json" for part in ranges]
    parts = [
        [*words, *_to_words({"seed": part[0], "seeds": len(part), "export-json": file})]
        for part, file in zip(ranges, files, strict=True)
    ]
    return list(map(shlex.join, [*parts, ["mnist-cli", "compare", *files]]))


def describe_choice(result: CompareResult) -> list[str]:
    """The setting with the highest accuracy, those that may be as good, and how to test it.

    Empty unless settings were varied on held-out images, and all runs are finished.
    """
    varied = any(model.varied for model in result.models)
    if not (result.dataset.hold_out and varied) or result.target is not None:
        return []
    models = {model.model: model for model in result.models}
    means = {
        name: model.figures.test_accuracy.mean for name, model in models.items() if model.figures
    }
    beaten = {worse for _, worse in result.beaten}
    candidates = [each.model for each in result.remaining]
    candidates = candidates or [name for name in means if name not in beaten]
    if not candidates or is_incomplete(result):
        return []
    chosen, *others = sorted(candidates, key=means.__getitem__, reverse=True)
    rest = ""
    if len(result.seeds) == 1:
        rest = ", with one seed"
    elif others:
        rest = f"; {join(others)} may be as good"
    return [
        f"Chosen on {result.dataset.num_test:,} validation images: {chosen}{rest}.",
        f"To train it with all images and test it once: {_make_test(result, models[chosen])}",
    ]


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
    return repeating(test)[0]


def _list_settings(result: CompareResult) -> dict[str, object]:
    """The training options that differ from the recipe."""
    options: dict[str, object] = {}
    for model in result.models:
        settings = settings_of(model.protocol, ModelSpec(model.network or model.model, ""))
        options |= {key.replace("_", "-"): value for key, value in settings.items()}
    formats = {model.precision for model in result.models if model.precision}
    if len(formats) == 1:  # else `auto` chose several formats, and chooses them again
        options["precision"] = formats.pop()
    return options


def _to_words(options: Mapping[str, object]) -> list[str]:
    words = []
    for key, given in options.items():
        if given is True:
            words.append(f"--{key}")
        elif given is not None and given is not False:
            words += [f"--{key}", str(given)]
    return words
