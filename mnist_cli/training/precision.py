"""The number format of the training steps: a fixed rule, so that a command gives the same result.

Measuring both formats before each training would choose by the load of the moment.
"""

from typing import NamedTuple

import torch

from mnist_cli.schema.protocol import Precision

LEAST_MULT_ADDS = 1e6  # per image; a smaller network loses more by conversions than it gains
TENSOR_CORES = (8, 0)  # the CUDA compute capability from which bf16 has tensor cores


class Choice(NamedTuple):
    """A number format, and why it was chosen."""

    precision: Precision
    reason: str


# An instruction set as torch.cpu.get_capabilities() calls it, a part of the processor's name, and
# the format that was faster: the first row that fits decides. The speed of bf16 over fp32 for a
# 2048 x 2048 matrix product, and for steps of StrongCNN (two cores, torch 2.14 and 2.15, 2026-11):
# AMD EPYC 4.2 and 1.5, Intel Xeon without AMX 0.5 and 0.6, Intel Xeon with AMX 6.3 and 2.65.
ON_CPU = (
    ("amx_bf16", "", Choice(Precision.BF16, "faster with AMX")),
    ("avx512_bf16", "intel", Choice(Precision.FP32, "bf16 is slower on Intel without AMX")),
    ("avx512_bf16", "", Choice(Precision.BF16, "faster with AVX-512 BF16")),
    ("", "", Choice(Precision.FP32, "no AMX or AVX-512 BF16")),
)


def choose_precision(
    precision: Precision, device: torch.device, mult_adds_per_image: float | None
) -> Choice:
    """`precision` itself, or for AUTO the faster format on `device`, with the reason."""
    if precision != Precision.AUTO:
        return Choice(precision, "set by --precision")
    if mult_adds_per_image is None:
        return Choice(Precision.FP32, "number of mult-adds unknown")
    if mult_adds_per_image < LEAST_MULT_ADDS:
        return Choice(Precision.FP32, "faster for small networks")
    if device.type == "cuda":
        if torch.cuda.get_device_capability(device) >= TENSOR_CORES:
            return Choice(Precision.BF16, "faster with bf16 tensor cores")
        return Choice(Precision.FP32, "no bf16 tensor cores")
    if device.type != "cpu":
        return Choice(Precision.FP32, f"the usual format on {device.type}")
    capabilities = torch.cpu.get_capabilities()
    maker = str(capabilities.get("cpu_name", "")).lower()
    return next(
        choice
        for instructions, part_of_name, choice in ON_CPU
        if capabilities.get(instructions, not instructions) and part_of_name in maker
    )
