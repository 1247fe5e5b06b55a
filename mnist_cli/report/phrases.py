"""The sentences of a comparison, the same in every output."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, comb

from mnist_cli.formatting import add_sign, format_points, format_seconds, plural
from mnist_cli.report import cautions, layout
from mnist_cli.report.command import describe_choice
from mnist_cli.schema.comparison import (
    ALPHA,
    CONFIDENCE,
    Change,
    CompareResult,
    Contender,
    Disagreement,
    Measure,
    ModelRuns,
    Outcome,
    Settling,
    Verdict,
)
from mnist_cli.schema.protocol import Protocol

IF_FIXED = "if all seeds were decided on before any result was seen"
INTERVAL = f"{CONFIDENCE * 100:g} % confidence interval"
RENEW = (
    "The 5 % error rate holds on average over baselines: one that is high by chance makes good "
    "builds fail, so make a new one after each accepted change."
)
PARETO = (
    "Pareto-optimal: no other network is better in accuracy or in this column without being worse "
    "in the other."
)
MEANS = f"± is the {CONFIDENCE * 100:g} % t-interval over seeds."
DEVIATIONS = (
    "std is the standard deviation of the accuracy over the seeds; no interval is given, because "
    "the number of seeds depends on the results."
)
MOST_NAMED = 6  # networks in a question
MULT_ADDS = f"Mult-adds are for a batch of {Protocol.batch_size} images."


def headline(result: CompareResult) -> list[str]:
    """The dataset, then how all networks are trained, and what is different for one of them.

    If only what --vary sets is different, the names of the networks say it.
    """
    parts = {
        model.model: layout.protocol_parts(model.protocol, at_most=result.target is not None)
        for model in result.models
    }
    shared = [part for part in next(iter(parts.values())) if all(part in p for p in parts.values())]
    own = {name: [part for part in those if part not in shared] for name, those in parts.items()}
    named = all(len(own[model.model]) <= len(model.varied) for model in result.models)
    return [
        layout.dataset_line(result.dataset),
        ", ".join([*shared, layout.seeds_line(result.seed_ranges)]),
        *(f"{name}: {', '.join(those)}" for name, those in own.items() if those and not named),
    ]


def question(result: CompareResult) -> str:
    """The question that a comparison answers."""
    names = [model.model for model in result.models]
    target = None if result.target is None else f"{result.target * 100:g} %"
    if len(names) == 1 and target:
        return f"How soon is {names[0]} at {target}?"
    if len(names) == 1:
        return f"How good is {names[0]}, at what cost?"
    predicate = f"gets to {target} first" if target else "is better, and at what cost"
    if len(names) > MOST_NAMED:
        return f"Which of {len(names)} networks {predicate}?"
    return f"Which {predicate}: {layout.listed(names, 'or')}?"


def legend(result: CompareResult) -> str:
    """The legend of a table with all figures."""
    return " ".join([*accuracy_legend(result), *cost_legend(result)])


def accuracy_legend(result: CompareResult) -> list[str]:
    """The legend of a table of accuracies: ± or sd."""
    spread = MEANS if result.settling is None else DEVIATIONS
    return [spread] if len(result.seeds) > 1 else []


def cost_legend(result: CompareResult) -> list[str]:
    """The legend of a table of costs: times, stars and mult-adds."""
    lines = []
    if result.target is not None:
        lines.append(
            f"Training time to a {result.dataset.evaluated_on} accuracy of "
            f"{result.target * 100:g} %, which is measured after each epoch."
        )
    figures = [model.figures for model in result.models if model.figures]
    if any(each.pareto_parameters or each.pareto_seconds for each in figures):
        lines.append(f"* {PARETO}")
    return [*lines, MULT_ADDS]


@dataclass(frozen=True)
class Section:
    """Lines under a head, which may be empty; the first `num_verdicts` lines are the verdicts."""

    head: str
    lines: Sequence[str]
    num_verdicts: int = 0


def findings(result: CompareResult) -> list[str]:
    """All sections, a line each."""
    return [line for section in sections(result) for line in (section.head, *section.lines) if line]


def sections(result: CompareResult) -> list[Section]:
    """Failures, targets missed, verdicts or contenders, changes, doubts and odd runs."""
    # The first line of these sections is the head.
    head, *pairs = verdicts(result) or describe_contenders(result) or [""]
    since, *changes = _describe_baseline(result) or [""]
    found = [
        Section("", [*failures(result), *cautions.collapsed(result), *_describe_missed(result)]),
        Section(head, pairs, len(result.verdicts)),
        Section("", cautions.alike(result)),
        Section(since, changes),
        Section("", [*cautions.doubts(result), *cautions.slow_runs(result)]),
        Section("", describe_choice(result)),
    ]
    return [section for section in found if section.head or section.lines]


def _describe_missed(result: CompareResult) -> list[str]:
    if result.target is None:
        return []
    target = f"{result.target * 100:g} %"
    never = [
        f"{model.model} never reached {target} within {plural(model.protocol.epochs, 'epoch')}"
        for model in result.models
        if model.runs and not any(run.reached_target for run in model.runs)
    ]
    sometimes = [
        f"{model.model} reached {target} in {reached(model)} runs: its time is not known, so it "
        "has no verdict"
        for model in result.models
        if any(run.reached_target for run in model.runs) and not model.always_reached_target
    ]
    return never + sometimes


def failures(result: CompareResult) -> list[str]:
    """A line for each network that failed."""
    return [
        model.failure
        if model.failure.startswith(model.model)
        else f"{model.model} failed: {model.failure}"
        for model in result.models
        if model.failure
    ]


def verdicts(result: CompareResult) -> list[str]:
    """A head with the test, and a line for each pair."""
    if not result.verdicts and (result.settling is None or result.settling.find_best):
        return []
    what = f"Differences on these {result.dataset.evaluated_on} images"
    if result.target is not None:
        what = "Differences in the mean time to the target"
    if result.settling:
        seeds = f"tested after {layout.looks(result.settling)} seeds"
        level = f"simultaneous {INTERVAL}s over all looks"
    else:
        known = result.journal is not None and not result.seeds_changed
        seeds = f"{plural(len(result.seeds), 'seed')}{' fixed in advance' if known else ''}"
        level = _describe_level(len(result.verdicts))
        if result.journal is None and not result.seeds_changed:
            level += f" {IF_FIXED}"
    if len(result.pairs) < comb(len(result.models), 2):
        what += " of pairs that differ in one thing, the network or one setting of --vary"
    return [
        f"{what}, paired by seed, {seeds}, {level}:",
        *(verdict(each, result.margin, result.settling) for each in result.verdicts),
        *_describe_undecided(result),
    ]


def describe_contenders(result: CompareResult) -> list[str]:
    """A head with the guarantee, and a line for each contender; empty before the first look."""
    if not (result.settling and result.contenders):
        return []
    dropped = [each for each in result.contenders if each.dropped_by]
    return [
        f"The best on these {result.dataset.evaluated_on} images, paired by seed, tested after "
        f"{layout.looks(result.settling)} seeds (with {CONFIDENCE * 100:g} % confidence, it was "
        "not dropped and all these bounds hold):",
        *map(describe_contender, [*result.remaining, *dropped]),
    ]


def describe_contender(contender: Contender) -> str:
    """`cnn is at most 0.12 points below the best (7 seeds)`, or when a network was dropped."""
    name, seeds = contender.model, plural(contender.n, "seed")
    if contender.dropped_by:
        return f"{name} was dropped after {seeds}, behind {contender.dropped_by}"
    place = f"{format_gap(contender)} below the best" if contender.gap else "the best"
    return f"{name} is {place} ({seeds})"


def format_gap(contender: Contender) -> str:
    """`at most 0.12 points`, rounded up; or `dropped`."""
    if contender.gap is None:
        return "dropped"
    return f"at most {ceil(contender.gap * 10_000) / 100:.2f} points"


def sampling(result: CompareResult) -> list[str]:
    """The uncertainty due to the test images, which more seeds do not reduce."""
    errors = {
        model.model: model.figures.sampling_error * 100 for model in result.models if model.figures
    }
    if not errors or result.target is not None:
        return []
    pairs = {
        f"{each.first} and {each.second}": each.sampling_error * 100
        for each in result.verdicts
        if each.sampling_error is not None
    }
    if pairs and len(pairs) == len(result.verdicts):
        pair = _format_range(pairs)
    else:  # the mistakes of the runs are unknown: the errors of both networks add up at worst
        pair = f"at most ±{sum(sorted(errors.values())[-2:]):.2f}"
    difference = f", differences {pair} points" if len(errors) > 1 and result.pairs else ""
    return [
        f"The finite {result.dataset.evaluated_on} set of {result.dataset.num_test:,} images adds "
        f"an uncertainty: accuracies {_format_range(errors)} points{difference}."
    ]


def _format_range(amounts: dict[str, float]) -> str:
    """`±0.12 (tinycnn and cnn) to ±0.22 (mlp and cnn)`, or a single amount."""
    least, most = min(amounts, key=amounts.__getitem__), max(amounts, key=amounts.__getitem__)
    low, high = f"±{amounts[least]:.2f}", f"±{amounts[most]:.2f}"
    return low if low == high else f"{low} ({least}) to {high} ({most})"


def trained_on(result: CompareResult) -> str:
    """The machine, and the number formats with their reasons, by network if there are several."""
    names: dict[str, list[str]] = {}
    for model in result.models:
        if model.precision:
            because = f" ({model.precision_reason})" if model.precision_reason else ""
            names.setdefault(f"in {model.precision}{because}", []).append(model.model)
    formats = list(names)
    if len(names) > 1:
        formats = [f"{layout.listed(those)} {kind}" for kind, those in names.items()]
    return f"Trained on {', '.join([layout.machine_line(result.environment), *formats])}."


def machines(result: CompareResult) -> list[str]:
    """The processors if they differ, and why there are no times."""
    runs = [run for model in result.models for run in model.runs]
    kinds = Counter(run.processor or "unknown" for run in runs)
    lines = []
    if len(kinds) > 1:
        counts = [f"{name} ({plural(count, 'run')})" for name, count in kinds.items()]
        lines.append(
            f"Different processors trained: {', '.join(counts)}. The last bits may depend on the "
            "kind."
        )
    timed = any(model.figures and model.figures.times for model in result.models)
    failed = all(model.failure for model in result.models)
    if runs and not timed and not failed:
        count = max(len({run.host for run in runs}), len(kinds))
        why = f"the runs are of {count} machines" if count > 1 else "the runs shared their machine"
        lines.append(f"No times, as {why}: --jobs 1 measures them.")
    return lines


def duration(result: CompareResult) -> list[str]:
    """How long the comparison took, if it was trained now and is complete."""
    if result.wall_seconds is None or cautions.is_incomplete(result):
        return []
    return [f"The whole comparison took {format_seconds(result.wall_seconds)}."]


def reached(model: ModelRuns) -> str:
    """How many of a network's runs reached the target: `5/5`."""
    return f"{sum(run.reached_target is True for run in model.runs)}/{len(model.runs)}"


def verdict(pair: Verdict, margin: float | None, settling: Settling | None) -> str:
    """The verdict on a pair; if seeds are added, with their number and the confidence level."""
    difference, first, second = pair.difference, pair.first, pair.second
    by_time = pair.measure == Measure.TRAIN_SECONDS
    show = format_seconds if by_time else format_points
    basis = caution = ""
    if settling:
        basis = f"{difference.n} seeds, {difference.confidence * 100:.4g} % interval"
    if pair.near_chance:
        have = "has runs" if len(pair.near_chance) == 1 else "have runs"
        caution = f"; do not trust the ±: {' and '.join(pair.near_chance)} {have} near chance"
    if pair.better:
        other = second if pair.better == first else first
        does = "is faster than" if by_time else "beats"
        amount = show(replace(difference, mean=abs(difference.mean)))
        basis = f" ({basis})" if basis else ""
        return f"{pair.better} {does} {other} by {amount}{basis}{caution}"
    amount = f"{first} - {second}: {add_sign(show(difference))}"
    if by_time:  # positive if the first is ahead, as with accuracies
        ahead = replace(difference, mean=-difference.mean)
        amount = f"{second} - {first}: {add_sign(show(ahead))}"
    basis = f"; {basis}" if basis else ""
    state = _describe_tie(pair, margin, settling)
    return f"{first} and {second} {state} ({amount}{basis}){caution}"


def _describe_tie(pair: Verdict, margin: float | None, settling: Settling | None) -> str:
    within = "" if margin is None else f" within {margin * 100:g} points"
    if pair.outcome == Outcome.EQUIVALENT:
        return f"are equivalent{within}"
    if not settling:
        also = f" or equivalent{within}" if within else ""
        return f"are not distinguishable{also} with n = {pair.difference.n}"
    if pair.outcome == Outcome.SET_ASIDE:
        seeds = plural(settling.max_seeds, "seed")
        return f"are not distinguishable: {seeds} are unlikely to decide"
    return "have no verdict yet"


def _describe_undecided(result: CompareResult) -> list[str]:
    decided = {(pair.first, pair.second) for pair in result.verdicts}
    lines = []
    for first, second in result.pairs:
        if result.settling and (first.model, second.model) not in decided:
            failed = " and ".join(each.model for each in (first, second) if each.failure)
            why = f"{failed} failed" if failed else "too few seeds yet"
            lines.append(f"{first.model} and {second.model} have no verdict: {why}")
    return lines


def _describe_level(count: int) -> str:
    return f"simultaneous {INTERVAL}s" if count > 1 else INTERVAL


def _describe_baseline(result: CompareResult) -> list[str]:
    if result.baseline is None:
        return []
    note = f" ({result.baseline.note})" if result.baseline.note else ""
    known = sum(change.difference is not None for change in result.baseline.changes)
    level = f", {_describe_level(known)}" if known else ""
    lines = [f"Since {result.baseline.file}{note}{level}:"]
    lines += map(_describe_change, result.baseline.changes)
    return [*lines, RENEW] if known else lines


def _describe_change(change: Change) -> str:
    if change.difference is None:
        return f"{change.model}: no change known; it has no runs there, or failed here"
    seeds = change.difference.n
    if change.identical:
        return f"{change.model}: the same accuracy with each of {plural(seeds, 'seed')}"
    how = f"paired by seed, n = {seeds}" if change.paired else "seeds unpaired"
    if change.adjusted_p is None or change.adjusted_p >= ALPHA:
        how += ", not distinguishable from no change"
    if change.near_chance:
        how += "; do not trust the ±: it has runs near chance"
    return f"{change.model}: {add_sign(format_points(change.difference))}, {how}"


def disagreement(pair: Disagreement) -> str:
    """The line of a pair of checkpoints."""
    counts = (
        f"{pair.first} alone is right on {plural(pair.only_first_right, 'image')}, "
        f"{pair.second} alone on {plural(pair.only_second_right, 'image')}"
    )
    p = f"p = {pair.adjusted_p:.2g}"
    if pair.better is None:
        return f"{pair.first} and {pair.second} are not distinguishable ({p}): {counts}"
    low, high = sorted((abs(pair.low), abs(pair.high)))
    other = pair.second if pair.better == pair.first else pair.first
    return (
        f"{pair.better} beats {other} by {abs(pair.difference) * 100:.2f} points "
        f"({low * 100:.2f} to {high * 100:.2f}, {p}): {counts}"
    )
