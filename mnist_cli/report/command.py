"""The command that makes a comparison again, from its result alone."""

import shlex

from mnist_cli.schema.comparison import CompareResult
from mnist_cli.schema.networks import ModelSpec
from mnist_cli.schema.protocol import Recipe, Settings
from mnist_cli.training.recipes import protocol_of


def repeating(result: CompareResult) -> str:
    """`mnist-cli compare ...` with the same networks, seeds, images, protocols and formats.

    What --until-settled reached by its time limit is not repeated: seeds go on to their end.
    """
    networks = dict.fromkeys(model.network or model.model for model in result.models)
    varied: dict[str, dict[str, None]] = {}  # the values of each setting, in their order
    options: dict[str, object] = {}
    for model in result.models:
        for key, value in model.varied.items():
            text = f"{value:.10g}" if isinstance(value, float) else str(value)
            varied.setdefault(key, {})[text] = None
        recipe = model.protocol.recipe
        usual = protocol_of(Settings(recipe), ModelSpec(model.network or model.model, ""))
        options |= {"recipe": recipe} if recipe != Recipe.ARTICLE else {}
        for name in ("epochs", "batch_size", "lr"):
            value = getattr(model.protocol, name)
            if value != getattr(usual, name):
                options[name.replace("_", "-")] = value
    # Where networks had several formats, `auto` chose them, and does so again.
    formats = {model.precision for model in result.models if model.precision}
    options |= {"precision": formats.pop()} if len(formats) == 1 else {}
    options = {key: value for key, value in options.items() if key not in varied}
    first, count, settling = result.seeds[0], len(result.seeds), result.settling
    options |= {
        "seed": first or None,
        "seeds": count if count > 1 and not settling else None,
        "max-seeds": settling.max_seeds if settling else None,
        "margin": result.margin,
        "target": result.target,
        "dataset": result.dataset.name,
        "device": result.environment.device,
    }
    words = [word for key in varied for word in ("--vary", f"{key}={','.join(varied[key])}")]
    words += ["--until-settled"] if settling else []
    for key, given in options.items():
        words += [f"--{key}", str(given)] if given is not None else []
    return shlex.join(["mnist-cli", "compare", *networks, *words])
