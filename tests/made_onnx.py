"""A file of ONNX put together by hand, in no time: what its loader and the commands do with one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from partialreid.engine.model_header import HEADER, header_text
from partialreid.engine.onnx_network import IMAGES, SMALLEST

COLUMNS = 4


def metadata(
    cfg: Any,
    record: Mapping[str, Any] | None = None,
    calibration: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """What a written file says: its header, and that images have 8 x 4 pixels or more."""
    return {HEADER: header_text(cfg, record or {}, calibration), SMALLEST: json.dumps((8, 4))}


def write(path: Path, texts: Mapping[str, str]) -> None:
    """A network whose feature (B, 3) is the mean pixel of an image, and each column (B, 3, 4) too.

    The weights (B, 4) of its columns are a quarter.

    Args:
        path: of the file.
        texts: its metadata.
    """
    node = helper.make_node
    graph = helper.make_graph(
        [
            node("ReduceMean", [IMAGES, "axes"], ["features"], keepdims=0),
            node("Unsqueeze", ["features", "last"], ["one"]),
            node("Expand", ["one", "copies"], ["columns"]),
            node("ReduceMean", ["columns", "middle"], ["means"], keepdims=0),
            node("Sub", ["means", "means"], ["zeros"]),
            node("Add", ["zeros", "quarter"], ["weights"]),
        ],
        "by_hand",
        [tensor(IMAGES, "batch", 3, "height", "width")],
        [
            tensor("features", "batch", 3),
            tensor("columns", "batch", 3, COLUMNS),
            tensor("weights", "batch", COLUMNS),
        ],
        [
            helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3]),
            helper.make_tensor("last", TensorProto.INT64, [1], [2]),
            helper.make_tensor("copies", TensorProto.INT64, [3], [1, 1, COLUMNS]),
            helper.make_tensor("middle", TensorProto.INT64, [1], [1]),
            helper.make_tensor("quarter", TensorProto.FLOAT, [], [1 / COLUMNS]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, dict(texts))
    onnx.save(model, path)


def tensor(name: str, *shape: int | str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
