"""A network in a file of ONNX, as ONNX Runtime runs it, in the place of torch's in evaluation.

Shape shorthand: B batch, C channels, H x W images, N columns.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from fastreid.config import CfgNode
from torch import Tensor, nn

from ..keys.unread_keys import leaves
from ..partialbaseline import FlippedOutputs, HeadOutputs
from .model_file import is_onnx_file, read_header
from .model_header import FREE, Header, config_tree, read_metadata

# Names of what goes in and comes out, in the file.
IMAGES = "images"
OUTPUTS = HeadOutputs._fields
RUNTIME = "onnxruntime"
# Besides those of MODEL: the outputs of a flip test are another network's.
FLIP = "TEST.FLIP.ENABLED"
# Name of the smallest height and width among the metadata of a file.
SMALLEST = "smallest"
# ONNX Runtime prints its errors before it raises them. From this level on it prints nothing.
NOTHING = 4


class OnnxNetwork(nn.Module):
    """A network that is called as torch's is in evaluation, and that ONNX Runtime runs on the CPU.

    It takes as many threads as torch has when it is made. It has no parameters and stays in
    evaluation, whatever it is told; its state dict holds a hash of its file.

    Args:
        data: what is in the file.
        path: of the file, for messages.

    Attributes:
        path: as given.
        header: what the file holds besides the network, as a model file does.
        smallest: height and width from which on an image has room for the pyramid.

    Raises:
        ValueError: ONNX Runtime is not installed; the file is none of ONNX, is damaged, was not
            written by `partialreid export`, or comes from a newer version.
    """

    def __init__(self, data: bytes, path: str) -> None:
        super().__init__()
        runtime = _runtime(path)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = NOTHING
        try:
            self._session = runtime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # one class for each kind of failure, and no common one
            raise ValueError(
                f'"{path}" is no file of ONNX that ONNX Runtime {runtime.__version__} can run, or '
                f"it is cut short or damaged ({_said(error)}): fetch or write it again."
            ) from error
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.path, self.header = path, read_metadata(path, metadata)
        self.smallest = _smallest(path, metadata)
        flipped = dict(leaves(CfgNode(self.header.config))).get(FLIP, False)
        self._hash = torch.tensor(list(hashlib.sha256(data).digest()), dtype=torch.uint8)
        self._outputs = FlippedOutputs if flipped else HeadOutputs
        self.eval()

    def get_extra_state(self) -> Tensor:
        """What tells it from other networks in a state dict, which has no weights: a hash (32,)."""
        return self._hash

    def forward(self, batched_inputs: Any) -> HeadOutputs:
        """Outputs of a batch, in float32 on the CPU; of a network with a flip test its own kind.

        Args:
            batched_inputs: a dict with `images` (B, 3, H, W), RGB in 0..255, or the images alone,
                on any device and of any dtype.

        Raises:
            ValueError: images have another shape, or are too small for the pyramid.
        """
        images: Tensor = (
            batched_inputs["images"] if isinstance(batched_inputs, dict) else batched_inputs
        )
        # ONNX Runtime would pool a window that is one cell larger than the map, without a word.
        if images.dim() != 4 or images.shape[1] != 3 or not _fits(images, self.smallest):
            height, width = self.smallest
            raise ValueError(
                f'the network of "{self.path}" takes images of shape (B, 3, H, W), H from {height} '
                f"and W from {width} on, not {tuple(images.shape)}."
            )
        pixels = images.detach().to("cpu", torch.float32).contiguous().numpy()
        found = self._session.run(list(OUTPUTS), {IMAGES: pixels})
        return self._outputs(*(torch.from_numpy(part) for part in found))


def load_onnx(path: str) -> OnnxNetwork:
    """The network of a file that `partialreid export` wrote, on the CPU.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not there, or as `OnnxNetwork`.
    """
    path = os.path.expanduser(path)
    if not os.path.isfile(path):
        raise ValueError(f'the file "{path}" is not there: correct its name.')
    return OnnxNetwork(Path(path).read_bytes(), path)


def header_of(path: str) -> Header:
    """What a model file, or a file of ONNX, holds besides its network.

    Raises:
        OSError, ValueError: as `load_onnx` and `read_header`.
    """
    return load_onnx(path).header if is_onnx_file(path) else read_header(path)


def configured_onnx(cfg: Any, path: str) -> OnnxNetwork:
    """The network of a file, for a config that has to be of this network.

    A file of ONNX is one network, with its pyramid and its normalisation: a config changes nothing
    of it, and must not say that it did.

    Raises:
        ValueError: as `load_onnx`; or a key of the network has another value in the file.
    """
    network = load_onnx(path)
    before = dict(leaves(CfgNode(network.header.config)))
    for key, value in leaves(CfgNode(config_tree(cfg))):
        fixed = key == FLIP or (key.startswith("MODEL.") and key not in FREE)
        if fixed and key in before and value != before[key]:
            raise ValueError(
                f'{key} is {before[key]!r} in "{path}" and {value!r} in this config, but a file of '
                f"ONNX is one network: set {key} to the first, or export another file."
            )
    return network


def _smallest(path: str, metadata: Mapping[str, str]) -> tuple[int, int]:
    try:
        height, width = json.loads(metadata[SMALLEST])
        return int(height), int(width)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'"{path}" does not say how small an image may be: it is cut short or was changed. '
            "Write it again by `partialreid export`."
        ) from error


def _fits(images: Tensor, smallest: tuple[int, ...]) -> bool:
    return all(side >= least for side, least in zip(images.shape[2:], smallest))


def _runtime(path: str) -> Any:
    try:
        return importlib.import_module(RUNTIME)
    except ImportError as error:
        raise ValueError(
            f'"{path}" needs ONNX Runtime: install it by `python -m pip install {RUNTIME}`.'
        ) from error


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
