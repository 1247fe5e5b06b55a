"""The formats to export a trained network in, and readers that check an exported file.

torch's exporter writes ONNX, .pt2 is the archive of torch.export, and .safetensors is the state
dict. All have the same metadata.
"""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO

import torch
from safetensors.torch import load as from_safetensors
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from mnist_cli.errors import MnistCliError
from mnist_cli.schema.datasets import DatasetInfo

MARK = "mnist-cli-export-1"  # in files that this program wrote
METADATA_FILE = "mnist-cli.json"  # in a .pt2 archive
PREPROCESSING = (
    "float32 Nx1x28x28, pixels divided by 255; a light digit on black, its longer side 20 pixels, "
    "its centre of mass at pixel 14, 14 counted from 0"
)
FITTED = (
    "float32 Nx1x28x28, grey pixels divided by 255; the longer side of a picture 28 pixels, its "
    "proportions kept, padded with the median of its border"
)

Metadata = Mapping[str, str]
Run = Callable[[Tensor], Tensor]  # from images to logits


@dataclass(frozen=True)
class Format:
    """Functions that write and read a network; `read` returns None if a package is missing."""

    write: Callable[[nn.Module, Metadata], bytes]
    read: Callable[[bytes, nn.Module], Run | None]


def make_metadata(record: str, dataset: DatasetInfo) -> dict[str, str]:
    """The metadata of a file; `record` is the training record, on `dataset`, as JSON."""
    return {
        "format": MARK,
        "classes": json.dumps(dataset.classes),
        "preprocessing": PREPROCESSING if dataset.has_digit_form else FITTED,
        "training": record,
    }


def _export_program(model: nn.Module) -> torch.export.ExportedProgram:
    """Return the network as a graph of operations for any number of images."""
    images = torch.zeros(2, 1, 28, 28)
    try:
        batch = ({0: torch.export.Dim("batch")},)
        return torch.export.export(model.eval(), (images,), dynamic_shapes=batch)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or "an exception without a message"
        raise MnistCliError(
            f"the network cannot be exported ({type(error).__name__}: {reason}): its operations "
            "must not depend on values or on the number of images; .safetensors has no such limit"
        ) from error


def _write_onnx(model: nn.Module, metadata: Metadata) -> bytes:
    if not find_spec("onnxscript"):
        raise MnistCliError("ONNX needs more packages: pip install 'mnist-cli[onnx]'")
    exported = torch.onnx.export(
        _export_program(model),
        input_names=["images"],
        output_names=["logits"],
        dynamo=True,
        verbose=False,
    )
    assert exported is not None  # without a file name, export returns the program
    proto = exported.model_proto
    proto.producer_name = MARK
    for key, value in metadata.items():
        proto.metadata_props.add(key=key, value=value)
    return bytes(proto.SerializeToString())


def _read_onnx(content: bytes, _model: nn.Module) -> Run | None:
    if not find_spec("onnxruntime"):
        return None
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def _write_pt2(model: nn.Module, metadata: Metadata) -> bytes:
    file = BytesIO()
    program = _export_program(model)
    torch.export.save(program, file, extra_files={METADATA_FILE: json.dumps(metadata)})
    return file.getvalue()


def _read_pt2(content: bytes, _model: nn.Module) -> Run:
    return torch.export.load(BytesIO(content)).module()


def _write_safetensors(model: nn.Module, metadata: Metadata) -> bytes:
    state = model.state_dict()
    # Cloned, because safetensors refuses tensors that share memory, as tied weights do.
    return to_safetensors({key: t.clone().contiguous() for key, t in state.items()}, dict(metadata))


def _read_safetensors(content: bytes, model: nn.Module) -> Run:
    copy = deepcopy(model)
    for tensor in copy.state_dict().values():
        tensor.zero_()
    copy.load_state_dict(from_safetensors(content))
    return copy.eval()


FORMATS = {
    ".onnx": Format(_write_onnx, _read_onnx),
    ".pt2": Format(_write_pt2, _read_pt2),
    ".safetensors": Format(_write_safetensors, _read_safetensors),
}
