"""`train`: one network, one seed, saved after every epoch."""

from mnist_cli import checkpoint, complexity, engine
from mnist_cli.config import (
    Precision,
    Schedule,
    TrainOptions,
)
from mnist_cli.data import datasets
from mnist_cli.device import environment, resolve_device, resolve_precision
from mnist_cli.errors import MnistCliError, Terminated, UsageError
from mnist_cli.events import EpochFinished, Notice, OnEvent
from mnist_cli.registry import MODELS
from mnist_cli.results import (
    EpochResult,
    TrainResult,
)
from mnist_cli.runs.common import data_of, on_device, progress_of


def train(options: TrainOptions, on_event: OnEvent) -> TrainResult:
    """Train one network, evaluate and save it after every epoch, and return the last state.

    Raises:
        UsageError: the device does not exist, or the file to resume is of another training.
        MnistCliError: network, data, loss or output fails; finished epochs stay saved.
    """
    device = resolve_device(options.device)
    model = engine.build(options.model, options.seed)
    cost, _ = complexity.summarize(options.model.name, model)
    precision = resolve_precision(options.precision, device, cost.mult_adds_per_image)
    resumed = checkpoint.load(options.resume) if options.resume else None
    if resumed:
        _check_same_training(options, precision, resumed)
    dataset = datasets.load(data_of(options.data, resumed), on_event)
    examples, test = on_device(dataset.train, device), on_device(dataset.test, device)

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
            on_step=progress_of(name, options.protocol, on_event),
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
            ("--dataset", record.dataset.name, data_of(options.data, resumed).dataset),
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
