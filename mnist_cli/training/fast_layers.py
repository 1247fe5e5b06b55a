"""Replaces layers by faster ones that compute the same function of the same parameters.

So the networks in article.py can be those of the article, and custom networks are faster too. This
replaces only layers of a plain `nn.Sequential`, only while it trains on a CPU, and only if a trial
gives the same result.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise, product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnist_cli.errors import MnistCliError

# PooledConv gains with AVX-512 and at most 4 channels: steps of TinyCNN take 0.92 to 0.96 of the
# time. With 8 channels they take 1.02 to 1.05, and with AVX2 instead of AVX-512 1.26.
MOST_POOLED_CHANNELS = 4


class ByteDropout(nn.Module):
    """Dropout with p = k/256: an element is dropped if its random byte is below k.

    As in `nn.Dropout`, elements are kept independently with exactly the probability 1 - p, but the
    same seed drops other elements. torch's global generator draws eight bytes at a time: on a CPU,
    this takes a tenth of the time of a random float for each element.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, activations: Tensor) -> Tensor:
        """Any shape to the same shape; kept elements are multiplied by 1 / (1 - p)."""
        if not self.training:
            return activations
        # With these limits, random_ fills all 64 bits; by default, it draws no negative numbers.
        words = activations.new_empty(-(-activations.numel() // 8), dtype=torch.int64)
        words.random_(-(2**63), None)
        dropped = round(self.p * 256)
        # Clamping and subtracting, which are vectorised, turn bytes into 0 (dropped) or 1 (kept).
        keep = words.view(torch.uint8).clamp_(dropped - 1, dropped).sub_(dropped - 1)
        mask = keep[: activations.numel()].to(activations.dtype).mul_(1 / (1 - self.p))
        # Tensors of different memory layouts are slow to multiply: use that of the activations.
        return activations * mask.as_strided(
            activations.shape, torch.empty_like(activations).stride()
        )


class PooledConv(nn.Module):
    """A convolution of a one-channel image with its 2×2 max-pooling, as one strided convolution.

    A convolution of stride 2 computes one of the four pixels of each pooling window. Four copies of
    the kernel, shifted by (0, 0), (0, 1), (1, 0) and (1, 1), compute all four, as four groups of
    channels; the maximum over the groups is the pooled image. For TinyCNN's 4 channels, the maximum
    over groups is vectorised over thousands of numbers, and the maximum over pixels only over 4.
    Among equal values, the gradient goes to the same one as in `nn.MaxPool2d`.
    """

    shifts: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias, self.padding = conv.weight, conv.bias, conv.padding
        height, width = conv.kernel_size
        shifts = conv.weight.new_zeros(height, width, 2, 2, height + 1, width + 1)
        for i, j, down, right in product(range(height), range(width), range(2), range(2)):
            shifts[i, j, down, right, i + down, j + right] = 1
        self.register_buffer("shifts", shifts.flatten(2).flatten(0, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """N×1×H×W to N×C×H'×W', H' and W' as after the pooling."""
        channels, _, height, width = self.weight.shape
        shifted = self.weight.reshape(channels, -1) @ self.shifts
        kernels = shifted.view(channels, 4, 1, height + 1, width + 1).transpose(0, 1).flatten(0, 1)
        bias = None if self.bias is None else self.bias.expand(4, -1).reshape(-1)
        groups = F.conv2d(images, kernels, bias, stride=2, padding=self.padding).contiguous()
        number, _, *size = groups.shape
        # Max-pooling over the groups: an image of 4×1 pixels, one for each group, has the C·H'·W'
        # numbers of that group as channels.
        stacked = groups.view(number, 4, 1, -1).permute(0, 3, 1, 2)
        pooled = F.max_pool2d(stacked, (4, 1)).permute(0, 2, 3, 1).reshape(number, channels, *size)
        return pooled.contiguous(memory_format=torch.channels_last)


@contextmanager
def exchange_layers(model: nn.Module) -> Iterator[None]:
    """Replace layers of `model` within the context, but not its parameters."""
    plain = {module: list(module) for module in model.modules() if type(module) is nn.Sequential}
    try:
        for sequential, layers in plain.items():
            _fill(sequential, _exchange(layers.copy()))
        yield
    finally:
        for sequential, layers in plain.items():
            _fill(sequential, layers)


@contextmanager
def scale_dropout(model: nn.Module, factor: float) -> Iterator[None]:
    """Multiply the dropout of `model` within the context; raises MnistCliError if it exceeds 1."""
    kinds = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
    own = {module: module.p for module in model.modules() if isinstance(module, kinds)}
    most = max(own.values(), default=0) * factor
    if most > 1:
        raise MnistCliError(f"{factor:g} times its dropout is a probability of {most:g}, above 1")
    try:
        for module, p in own.items():
            module.p = p * factor
        yield
    finally:
        for module, p in own.items():
            module.p = p


def is_faithful(model: nn.Module, images: Tensor) -> bool:
    """Whether `exchange_layers` keeps the logits of `model` for `images` in eval mode.

    It does not if, for example, `forward` calls a single layer of a Sequential.
    """
    model.eval()
    with torch.no_grad():
        expected = model(images)
        try:
            with exchange_layers(model):
                return torch.allclose(model(images), expected, rtol=1e-3, atol=1e-5)
        except Exception:  # the network's code may need its own layers
            return False


def _fill(sequential: nn.Sequential, layers: list[nn.Module]) -> None:
    for index, layer in enumerate(layers):
        sequential[index] = layer


def _exchange(layers: list[nn.Module]) -> list[nn.Module]:
    for index, (conv, relu, pool) in enumerate(zip(layers, layers[1:], layers[2:], strict=False)):
        fits = _is_poolable(conv) and type(relu) is nn.ReLU and _is_plain_pool(pool)
        if fits and not has_hooks(conv, relu, pool):
            layers[index : index + 3] = PooledConv(conv), relu, nn.Identity()  # type: ignore[arg-type]
    for index, (first, second) in enumerate(pairwise(layers)):
        if type(first) is nn.ReLU and type(second) is nn.MaxPool2d and not has_hooks(first, second):
            # ReLU and a maximum commute; after the pooling, ReLU has a quarter of the work.
            layers[index : index + 2] = second, first
    return [
        _replace_dropout(layer) if type(layer) is nn.Dropout and not has_hooks(layer) else layer
        for layer in layers
    ]


def has_hooks(*layers: nn.Module | Tensor) -> bool:
    """Whether one of `layers` has a hook, which would see other values after an exchange."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(layer, kind, None) for layer in layers for kind in kinds)


def _is_poolable(layer: nn.Module) -> bool:
    return (
        type(layer) is nn.Conv2d
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and layer.in_channels == 1
        and layer.out_channels <= MOST_POOLED_CHANNELS
        and (layer.stride, layer.dilation, layer.padding_mode) == ((1, 1), (1, 1), "zeros")
        and not isinstance(layer.padding, str)
    )


def _is_plain_pool(layer: nn.Module) -> bool:
    if type(layer) is not nn.MaxPool2d or layer.ceil_mode or layer.return_indices:
        return False
    return (layer.kernel_size, layer.stride, layer.padding, layer.dilation) == (2, 2, 0, 1)


def _replace_dropout(dropout: nn.Dropout) -> nn.Module:
    if dropout.p == 0:
        return nn.Identity()
    if dropout.inplace or dropout.p == 1 or not (dropout.p * 256).is_integer():
        return dropout
    return ByteDropout(dropout.p).train(dropout.training)
