"""The commands that repeat a comparison."""

import shlex
from collections.abc import Mapping

from mnist_cli.schema.comparison import CompareResult
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.options import written
from mnist_cli.training.recipes import settings_of


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
    words = [word for key in varied for word in ("--vary", f"{key}={','.join(varied[key])}")]
    words = ["mnist-cli", "compare", *networks, *words, *_to_words(options)]
    if settling or len(ranges) == 1:
        count = "auto" if settling else len(result.seeds) if len(result.seeds) > 1 else None
        words += _to_words({"seed": result.seeds[0] or None, "seeds": count})
        return [shlex.join([*words, *(["--find-best"] if settling and settling.find_best else [])])]
    files = [f"seeds-{part[0]}-to-{part[-1]}.json" for part in ranges]
    parts = [
        [*words, *_to_words({"seed": part[0], "seeds": len(part), "export-json": file})]
        for part, file in zip(ranges, files, strict=True)
    ]
    return list(map(shlex.join, [*parts, ["mnist-cli", "compare", *files]]))


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
    return [
        word
        for key, given in options.items()
        if given is not None and given is not False
        for word in ((f"--{key}",) if given is True else (f"--{key}", str(given)))
    ]
