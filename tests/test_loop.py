import math
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnist_cli.data import datasets
from mnist_cli.data.dataset import LabelledImages
from mnist_cli.errors import MnistCliError, UsageError
from mnist_cli.networks import registry
from mnist_cli.networks.building import build
from mnist_cli.schema.augmentation import Augmentation
from mnist_cli.schema.datasets import DatasetName
from mnist_cli.schema.options import DataOptions
from mnist_cli.schema.protocol import Precision, Protocol, Schedule
from mnist_cli.training import loop
from mnist_cli.training.augmentation import augment
from mnist_cli.training.device import resolve_device
from mnist_cli.training.evaluation import evaluate, predict, score
from mnist_cli.training.examples import Examples, prepare, shuffle, to_device
from mnist_cli.training.loop import fit
from mnist_cli.training.state import Training
from tests.conftest import made_images, write_files

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def examples() -> Examples:
    """150 real images: not a multiple of the batch, so that the last batch is short."""
    train = datasets.load(DataOptions(DatasetName.MNIST5K), lambda event: None).train
    return to_device(LabelledImages(train.images[::26][:150], train.labels[::26][:150]), CPU)


def trained(
    examples: Examples,
    epochs: int = 2,
    name: str = "strongcnn",
    seed: int = 0,
    between: Callable[[nn.Module], object] = lambda model: None,
) -> dict[str, Tensor]:
    training = begun(build(registry.resolve(name), seed), examples, Protocol(epochs=epochs), seed)
    for _ in fit(training):
        between(training.model)
    return training.model.state_dict()


def begun(model: nn.Module, examples: Examples, protocol: Protocol, seed: int = 0) -> Training:
    return Training(model, examples, protocol, seed, Precision.FP32)


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[key], second[key]) for key in first)


def test_pixels_are_scaled_as_to_tensor_does() -> None:
    from torchvision.transforms.functional import to_tensor

    images, labels = made_images(10)
    examples = to_device(LabelledImages(images, labels), CPU)
    assert examples.images.shape == (10, 1, 28, 28)
    assert torch.equal(examples.images, torch.stack([to_tensor(image) for image in images]))
    assert examples.labels.tolist() == labels.tolist()


def test_a_step_is_the_textbooks(examples: Examples) -> None:
    """One epoch equals a plain loop with unfused Adam, up to rounding."""
    protocol = Protocol(epochs=1)
    model = build(registry.resolve("cnn"), seed=3)
    plain = build(registry.resolve("cnn"), seed=3)
    [fitted] = fit(begun(model, examples, protocol, seed=3))

    adam, losses = torch.optim.Adam(plain.parameters(), lr=1e-3), []
    for batch in shuffle(150, seed=3, epoch=1).split(64):
        loss = F.cross_entropy(plain(examples.images[batch]), examples.labels[batch])
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses += [loss.item()] * len(batch)
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert fitted.train_loss == pytest.approx(np.mean(losses), rel=1e-4)
    assert fitted.train_seconds > 0


def test_the_same_seed_gives_the_same_bits(examples: Examples) -> None:
    first = trained(examples)
    torch.rand(7)
    assert same(first, trained(examples))
    assert not same(first, trained(examples, seed=1))


def test_evaluating_does_not_change_the_weights(examples: Examples) -> None:
    def disturb(model: nn.Module) -> None:
        evaluate(model, examples)
        model(examples.images).sum().backward()  # its gradients are not those of a step
        torch.rand(5)

    assert same(trained(examples), trained(examples, between=disturb))


def test_more_epochs_begin_like_fewer(examples: Examples) -> None:
    snapshots: list[dict[str, Tensor]] = []

    def snapshot(model: nn.Module) -> None:
        snapshots.append({key: value.clone() for key, value in model.state_dict().items()})

    trained(examples, epochs=3, between=snapshot)
    assert same(trained(examples, epochs=2), snapshots[1])


def test_every_image_once_an_epoch_in_an_order_of_its_own() -> None:
    orders = [shuffle(1000, seed, epoch) for seed in (0, 1) for epoch in (1, 2)]
    for order in orders:
        assert order.sort().values.tolist() == list(range(1000))
    assert len({tuple(order.tolist()) for order in orders}) == 4
    assert orders[0].tolist() != list(range(1000))


def test_warming_up_leaves_no_trace(examples: Examples) -> None:
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(784), nn.Linear(784, 10))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    loop._warm_up(begun(model, examples, Protocol()))
    assert same(before, model.state_dict())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_one_cycle_rises_to_the_peak_and_falls_to_zero() -> None:
    protocol = Protocol(lr=0.02, schedule=Schedule.ONE_CYCLE, warmup=0.25)
    rates = [loop.learning_rate(protocol, progress) for progress in (0, 0.125, 0.25, 0.625, 1)]
    assert rates == pytest.approx([0, 0.01, 0.02, 0.01, 0])
    assert loop.learning_rate(Protocol(lr=0.3), 0.7) == 0.3
    no_warmup = Protocol(lr=0.02, schedule=Schedule.ONE_CYCLE)
    assert loop.learning_rate(no_warmup, 0) == 0.02


def test_a_cosine_falls_from_the_peak_to_zero_and_warmup_precedes_any_schedule() -> None:
    cosine = Protocol(lr=0.02, schedule=Schedule.COSINE)
    rates = [loop.learning_rate(cosine, progress) for progress in (0, 0.25, 0.5, 1)]
    assert rates == pytest.approx([0.02, 0.01 * (1 + math.sqrt(0.5)), 0.01, 0])
    warm = Protocol(lr=0.02, schedule=Schedule.COSINE, warmup=0.5)
    rates = [loop.learning_rate(warm, progress) for progress in (0.25, 0.5, 0.75, 1)]
    assert rates == pytest.approx([0.01, 0.02, 0.01, 0])
    constant = Protocol(lr=0.02, warmup=0.2)
    assert [loop.learning_rate(constant, at) for at in (0.1, 0.2, 1)] == [0.01, 0.02, 0.02]


def test_augmented_images_are_those_of_the_epoch_and_shuffled_after_that(
    examples: Examples,
) -> None:
    """Each epoch equals one on images that were augmented, and then shuffled, by hand."""
    augmentation = Augmentation(shift=2)
    protocol = Protocol(epochs=2, augment=augmentation, shuffle_pixels=True)
    model, plain = (build(registry.resolve("mlp"), 0) for _ in range(2))
    training, before = begun(model, examples, protocol, seed=5), examples.images.clone()
    by_hand = begun(plain, examples, Protocol(epochs=2), seed=5)
    by_hand.images = before.clone()
    for epoch, _ in enumerate(fit(training), 1):
        augment(examples.images, augmentation, 5, epoch, by_hand.images)
        by_hand.images.copy_(prepare(by_hand.images, protocol))
        next(fit(by_hand, epoch))
        assert same(model.state_dict(), plain.state_dict())
    assert torch.equal(before, examples.images)


OWN = """
import torch
from torch import nn

class Net(nn.Sequential):
    def __init__(self, setting):
        super().__init__(nn.Flatten(), nn.Linear(784, 10))
        self.setting = setting

    def forward(self, images):
        if self.setting == "device":
            torch.set_default_device("meta")
        if self.setting == "dtype":
            torch.set_default_dtype(torch.float64)
        return super().forward(images)
"""


@pytest.mark.parametrize("setting", ["device", "dtype"])
def test_the_torch_settings_of_a_networks_code_do_not_change_augmentation(
    examples: Examples, setting: str
) -> None:
    write_files({"own.py": OWN})
    augmentation = Augmentation(shift=2, rotate=10, elastic=30, erase=0.5)
    weights = []
    for chosen in ("none", setting):
        model = build(registry.resolve(f"own.py:Net({chosen!r})"), 0)
        protocol = Protocol(epochs=2, augment=augmentation, shuffle_pixels=True)
        list(fit(begun(model, examples, protocol)))
        weights.append(model.state_dict())
    assert same(*weights)


def test_the_time_of_augmentation_is_training_time(
    examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "augment", lambda *arguments: time.sleep(0.5))
    model = build(registry.resolve("mlp"), 0)
    [fitted] = fit(begun(model, examples, Protocol(epochs=1, augment=Augmentation(shift=2))))
    assert fitted.train_seconds >= 0.5


def test_shuffled_pixels_are_the_same_pixels_in_one_order(examples: Examples) -> None:
    shuffled = prepare(examples.images, Protocol(shuffle_pixels=True))
    assert prepare(examples.images, Protocol()) is examples.images
    assert shuffled.shape == examples.images.shape
    assert not torch.equal(shuffled, examples.images)
    assert torch.equal(shuffled.flatten(1).sort().values, examples.images.flatten(1).sort().values)
    positions = torch.arange(784.0).view(1, 1, 28, 28)
    order = prepare(positions, Protocol(shuffle_pixels=True)).flatten().long()
    assert torch.equal(shuffled[3].flatten(), examples.images[3].flatten()[order])


def test_every_step_has_the_rate_of_its_place(examples: Examples) -> None:
    """One cycle over two epochs of three steps equals a plain loop that sets each rate."""
    protocol = Protocol(epochs=2, lr=0.01, beta2=0.9, schedule=Schedule.ONE_CYCLE, warmup=0.5)
    model, plain = (build(registry.resolve("mlp"), 0) for _ in range(2))
    list(fit(begun(model, examples, protocol)))

    adam = torch.optim.Adam(plain.parameters(), betas=(0.9, 0.9))
    rates = iter([0.01 / 6, 0.03 / 6, 0.05 / 6, 0.05 / 6, 0.03 / 6, 0.01 / 6])
    for epoch in (1, 2):
        for batch in shuffle(150, seed=0, epoch=epoch).split(64):
            adam.param_groups[0]["lr"] = next(rates)
            adam.zero_grad()
            F.cross_entropy(plain(examples.images[batch]), examples.labels[batch]).backward()
            adam.step()
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_dropout_factor_of_a_protocol_is_used(examples: Examples) -> None:
    def trained_with(layer: nn.Module, dropout: float) -> Tensor:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), layer, nn.Linear(784, 10))
        list(fit(begun(model, examples, Protocol(epochs=1, dropout=dropout))))
        return model.get_parameter("2.weight").detach()

    without = trained_with(nn.Identity(), 1)
    assert torch.equal(trained_with(nn.Dropout(0.5), 0), without)
    assert not torch.equal(trained_with(nn.Dropout(0.5), 1), without)


class SkipsPooling(nn.Module):
    """Calls the first of three layers alone: exchanged layers would give another shape."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.last = nn.Linear(2 * 28 * 28, 10)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.last(self.layers[0](images).flatten(1))
        return logits


def test_a_network_whose_layers_cannot_be_exchanged_trains_as_it_is(examples: Examples) -> None:
    [fitted] = fit(begun(SkipsPooling(), examples, Protocol(epochs=1)))
    assert fitted.train_loss < 3


def test_with_bfloat16_the_loss_is_still_float32(examples: Examples) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        logits = model(examples.images)
    assert logits.dtype == torch.bfloat16
    expected = F.cross_entropy(logits.float(), examples.labels).item()
    protocol = Protocol(epochs=1, batch_size=150)
    [fitted] = fit(Training(model, examples, protocol, 0, Precision.BF16))
    assert fitted.train_loss == pytest.approx(expected, rel=1e-6)
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_progress_is_reported_within_an_epoch(
    examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "PROGRESS_SECONDS", 0)
    training = begun(build(registry.resolve("mlp"), 0), examples, Protocol(epochs=2))
    seen: list[tuple[int, ...]] = []
    for _ in fit(training, on_step=lambda *step: seen.append(step)):
        pass
    assert seen == [(epoch, step, 3) for epoch in (1, 2) for step in (1, 2, 3)]


def test_progress_is_reported_though_each_epoch_is_short(
    examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(range(10_000))  # a second each time that the clock is read
    monkeypatch.setattr(loop, "PROGRESS_SECONDS", 30)
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    training = begun(build(registry.resolve("mlp"), 0), examples, Protocol(epochs=20))
    seen: list[tuple[int, ...]] = []
    for _ in fit(training, on_step=lambda *step: seen.append(step)):
        pass
    assert 1 <= len(seen) < 5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (1, "not finite at epoch 1, step 1: this network gives no finite logits"),
        (2, "not finite at epoch 1, step 2: this network diverged; lower the learning rate"),
        (4, "not finite at epoch 2, step 1: this network diverged; lower the learning rate"),
        (5, "not finite at epoch 2, step 2: this network diverged; lower the learning rate"),
    ],
)
def test_a_loss_that_is_not_finite_names_epoch_and_step(
    examples: Examples, call: int, message: str
) -> None:
    class Explodes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(784, 10)
            self.calls = 0

        def forward(self, images: Tensor) -> Tensor:
            self.calls += self.training
            logits: Tensor = self.linear(images.flatten(1))
            return logits / 0 if self.calls == call else logits

    model, protocol = Explodes(), Protocol()
    with pytest.raises(MnistCliError, match=message):
        for _ in fit(begun(model, examples, protocol)):
            pass


def test_score_is_the_exact_mean() -> None:
    logits = torch.randn(1501, 10, generator=torch.Generator().manual_seed(0)) * 5
    labels = torch.arange(1501) % 10
    evaluation = score(logits, labels)
    probabilities = np.exp(logits.double().numpy())
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    expected = -np.log(probabilities[np.arange(1501), labels.numpy()]).mean()
    assert evaluation.test_loss == pytest.approx(expected, rel=1e-12)
    right = [int(logit.argmax()) == label for logit, label in zip(logits, labels, strict=True)]
    assert evaluation.test_accuracy == sum(right) / 1501
    assert evaluation.num_samples == sum(map(sum, evaluation.confusion_matrix)) == 1501
    assert sum(evaluation.confusion_matrix[4]) == 150  # rows are the truth


def test_log_probabilities_score_like_logits() -> None:
    logits, labels = torch.randn(50, 10), torch.arange(50) % 10
    of_logits, of_logs = (score(x, labels) for x in (logits, logits.log_softmax(1)))
    assert of_logits.test_accuracy == of_logs.test_accuracy
    assert math.isclose(of_logits.test_loss, of_logs.test_loss, rel_tol=1e-6)


def test_a_score_that_is_not_finite_is_refused() -> None:
    with pytest.raises(MnistCliError, match="not finite"):
        score(torch.full((5, 10), torch.nan), torch.zeros(5, dtype=torch.int64))


def test_predicting_switches_dropout_off(examples: Examples) -> None:
    model = build(registry.resolve("strongcnn"), 0).train()
    assert torch.equal(predict(model, examples.images), predict(model, examples.images))


def test_auto_takes_the_accelerator_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for accelerator, index, expected in (
        (None, 0, "cpu"),
        (torch.device("cuda"), 1, "cuda:1"),
        (torch.device("mps"), 0, "mps"),
    ):
        monkeypatch.setattr(
            torch.accelerator, "current_accelerator", lambda check_available, a=accelerator: a
        )
        monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
        monkeypatch.setattr(torch.accelerator, "current_device_index", lambda i=index: i)
        assert str(resolve_device("auto")) == expected
        assert str(resolve_device("cpu")) == "cpu"


@pytest.mark.parametrize(
    ("there", "count", "wanted"),
    [(None, 0, "cuda"), (None, 0, "mps"), ("cuda", 2, "cuda:2"), ("cuda", 1, "xpu")],
)
def test_a_device_that_is_missing_is_never_replaced(
    there: str | None, count: int, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = torch.device(there) if there else None
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: device)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)
    with pytest.raises(UsageError, match=f"device {wanted} is not available; use cpu"):
        resolve_device(wanted)
