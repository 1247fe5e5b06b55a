"""What a comparison says in sentences, for the terminal and for Markdown alike."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from mnist_cli.formatting import (
    format_duration,
    format_points,
    format_seconds,
    format_signed_points,
    plural,
)
from mnist_cli.report import layout
from mnist_cli.schema.comparison import (
    ALPHA,
    CONFIDENCE,
    CheckpointComparison,
    CompareResult,
    Disagreement,
    Measure,
    ModelRuns,
    Outcome,
    Settling,
    Verdict,
)
from mnist_cli.schema.protocol import Protocol

LOOKED_TWICE = (
    "This journal was begun with other seeds, and could be looked at before: with each look, a "
    "false verdict or gate is likelier than the 5 % that hold for one. --until-settled may look."
)
UNFINISHED = "Runs are missing: the 5 % hold for what is said after the last one."
PARETO = (
    "Pareto-optimal by these figures: no other network is better on one figure without being worse "
    "on the other."
)
MEANS = f"± is the {CONFIDENCE * 100:g} % interval of a network's mean over its seeds."
DEVIATIONS = "sd is the standard deviation of the accuracy over the seeds."
MOST_NAMED = 6  # networks in a question
MULT_ADDS = f"Mult-adds are for a batch of {Protocol.batch_size} images."


def headline(result: CompareResult) -> list[str]:
    """The dataset, then the protocol: one line where all networks share it, else a line each."""
    seeds = layout.seeds_line(result.seeds)
    most = "at most " if result.target is not None else ""
    lines = [f"{most}{layout.protocol_line(model.protocol)}, {seeds}" for model in result.models]
    if len(set(lines)) > 1:
        names = [model.model for model in result.models]
        lines = [f"{name}: {line}" for name, line in zip(names, lines, strict=True)]
    return [layout.dataset_line(result.dataset), *dict.fromkeys(lines)]


def question(result: CompareResult) -> str:
    """What a comparison was made to find out."""
    names = [model.model for model in result.models]
    target = None if result.target is None else f"{result.target * 100:g} %"
    if len(names) == 1:
        [name] = names
        return (
            f"How soon is {name} at {target}?" if target else f"How good is {name}, at what cost?"
        )
    asked = f"gets to {target} first" if target else "is better, and at what cost"
    if len(names) > MOST_NAMED:
        return f"Which of {len(names)} networks {asked}?"
    return f"Which {asked}: {', '.join(names[:-1])} or {names[-1]}?"


def legend(result: CompareResult) -> str:
    """What ± or sd, the marks and the counts in one table of all figures mean."""
    return " ".join([*accuracy_legend(result), *cost_legend(result)])


def accuracy_legend(result: CompareResult) -> list[str]:
    """What ± or sd means in a table of accuracies."""
    spread = MEANS if result.settling is None else DEVIATIONS
    return [spread] if len(result.seeds) > 1 else []


def cost_legend(result: CompareResult) -> list[str]:
    """What times, marks and mult-adds mean in a table of costs."""
    lines = []
    if result.target is not None:
        lines.append(
            f"Training time to {result.target * 100:g} % of the test images, looked at after each "
            "epoch."
        )
    if any(
        model.figures.pareto_parameters or model.figures.pareto_seconds
        for model in result.models
        if model.figures
    ):
        lines.append(f"* {PARETO}")
    return [*lines, MULT_ADDS]


@dataclass(frozen=True)
class Section:
    """Lines under a head, which may be empty; the first `judged` are of `result.verdicts`."""

    head: str
    lines: Sequence[str]
    judged: int = 0


def findings(result: CompareResult) -> list[str]:
    """All sections, a line each."""
    return [line for section in sections(result) for line in (section.head, *section.lines) if line]


def sections(result: CompareResult) -> list[Section]:
    """Failures, targets missed, verdicts, changes since a baseline, doubts and slow runs."""
    lines = failures(result)
    if result.target is not None:
        lines += [
            f"{model.model} never reached {result.target * 100:g} % within "
            f"{plural(model.protocol.epochs, 'epoch')}"
            for model in result.models
            if model.runs and not any(run.reached_target for run in model.runs)
        ]
        lines += [
            f"{model.model} reached {result.target * 100:g} % in {reached(model)} runs: how long "
            "it takes is not known, so it has no verdict"
            for model in result.models
            if any(run.reached_target for run in model.runs) and not model.always_reached_target
        ]
    # verdicts and changes come with their head, or not at all
    head, *judged = verdicts(result) or [""]
    since, *changes = _since_baseline(result) or [""]
    last = _doubts(result)
    last += [
        f"{model.model}: seed {run.seed} took {format_seconds(run.train_seconds)}, far from the "
        f"median of {format_seconds(model.figures.times[0])}; was the machine busy?"
        for model in result.models
        if model.figures and model.figures.times
        for run in model.runs
        if run.seed in model.figures.outlier_seeds
    ]
    found = [
        Section("", lines),
        Section(head, judged, len(result.verdicts)),
        Section("", _alike(result)),
        Section(since, changes),
        Section("", last),
    ]
    return [section for section in found if section.head or section.lines]


def failures(result: CompareResult) -> list[str]:
    """A line for each network that failed; where a reason begins with its name, it stands once."""
    return [
        model.failure
        if model.failure.startswith(model.model)
        else f"{model.model} failed: {model.failure}"
        for model in result.models
        if model.failure
    ]


def verdicts(result: CompareResult) -> list[str]:
    """A line for each pair under one that says how they were judged."""
    if not result.verdicts and result.settling is None:
        return []
    what = "Differences" if result.target is None else "Differences of mean times"
    if result.settling:
        seeds = f"looked at after {looks(result.settling)} seeds"
        together = f"all intervals at all looks hold together with {CONFIDENCE * 100:g} %"
    else:
        fixed = "" if result.seeds_changed else " fixed in advance"
        seeds = f"{plural(len(result.seeds), 'seed')}{fixed}"
        together = _level(len(result.verdicts))
    return [
        f"{what} on these test images, paired by seed, {seeds}, {together}:",
        *(verdict(each, result.margin, result.settling) for each in result.verdicts),
        *_undecided(result),
    ]


def sampling(result: CompareResult) -> list[str]:
    """How much the choice of test images matters, which no number of seeds changes."""
    errors = {
        model.model: model.figures.sampling_error * 100 for model in result.models if model.figures
    }
    if not errors or result.target is not None:
        return []
    least, most = min(errors, key=errors.__getitem__), max(errors, key=errors.__getitem__)
    low, high = f"{errors[least]:.2f}", f"{errors[most]:.2f}"
    amount = f"±{low}" if low == high else f"±{low} ({least}) to ±{high} ({most})"
    # The errors of two networks on the same images add up at worst.
    worst = sum(sorted(errors.values())[-2:])
    pair = f", a difference of two by ±{worst:.2f} at most" if len(errors) > 1 else ""
    return [
        f"Apart from seeds: {result.dataset.num_test:,} test images leave an accuracy uncertain by "
        f"{amount} points{pair}."
    ]


def trained_on(result: CompareResult) -> str:
    """The machine and the number formats: `in fp32`, `in fp32 (mlp) and bf16 (strongcnn)`."""
    names: dict[str, list[str]] = {}
    for model in result.models:
        if model.precision:
            names.setdefault(model.precision, []).append(model.model)
    formats = [
        name if len(names) == 1 else f"{name} ({', '.join(names[name])})"
        for name in sorted(names, reverse=True)
    ]
    suffix = f", in {' and '.join(formats)}" if formats else ""
    return f"Trained on {layout.machine_line(result.environment)}{suffix}."


def machines(result: CompareResult) -> list[str]:
    """Which processors trained where there are several kinds, and why times are left out."""
    runs = [run for model in result.models for run in model.runs]
    kinds = Counter(run.processor for run in runs)
    lines = []
    if len(kinds) > 1:
        named = ", ".join(
            f"{name or 'unknown'} ({plural(count, 'run')})" for name, count in kinds.items()
        )
        lines.append(
            f"Different processors trained: {named}. The last bits may depend on the kind."
        )
    if runs and not any(model.figures and model.figures.times for model in result.models):
        hosts = len({run.host for run in runs})
        why = "the runs shared their machine"
        if hosts > 1 or len(kinds) > 1:
            why = f"the runs are of {plural(max(hosts, len(kinds)), 'machine')}"
        failed = all(model.failure for model in result.models)
        if not failed:
            lines.append(f"No times, as {why}: --jobs 1 measures them.")
    return lines


def duration(result: CompareResult) -> list[str]:
    """How long the comparison took, where it was trained now."""
    if result.wall_seconds is None:
        return []
    return [f"The whole comparison took {format_seconds(result.wall_seconds)}."]


def reached(model: ModelRuns) -> str:
    """How many of a network's runs got to the target: `5/5`."""
    return f"{sum(run.reached_target is True for run in model.runs)}/{len(model.runs)}"


def _doubts(result: CompareResult) -> list[str]:
    """Why the 5 % may not hold that verdicts and gates promise."""
    missing = any(not m.failure and len(m.runs) < len(result.seeds) for m in result.models)
    lines = [UNFINISHED] if missing and result.verdicts and not result.settling else []
    return [*lines, LOOKED_TWICE] if result.seeds_changed else lines


def _alike(result: CompareResult) -> list[str]:
    """A line for each two networks that no run tells apart: a setting may have no effect."""
    figures = {
        model.model: [(run.seed, run.test_accuracy, run.test_loss) for run in model.runs]
        for model in result.models
    }
    return [
        f"{first} and {second} have the same accuracy and loss with each seed: they do the same"
        for first, second in combinations(figures, 2)
        if figures[first] and figures[first] == figures[second]
    ]


def verdict(pair: Verdict, margin: float | None, settling: Settling | None) -> str:
    """What is known of a pair; where seeds are added, with how many it took and the level."""
    by_time = pair.measure == Measure.TRAIN_SECONDS
    size = replace(pair.difference, mean=abs(pair.difference.mean))
    amount = format_duration(size) if by_time else format_points(size)
    names = f"{pair.first} and {pair.second}"
    basis = f" ({size.n} seeds, {size.confidence * 100:.4g} %)" if settling else ""
    within = "" if margin is None else f" within {margin * 100:g} points"
    if pair.better:
        other = pair.second if pair.better == pair.first else pair.first
        does = "is faster than" if by_time else "beats"
        return f"{pair.better} {does} {other} by {amount}{basis}"
    if pair.outcome == Outcome.EQUIVALENT:
        return f"{names} are equivalent{within}: {amount}{basis}"
    if pair.outcome == Outcome.SET_ASIDE and settling:
        most = plural(settling.max_seeds, "seed")
        return f"{names} are set aside, as {most} hardly settle them: {amount}{basis}"
    if settling:
        return f"{names} are not settled yet: {amount}{basis}"
    also = f" or equivalent{within}" if within else ""
    return f"{names} are not distinguishable{also} with n = {size.n} ({amount})"


def looks(settling: Settling) -> str:
    """The numbers of seeds at which a pair may be looked at: `4, 5, 7, 10`."""
    return ", ".join(map(str, settling.allowed_looks))


def _undecided(result: CompareResult) -> list[str]:
    """While seeds are added, a line for each pair that was never looked at."""
    judged = {(pair.first, pair.second) for pair in result.verdicts}
    return [
        f"{first.model} and {second.model} are undecided: "
        + (" and ".join(failed) + " failed" if failed else "they have too few seeds yet")
        for first, second in combinations(result.models, 2)
        if result.settling and (first.model, second.model) not in judged
        for failed in [[model.model for model in (first, second) if model.failure]]
    ]


def disagreements(result: CheckpointComparison) -> list[str]:
    """A line for each pair of checkpoints."""
    return [_disagreement(pair) for pair in result.disagreements]


def _level(count: int) -> str:
    """At which level `count` differences have their ±."""
    level = f"{CONFIDENCE * 100:g} %"
    return f"all {count} intervals hold together with {level}" if count > 1 else f"at {level}"


def _since_baseline(result: CompareResult) -> list[str]:
    if result.baseline is None:
        return []
    note = f" ({result.baseline.note})" if result.baseline.note else ""
    known = sum(change.difference is not None for change in result.baseline.changes)
    level = f", {_level(known)}" if known else ""
    lines = [f"Since {result.baseline.file}{note}{level}:"]
    for change in result.baseline.changes:
        if change.difference is None:
            lines.append(f"{change.model}: no change known; it has no runs there, or failed here")
        else:
            clear = change.adjusted_p is not None and change.adjusted_p < ALPHA
            doubt = "" if clear else ", not distinguishable from no change"
            how = "paired by seed" if change.paired else "seeds unpaired"
            lines.append(f"{change.model}: {format_signed_points(change.difference)}, {how}{doubt}")
    return lines


def _disagreement(pair: Disagreement) -> str:
    counts = (
        f"{pair.first} alone is right on {plural(pair.only_first_right, 'image')}, "
        f"{pair.second} alone on {plural(pair.only_second_right, 'image')}"
    )
    if pair.better is None:
        return f"{counts}: not distinguishable (p = {pair.adjusted_p:.2g})"
    low, high = sorted((abs(pair.low), abs(pair.high)))
    return (
        f"{counts}: {pair.better} is better by {abs(pair.difference) * 100:.2f} points "
        f"({low * 100:.2f} to {high * 100:.2f}, p = {pair.adjusted_p:.2g})"
    )
