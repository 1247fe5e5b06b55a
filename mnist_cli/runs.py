"""One function a command: options in, result out, events on the way."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from mnist_cli import checkpoint, complexity, datasets, engine
from mnist_cli.config import (
    CompareOptions,
    DataOptions,
    DatasetName,
    EvalOptions,
    Precision,
    Protocol,
    SamplesOptions,
    Schedule,
    Split,
    SummaryOptions,
    TrainOptions,
)
from mnist_cli.datasets import Dataset, LabelledImages
from mnist_cli.device import environment, resolve_device, resolve_precision
from mnist_cli.errors import MnistCliError, Terminated, UsageError
from mnist_cli.events import EpochFinished, Notice, OnEvent, RunFinished, TrainingProgress
from mnist_cli.metrics import per_class
from mnist_cli.registry import MODELS, ModelSpec
from mnist_cli.results import (
    CompareResult,
    EpochResult,
    EvalResult,
    ModelRuns,
    ModelSummary,
    Run,
    Sample,
    SamplesResult,
    SummaryResult,
    TrainResult,
)


def train(options: TrainOptions, on_event: OnEvent) -> TrainResult:
    """Train one network, evaluate and save it after every epoch, and return the last state.

    Raises:
        UsageError: the device does not exist, or the file to resume is of another training.
        MnistCliError: network, data, loss or output fails; finished epochs stay saved.
    """
    device = resolve_device(options.device)
    model = engine.build(options.model, options.seed)
    cost, _ = complexity.summarize(options.model.name, model)
    precision = _precision(options.precision, device, cost)
    resumed = checkpoint.load(options.resume) if options.resume else None
    if resumed:
        _check_same_training(options, precision, resumed)
    dataset = datasets.load(_data_of(options.data, resumed), on_event)
    examples, test = _examples(dataset.train, device), _examples(dataset.test, device)

    engine.place(model, device)
    optimizer = engine.make_optimizer(model, options.protocol)
    epochs: list[EpochResult] = []
    if resumed:
        checkpoint.restore_model(resumed, model)
        checkpoint.restore_optimizer(resumed, optimizer)
        epochs += resumed.record.epochs
    elif options.checkpoint.exists():
        on_event(Notice(f"{options.checkpoint} will be replaced; --output FILE writes elsewhere"))

    checkpoint.collect(model, optimizer)  # what cannot be saved is refused before it is trained
    name, path = options.model.name, options.checkpoint
    saved: TrainResult | None = None
    try:
        for fitted in engine.fit(
            model,
            optimizer,
            examples,
            options.protocol,
            options.seed,
            precision,
            first_epoch=len(epochs) + 1,
            on_step=_progress(name, options.protocol, on_event),
        ):
            evaluation = engine.evaluate(model, test)
            epochs.append(
                EpochResult(
                    epoch=fitted.epoch,
                    train_loss=fitted.train_loss,
                    test_loss=evaluation.test_loss,
                    test_accuracy=evaluation.test_accuracy,
                    train_seconds=fitted.train_seconds,
                )
            )
            tensors = checkpoint.collect(model, optimizer)
            result = TrainResult(
                model=name,
                parameters=cost.parameters,
                dataset=dataset.info,
                environment=environment(device),
                protocol=options.protocol,
                precision=str(precision),
                seed=options.seed,
                epochs=tuple(epochs),
                test_accuracy=evaluation.test_accuracy,
                test_loss=evaluation.test_loss,
                train_seconds=sum(epoch.train_seconds for epoch in epochs),
                tensors_sha256=checkpoint.digest(tensors),
                checkpoint=str(path),
            )
            checkpoint.save(path, result, tensors)
            saved = result
            on_event(EpochFinished(name, options.protocol.epochs, epochs[-1]))
    except (KeyboardInterrupt, Terminated, MnistCliError):
        if saved is not None:
            done = f"{len(saved.epochs)} of {options.protocol.epochs} epochs"
            on_event(Notice(f"{path} holds {done}; go on with --resume {path}"))
        raise
    assert saved is not None  # a protocol has at least one epoch, a resumed one another
    return saved


def evaluate(options: EvalOptions, on_event: OnEvent) -> EvalResult:
    """Measure a checkpoint on a test set, by default that of its own dataset.

    Raises:
        UsageError: the network is a custom one and was not named, or there is no such device.
        MnistCliError: the file or the data are damaged, or do not fit the network.
    """
    device = resolve_device(options.device)
    saved, model = _trained(options.checkpoint, options.model)
    dataset = datasets.load(_data_of(options.data, saved), on_event)
    _warn_of_leak(saved.record, dataset, on_event)
    evaluation = engine.evaluate(engine.place(model, device), _examples(dataset.test, device))
    figures = vars(saved.record) | {
        "dataset": dataset.info,
        "environment": environment(device),
        "test_accuracy": evaluation.test_accuracy,
        "test_loss": evaluation.test_loss,
        "checkpoint": str(options.checkpoint),
    }
    return EvalResult(
        **figures,
        trained_on=saved.record.dataset.name,
        trained_in=saved.record.environment,
        num_samples=evaluation.num_samples,
        per_class=per_class(evaluation.confusion_matrix),
        confusion_matrix=evaluation.confusion_matrix,
    )


def summary(options: SummaryOptions) -> tuple[SummaryResult, list[str]]:
    """Count the parameters and operations of one network, or of all registered ones.

    Returns:
        The figures, and torchinfo's table for each network.

    Raises:
        MnistCliError: the network cannot be made.
    """
    specs = [options.model] if options.model else list(MODELS.values())
    pairs = [
        complexity.summarize(spec.name, engine.build(spec, seed=0), options.batch_size)
        for spec in specs
    ]
    return SummaryResult(tuple(figures for figures, _ in pairs)), [table for _, table in pairs]


def compare(options: CompareOptions, on_event: OnEvent) -> CompareResult:
    """Train several networks alike and evaluate each once at its end.

    Raises:
        UsageError: the device does not exist.
        MnistCliError: a network or the data fail.
    """
    device = resolve_device(options.device)
    models = [engine.build(spec, options.seed) for spec in options.models]
    protocols = options.models.values()
    costs = [
        complexity.summarize(spec.name, model)[0]
        for spec, model in zip(options.models, models, strict=True)
    ]
    dataset = datasets.load(options.data, on_event)
    examples, test = _examples(dataset.train, device), _examples(dataset.test, device)
    rows = []
    for cost, model, protocol in zip(costs, models, protocols, strict=True):
        engine.place(model, device)
        optimizer = engine.make_optimizer(model, protocol)
        on_step = _progress(cost.model, protocol, on_event)
        precision = _precision(options.precision, device, cost)
        fitted = engine.fit(
            model, optimizer, examples, protocol, options.seed, precision, on_step=on_step
        )
        seconds = sum(epoch.train_seconds for epoch in fitted)
        evaluation = engine.evaluate(model, test)
        run = Run(options.seed, evaluation.test_accuracy, evaluation.test_loss, seconds)
        rows.append(
            ModelRuns(
                model=cost.model,
                parameters=cost.parameters,
                mult_adds=cost.mult_adds,
                protocol=protocol,
                precision=str(precision),
                runs=(run,),
            )
        )
        on_event(RunFinished(cost.model, protocol.epochs, run))
    return CompareResult(
        dataset=dataset.info,
        environment=environment(device),
        models=tuple(rows),
    )


def show_samples(
    options: SamplesOptions, on_event: OnEvent
) -> tuple[SamplesResult, LabelledImages]:
    """Choose images by seed, label and, with a checkpoint, by whether it gets them wrong.

    Returns:
        What was chosen, and those images in the same order.

    Raises:
        UsageError: the network is a custom one and was not named, or there is no such device.
        MnistCliError: the file or the data are damaged.
    """
    device = resolve_device(options.device)
    saved, model = (
        _trained(options.checkpoint, options.model) if options.checkpoint else (None, None)
    )
    dataset = datasets.load(_data_of(options.data, saved), on_event)
    split = options.split or (Split.TEST if saved else Split.TRAIN)
    labelled = dataset.train if split == Split.TRAIN else dataset.test

    fits = np.ones(len(labelled.labels), dtype=bool)
    if options.label is not None:
        fits &= labelled.labels == options.label
    predictions = None
    if model is not None:
        logits = engine.predict(engine.place(model, device), _examples(labelled, device).images)
        predictions = logits.argmax(1).numpy()
        if options.errors:
            fits &= predictions != labelled.labels
    shuffled = np.random.default_rng(options.seed).permutation(np.flatnonzero(fits))
    chosen = shuffled[: options.count]
    if len(chosen) < options.count:
        on_event(Notice(f"only {len(chosen)} of {options.count} images fit in the {split} set"))
    result = SamplesResult(
        dataset=dataset.info,
        split=str(split),
        samples=tuple(
            Sample(
                index=int(index),
                label=int(labelled.labels[index]),
                prediction=None if predictions is None else int(predictions[index]),
            )
            for index in chosen
        ),
        checkpoint=str(options.checkpoint) if options.checkpoint else None,
        output=str(options.output) if options.output else None,
    )
    return result, LabelledImages(labelled.images[chosen], labelled.labels[chosen])


def _examples(labelled: LabelledImages, device: torch.device) -> engine.Examples:
    return engine.to_device(labelled.images, labelled.labels, device)


def _progress(name: str, protocol: Protocol, on_event: OnEvent) -> engine.OnStep:
    def report(epoch: int, step: int, steps: int) -> None:
        on_event(TrainingProgress(name, epoch, protocol.epochs, step, steps))

    return report


def _trained(path: Path, custom: ModelSpec | None) -> tuple[checkpoint.Checkpoint, nn.Module]:
    """Load a checkpoint into its network. A name in a file is looked up, never imported."""
    saved = checkpoint.load(path)
    spec = custom or MODELS.get(saved.record.model)
    if spec is None:
        raise UsageError(
            f"{path} holds the custom network {saved.record.model!r}: "
            "name its code with --model package.module:Name or path/file.py:Name"
        )
    model = engine.build(spec, saved.record.seed)
    checkpoint.restore_model(saved, model)
    return saved, model


def _data_of(data: DataOptions, saved: checkpoint.Checkpoint | None) -> DataOptions:
    """With a checkpoint, `auto` is the dataset of its training."""
    if saved is None or data.dataset != DatasetName.AUTO:
        return data
    return DataOptions(DatasetName(saved.record.dataset.name), data.data_dir)


def _precision(precision: Precision, device: torch.device, cost: ModelSummary) -> Precision:
    return resolve_precision(precision, device, cost.mult_adds / cost.batch_size)


def _check_same_training(
    options: TrainOptions, precision: Precision, resumed: checkpoint.Checkpoint
) -> None:
    record, wanted = resumed.record, options.protocol
    # Where the rate depends on the number of epochs, so does every step.
    epochs = record.protocol.epochs if wanted.schedule != Schedule.CONSTANT else wanted.epochs
    both_custom = options.model.custom and record.model not in MODELS
    differences = [
        f"{option} {was}"
        for option, was, now in (
            ("MODEL", record.model, record.model if both_custom else options.model.name),
            ("--recipe", record.protocol.recipe, wanted.recipe),
            ("--epochs", epochs, wanted.epochs),
            ("--batch-size", record.protocol.batch_size, wanted.batch_size),
            ("--lr", record.protocol.lr, wanted.lr),
            ("--precision", record.precision, precision),
            ("--seed", record.seed, options.seed),
            ("--dataset", record.dataset.name, _data_of(options.data, resumed).dataset),
        )
        if was != now
    ]
    if differences:
        raise UsageError(
            f"{resumed.path} was trained otherwise; to resume it give {', '.join(differences)}"
        )
    if wanted.epochs <= len(record.epochs):
        raise UsageError(
            f"{resumed.path} has {len(record.epochs)} epochs already; "
            f"ask for more with --epochs {len(record.epochs) + 1} or above"
        )


def _warn_of_leak(record: TrainResult, dataset: Dataset, on_event: OnEvent) -> None:
    if dataset.info.name == DatasetName.MNIST5K and record.dataset.name == DatasetName.MNIST:
        on_event(
            Notice(
                "mnist5k consists of MNIST training images, which this network was trained on: "
                "this accuracy says nothing about new images"
            )
        )
