"""`train`: trains one network with one seed, and saves it after every epoch."""

from dataclasses import replace

from mnist_cli.data import datasets
from mnist_cli.errors import MnistCliError, Terminated, UsageError
from mnist_cli.formatting import plural
from mnist_cli.networks.building import (
    PROBABILITIES,
    build,
    count_parameters,
    outputs_probabilities,
)
from mnist_cli.networks.complexity import count_operations
from mnist_cli.networks.identity import changed_files, code_sha256
from mnist_cli.networks.isolation import running
from mnist_cli.networks.registry import call_of, find_registered
from mnist_cli.schema.datasets import NUM_CLASSES, DatasetInfo
from mnist_cli.schema.events import EpochFinished, Notice, OnEvent, TrainingProgress
from mnist_cli.schema.options import TrainOptions
from mnist_cli.schema.results import EpochResult, TrainResult
from mnist_cli.system.files import absolute
from mnist_cli.training import checkpoint
from mnist_cli.training.checkpoint import Checkpoint
from mnist_cli.training.device import environment, resolve_device, use_threads
from mnist_cli.training.evaluation import evaluate
from mnist_cli.training.examples import Examples, prepare, to_device
from mnist_cli.training.loop import fit
from mnist_cli.training.precision import Choice, choose_precision
from mnist_cli.training.recipes import settings_of
from mnist_cli.training.state import Training
from mnist_cli.workflows.shared import choose_data, warn_of_busy_cpus


def train_network(options: TrainOptions, on_event: OnEvent) -> TrainResult:
    """Train one network, evaluate and save it after every epoch, and return the last record.

    If it fails, the file has the finished epochs.
    """
    use_threads(options.threads)
    device = resolve_device(options.device)
    resumed = checkpoint.load(options.resume) if options.resume else None
    data = choose_data(options.data, resumed)
    own = datasets.load_own(data, on_event)
    model = build(options.model, options.seed, len(own.info.classes) if own else NUM_CLASSES)
    cost, _ = count_operations(options.model.name, model)
    choice = choose_precision(options.precision, device, cost.mult_adds_per_image)
    if options.model.custom and outputs_probabilities(model):
        on_event(Notice(f"{options.model.name} {PROBABILITIES}"))
    if resumed:
        _check_same_training(options, choice, resumed)
    dataset = own or datasets.load(data, on_event)
    examples, test = to_device(dataset.train, device), to_device(dataset.test, device)
    test = replace(test, images=prepare(test.images, options.protocol))
    warn_of_busy_cpus(environment(device), on_event)
    training = Training(model, examples, options.protocol, options.seed, choice.precision)
    if resumed:
        _check_same_images(resumed, dataset.info)
        checkpoint.restore_model(resumed, model)
        checkpoint.restore_optimizer(resumed, training.optimizer)
    elif absolute(options.checkpoint).exists():
        on_event(Notice(f"{options.checkpoint} will be replaced; --output FILE writes elsewhere"))
    with running(model, f"cannot save {options.model.name}"):
        checkpoint.collect(model, training.optimizer)  # fails now rather than after the training
    epochs = resumed.record.epochs if resumed else ()
    return _train_and_save(options, training, choice, test, dataset.info, epochs, on_event)


def _train_and_save(
    options: TrainOptions,
    training: Training,
    choice: Choice,
    test: Examples,
    dataset: DatasetInfo,
    done: tuple[EpochResult, ...],
    on_event: OnEvent,
) -> TrainResult:
    """Train the epochs after the `done` ones, and save the checkpoint after each."""
    epochs, path = list(done), options.checkpoint
    model, optimizer, name = training.model, training.optimizer, options.model.name
    code = code_sha256(options.model)
    result: TrainResult | None = None

    def on_step(epoch: int, step: int, steps: int) -> None:
        on_event(TrainingProgress(name, None, epoch, options.protocol.epochs, step, steps))

    try:
        for fitted in fit(training, len(epochs) + 1, on_step):
            evaluation = evaluate(model, test)
            epochs.append(fitted.judged(evaluation))
            with running(model, f"cannot save {name}"):
                tensors, parameters = checkpoint.collect(model, optimizer), count_parameters(model)
            record = TrainResult(
                model=name,
                parameters=parameters,
                dataset=dataset,
                environment=environment(training.device),
                protocol=options.protocol,
                code=code,
                precision=str(choice.precision),
                precision_reason=choice.reason,
                seed=options.seed,
                epochs=tuple(epochs),
                test_accuracy=evaluation.test_accuracy,
                test_loss=evaluation.test_loss,
                balanced_accuracy=evaluation.balanced_accuracy,
                train_seconds=sum(epoch.train_seconds for epoch in epochs),
                tensors_sha256=checkpoint.digest(tensors),
                checkpoint=str(path),
            )
            checkpoint.save(path, record, tensors)
            result = record
            on_event(EpochFinished(name, options.protocol.epochs, epochs[-1], dataset.evaluated_on))
    except (KeyboardInterrupt, Terminated, MnistCliError):
        if result:
            so_far = f"{len(result.epochs)} of {plural(options.protocol.epochs, 'epoch')}"
            on_event(Notice(f"{path} holds {so_far}; go on with --resume {path}"))
        raise
    assert result is not None  # at least one epoch was trained
    return result


def _check_same_training(options: TrainOptions, choice: Choice, resumed: Checkpoint) -> None:
    """Raise UsageError if the result would differ from that of an uninterrupted training."""
    record, wanted, protocol = resumed.record, options.protocol, resumed.record.protocol
    if not protocol.depends_on_epochs:
        protocol = replace(protocol, epochs=wanted.epochs)
    settings = settings_of(protocol, options.model) | settings_of(wanted, options.model)
    name, threads = options.model.name, record.environment.threads
    both_custom = options.model.custom and not find_registered(record.model)
    may_differ = both_custom and call_of(name) == call_of(record.model)
    differences = [
        f"no {option}" if was is False else option if was is True else f"{option} {was}"
        for option, was, now in (
            ("MODEL", record.model, record.model if may_differ else name),
            *[
                (f"--{key.replace('_', '-')}", getattr(protocol, key), getattr(wanted, key))
                for key in settings
            ],
            ("--precision", record.precision, choice.precision),
            ("--threads", threads, options.threads or threads),
            ("--seed", record.seed, options.seed),
            ("--dataset", record.dataset.name, choose_data(options.data, resumed).name),
        )
        if was != now
    ]
    if differences:
        raise UsageError(
            f"{resumed.path} was trained with other settings; to resume it give "
            f"{', '.join(differences)}"
        )
    if files := changed_files(record.code, code_sha256(options.model)):
        raise UsageError(
            f"{', '.join(files)} changed since {resumed.path} was trained: resume it with the code "
            "as it was, or train anew"
        )
    if wanted.epochs <= len(record.epochs):
        raise UsageError(
            f"{resumed.path} has {plural(len(record.epochs), 'epoch')} already; "
            f"ask for more with --epochs {len(record.epochs) + 1} or above"
        )


def _check_same_images(resumed: Checkpoint, dataset: DatasetInfo) -> None:
    """Raise UsageError if a dataset of the same name has other images."""
    if resumed.record.dataset.hold_out != dataset.hold_out:
        raise UsageError(
            f"{resumed.path} was trained with {resumed.record.dataset.hold_out:,} images held out; "
            f"to resume it give --hold-out {resumed.record.dataset.hold_out_option}"
        )
    if resumed.record.dataset.sha256 != dataset.sha256:
        raise UsageError(
            f"{resumed.path} was trained on other images called {dataset.name}; give "
            + ("the --data-dir that holds them" if dataset.is_published else "them as they were")
        )
