"""Write a network as one file of ONNX: pixels go in, features, columns and weights come out.

torch traces the network with symbols for batch, height and width. On the way it decides what it can
only know of a size, such as whether a map has one row, and would write down its decision for all
sizes. So it is traced at a size at which no level of the pyramid is that small.

Shape shorthand: B batch, C channels, H x W images, N columns.
"""

from __future__ import annotations

import copy
import importlib.util
import inspect
import json
import logging
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.smallest_sizes import smallest_sides
from ..partialbaseline import PartialBaseline
from ..runtime.files import whole_file
from ..runtime.quiet import quiet
from .model_file import ONNX, check_place
from .model_header import HEADER, header_text
from .onnx_network import IMAGES, OUTPUTS, SMALLEST, OnnxNetwork

logger = logging.getLogger(__name__)
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
# The operators that torch's exporter is written in; files of later ones run in fewer programs.
OPSET = 18
# So many times INPUT.SIZE_TEST is traced, which has room for the pyramid itself.
TIMES = 3
# Without it torch refuses a network whose maps are not bound to a range of sizes.
DEFERRED = "prefer_deferred_runtime_asserts_over_guards"
# Largest difference of a number from torch's, in what distances are made of.
TOLERANCE = 1e-4
# Bytes that a file of ONNX can have.
LARGEST = 2**31 - 1
# Letters of an error of torch that are said; it writes pages.
SAID_OF_TORCH = 300
# What a file says of its inputs and outputs to those who have nothing but the file.
SAID = {
    IMAGES: "float32 (batch, 3, height, width), RGB in 0..255: the network normalises the pixels; "
    "neither side is shorter than those of `smallest`",
    "features": "float32 (batch, channels), for the global distance: one minus the cosine of two",
    "columns": "float32 (batch, channels, columns), for the reconstruction distance, once each "
    "column is scaled to length 1",
    "weights": "float32 (batch, columns), how much each column of a query counts",
}


def write_onnx_file(
    path: str,
    model: nn.Module,
    cfg: Any,
    record: Mapping[str, Any],
    calibration: Mapping[str, Any] | None = None,
) -> None:
    """Write a network as a file of ONNX, whole or not at all, and only if it computes the same.

    Args:
        path: it takes the place of a file that is there.
        model: stays as it is.
        cfg: config of the model. Keys that name files, folders or the device are left out.
        record: of the training, plain values.
        calibration: what its distances mean, plain values.

    Raises:
        ValueError: as `check_place` and `check_onnx_export`; the network has no columns, or more
            numbers than a file can hold; it cannot be traced; or ONNX Runtime computes other
            numbers with the file.
        OSError: it cannot be written; an earlier file stays as it is.
    """
    check_place(path, ONNX)
    check_onnx_export()
    if not isinstance(model, PartialBaseline):
        raise ValueError(
            f"MODEL.META_ARCHITECTURE is {cfg.MODEL.META_ARCHITECTURE}, which gives features and "
            "no columns: a file of ONNX is written of PartialBaseline and of what is made of it."
        )
    network = _PlainOutputs(model)
    if sum(value.nbytes for value in network.state_dict().values()) > LARGEST:
        raise ValueError(
            f'"{path}" cannot be written: the network has more than the 2 GB that a file of ONNX '
            "can hold. Write a model file, *.safetensors."
        )
    logger.info("tracing the network, which takes about half a minute")
    with quiet():
        program = _traced(network, cfg)
    _describe(program, header_text(cfg, record, calibration), smallest_sides(cfg))
    data = program.SerializeToString(deterministic=True)
    _check_same(OnnxNetwork(data, path), network, cfg)
    with whole_file(path) as file:
        file.write(data)


def check_onnx_export() -> None:
    """Check that what writes a file of ONNX is installed.

    Raises:
        ValueError: a package is missing, or torch is too old.
    """
    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise ValueError(
            f"a file of ONNX needs {', '.join(missing)}: install it by `python -m pip install "
            f"{' '.join(missing)}`."
        )
    if DEFERRED not in inspect.signature(torch.export.export).parameters:
        raise ValueError(
            f"torch {torch.__version__} cannot write a network for images of any size as ONNX: "
            "install a newer one, such as the one of the Makefile."
        )


class _PlainOutputs(nn.Module):
    """A copy of a network on the CPU, in evaluation, whose outputs are a plain tuple.

    In torch's plain memory format: nothing of the other one would be left in the file, and to keep
    track of it takes the tracing longer.
    """

    def __init__(self, model: PartialBaseline) -> None:
        super().__init__()
        self.network = copy.deepcopy(model).cpu().float().eval()
        self.network.memory_format = torch.contiguous_format
        self.network.backbone.to(memory_format=torch.contiguous_format)
        for layer in self.network.modules():
            if type(layer) is nn.ReLU6:
                # torch takes its own one apart, for which a MobileNetV2 waits nearly twice as long.
                layer.forward = _between_0_and_6  # type: ignore[assignment, method-assign]
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Features (B, C), columns (B, C, N) and weights (B, N) of images (B, 3, H, W)."""
        return tuple(self.network(images))


def _between_0_and_6(x: Tensor) -> Tensor:
    return x.clamp(0, 6)


def _traced(network: nn.Module, cfg: Any) -> Any:
    """The network in ONNX, a ModelProto of the package onnx, with all weights in it."""
    height, width = (TIMES * side for side in cfg.INPUT.SIZE_TEST)
    if height == width:  # of which torch would conclude that they always are
        height += cfg.INPUT.SIZE_TEST[0]
    any_size = dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC)
    trace: Any = torch.export.export  # whose older versions have not all of these arguments
    try:
        with torch.no_grad():
            found = trace(
                network,
                (torch.zeros(2, 3, height, width),),
                dynamic_shapes=(any_size,),
                **{DEFERRED: True},
            )
            program: Any = torch.onnx.export(
                found,
                dynamo=True,
                input_names=[IMAGES],
                output_names=list(OUTPUTS),
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # whatever torch raises on the way
        said = " ".join(str(error).split())[:SAID_OF_TORCH] or type(error).__name__
        raise ValueError(
            f"this network cannot be written as ONNX by torch {torch.__version__}: MODEL.BACKBONE."
            f"NAME {cfg.MODEL.BACKBONE.NAME} does something that its exporter does not know, or "
            f"not for images of any size ({said})."
        ) from error
    return program.model_proto


def _describe(program: Any, header: str, smallest: tuple[int, int]) -> None:
    """Name the dimensions, put in what belongs to a file, and take out what tells of its making.

    torch leaves the lines of the source, as paths of this machine, with every operation.
    """
    graph = program.graph
    for part in (graph, *graph.node, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    del graph.value_info[:]
    named = {
        IMAGES: ("batch", None, "height", "width"),
        **dict(zip(OUTPUTS, (("batch", None), ("batch", None, "columns"), ("batch", "columns")))),
    }
    for value in (*graph.input, *graph.output):
        value.ClearField("metadata_props")
        value.doc_string = SAID[value.name]
        for dimension, name in zip(value.type.tensor_type.shape.dim, named[value.name]):
            if name:
                dimension.dim_param = name
    for name, text in {HEADER: header, SMALLEST: json.dumps(smallest), **SAID}.items():
        program.metadata_props.add(key=name, value=text)


def _check_same(written: OnnxNetwork, network: nn.Module, cfg: Any) -> None:
    """Run both on images of the config's size and on the smallest, in another number than traced.

    Compared is what distances are made of: features and columns of unit length, and weights.

    Raises:
        ValueError: they differ.
    """
    generator = torch.Generator().manual_seed(0)
    for size in (cfg.INPUT.SIZE_TEST, written.smallest):
        images = torch.rand(3, 3, *size, generator=generator) * 255
        with torch.no_grad():
            wanted = _as_compared(*network(images))
        for name, value, exact in zip(OUTPUTS, _as_compared(*written(images)), wanted):
            same = value.shape == exact.shape
            off = (value - exact).abs().max() if same else torch.tensor(torch.inf)
            if not off <= TOLERANCE:
                raise ValueError(
                    f"ONNX Runtime computes other {name} than torch {torch.__version__} with this "
                    f"network: they differ by {off:.1e}. No file is written; use a model file, "
                    "*.safetensors."
                )


def _as_compared(features: Tensor, columns: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
    return F.normalize(features), F.normalize(columns, dim=1), weights
