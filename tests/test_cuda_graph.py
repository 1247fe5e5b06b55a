"""Recording a step, with a recorder that does the work again: CUDA's is not on every machine."""

import random

import pytest
import torch
from torch import Tensor, nn

from mnist_cli.networks import registry
from mnist_cli.networks.building import build
from mnist_cli.schema.protocol import Precision, Protocol, Schedule
from mnist_cli.training import cuda_graph, loop
from mnist_cli.training.cuda_graph import Capture, Work, capture_on, host_state, record
from mnist_cli.training.examples import Examples
from mnist_cli.training.state import Step, Training, make_step

# As a float32 it is what it is as a float64: the recording's rate is a tensor.
PROTOCOL = Protocol(epochs=2, batch_size=8, lr=2**-8)
IMAGES = torch.rand(20, 1, 28, 28, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(20) % 10
BATCH = torch.arange(8)


def capture_by_repeating(work: Work) -> Work:
    """As CUDA's: the work is done on the way, and what is returned does it again."""
    for _ in range(3):
        work()
    return work


def begun(model: nn.Module, protocol: Protocol = PROTOCOL) -> Training:
    training = Training(model, Examples(IMAGES, LABELS), protocol, 0, Precision.FP32)
    model.train()
    return training


def steps_of(training: Training, capture: Capture = capture_by_repeating) -> tuple[Step, Step]:
    """The plain step of `training`, and the one that is chosen after a trial."""
    step = make_step(training)
    return step, record(step, training, BATCH, capture)


def tensors(training: Training) -> list[Tensor]:
    state = training.optimizer.state().values()
    return [value.clone() for value in [*training.model.state_dict().values(), *state]]


@pytest.mark.parametrize("name", registry.MODELS)
@pytest.mark.parametrize("schedule", Schedule)
def test_a_recorded_training_gives_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, name: str, schedule: Schedule
) -> None:
    protocol = Protocol(epochs=2, batch_size=8, lr=2**-8, schedule=schedule)
    tolerance = 0 if schedule == Schedule.CONSTANT else 1e-5  # other rates are rounded

    def trained() -> tuple[list[Tensor], list[float]]:
        training = begun(build(registry.resolve(name), seed=0), protocol)
        losses = [epoch.train_loss for epoch in loop.fit(training)]
        return tensors(training), losses

    plain, plain_losses = trained()
    replays: list[int] = []

    def counting_capture(work: Work) -> Work:
        def replay() -> None:
            replays.append(1)
            work()

        return replay

    monkeypatch.setattr(loop, "capture_on", lambda device: counting_capture)
    again, again_losses = trained()
    # Two full batches in each of two epochs; the last of four images is not replayed.
    assert len(replays) == cuda_graph.TRIALS + 4
    for one, other in zip(plain, again, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)
    assert again_losses == pytest.approx(plain_losses, rel=tolerance)


def test_a_trial_changes_nothing() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(784), nn.Dropout(), nn.Linear(784, 10))
    training = begun(model)
    fresh = tensors(training)
    _, replayed = steps_of(training)
    assert all(torch.equal(one, other) for one, other in zip(fresh, tensors(training), strict=True))
    replayed(BATCH, 2**-8)
    assert model[1].num_batches_tracked == 1

    after_one_step = tensors(training)
    steps_of(training)
    for one, other in zip(after_one_step, tensors(training), strict=True):
        assert torch.equal(one, other)


def fail(work: Work) -> Work:
    """A network that waits for the device breaks the recording in its middle."""
    work()
    raise RuntimeError("operation not permitted when stream is capturing")


def forget(_work: Work) -> Work:
    return lambda: None


@pytest.mark.parametrize("capture", [fail, forget])
def test_a_recording_that_fails_or_differs_is_not_used(capture: Capture) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    step, chosen = steps_of(begun(model), capture)
    assert chosen is step
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(("difference", "used"), [(0.005, True), (0.05, False)])
def test_losses_of_a_recording_may_differ_by_rounding_only(difference: float, used: bool) -> None:
    training = begun(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)))
    step, factor = make_step(training), 1.0

    def scaled(batch: Tensor, rate: float | Tensor) -> Tensor:
        return step(batch, rate) * factor

    def capture(work: Work) -> Work:
        def replay() -> None:
            nonlocal factor
            factor = 1 + difference
            work()

        return replay

    assert (record(scaled, training, BATCH, capture) is not scaled) == used


class Counting(nn.Sequential):
    calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        logits: Tensor = self[1](self[0](images))
        return logits


class Drawing(nn.Sequential):
    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self[1](self[0](images))
        return logits * random.choice([1, 2])


@pytest.mark.parametrize("network", [Counting, Drawing])
def test_a_network_that_changes_in_each_step_is_not_recorded(
    network: type[nn.Module],
) -> None:
    step, chosen = steps_of(begun(network(nn.Flatten(), nn.Linear(784, 10))))
    assert chosen is step


def test_on_a_gpu_torchs_generator_of_the_host_counts_too() -> None:
    model = nn.Linear(1, 1)
    for device, counts in (("cuda", True), ("cpu", False)):
        before = host_state(model, torch.device(device))
        assert host_state(model, torch.device(device)) == before
        torch.rand(1)
        assert (host_state(model, torch.device(device)) != before) == counts


def test_only_cuda_records() -> None:
    assert capture_on(torch.device("cpu")) is None
    assert capture_on(torch.device("mps")) is None
    assert capture_on(torch.device("cuda", 0)) is not None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", registry.MODELS)
def test_cuda_replays_each_network_and_waits_for_nothing(name: str) -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    capture = capture_on(device)
    assert capture
    examples = Examples(IMAGES.to(device), LABELS.to(device))
    model = build(registry.resolve(name), seed=0)
    training = Training(model, examples, PROTOCOL, 0, Precision.FP32)
    model.train()
    step, batch = make_step(training), BATCH.to(device)
    chosen = record(step, training, batch, capture)
    assert chosen is not step
    torch.cuda.set_sync_debug_mode("error")
    try:
        losses = [chosen(batch, PROTOCOL.lr) for _ in range(8)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert losses[-1] < losses[0]
