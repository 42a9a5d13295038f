"""A model in one file: the weights that an evaluation needs, with the config that they go with.

The file is one of safetensors. What belongs to it besides the weights is in its metadata, see
`model_header`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ..runtime.files import whole_file
from ..runtime.finite import name_first, not_finite
from ..unreached_parameters import CLASSIFIERS
from .model_header import HEADER, Header, header_text, read_metadata
from .two_bytes import packed, unpacked

SUFFIX = ".safetensors"
ONNX = ".onnx"
# Tensors up to this size keep their precision. Of a MobileNetV2 they are a tenth of the numbers:
# batch norm and depthwise convolutions, whose rounding would do nearly all of the harm.
SMALL = 10_000
# What training alone reads: a weight for each of its identities.
LEFT_OUT = tuple(f"heads.{name}" for name in CLASSIFIERS)


def is_model_file(path: str) -> bool:
    """Whether a path is that of a model file, by its ending."""
    return path.endswith(SUFFIX)


def is_onnx_file(path: str) -> bool:
    """Whether a path is that of a network in ONNX, by its ending."""
    return path.endswith(ONNX)


def write_model_file(
    path: str,
    state: Mapping[str, Tensor],
    cfg: Any,
    record: Mapping[str, Any],
    half: bool = False,
    calibration: Mapping[str, Any] | None = None,
) -> None:
    """Write a model file, whole or not at all.

    Args:
        path: it takes the place of a file that is there.
        state: weights by their names. The classifiers are left out.
        cfg: config. Keys that name files, folders or the device are left out.
        record: of the training, plain values.
        half: store what has more than `SMALL` numbers in two bytes each, see `two_bytes`.
        calibration: what its distances mean, plain values.

    Raises:
        ValueError: as `check_place`, or a weight is infinite or no number.
        OSError: it cannot be written; an earlier file stays as it is.
    """
    check_place(path)
    kept = {name: value for name, value in state.items() if name not in LEFT_OUT}
    if names := not_finite(kept):
        raise ValueError(
            f'"{path}" cannot hold {name_first(names, len(kept))}: a number in it is infinite or '
            "none at all. Export an earlier checkpoint."
        )
    if half:
        kept = {
            part: numbers
            for name, value in kept.items()
            for part, numbers in (packed(name, value) if _shrinks(value) else {name: value}).items()
        }
    # Clones of their own in plain order: safetensors knows neither views nor memory formats.
    kept = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in kept.items()
    }
    data = safetensors.torch.save(kept, {HEADER: header_text(cfg, record, calibration)})
    with whole_file(path) as file:
        file.write(data)


def write_calibration(path: str, calibration: Mapping[str, Any]) -> None:
    """Put a calibration into a model file, whose weights and other parts stay bit by bit.

    Args:
        path: of the file.
        calibration: plain values.

    Raises:
        ValueError: as `read_header`.
        OSError: it cannot be written; the file stays as it is.
    """
    with _opened(path) as file:
        read_metadata(path, file.metadata())  # refuses what is no model file
        state = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        header = {**json.loads(file.metadata()[HEADER]), "calibration": dict(calibration)}
    data = safetensors.torch.save(state, {HEADER: json.dumps(header)})
    with whole_file(path) as target:
        target.write(data)


def check_place(path: str, suffix: str = SUFFIX) -> None:
    """Check that a path can be that of a model file, before there is one.

    Args:
        path: of the file to be.
        suffix: the ending of its kind.

    Raises:
        ValueError: it has another ending, or its folder is not there.
    """
    if not path.endswith(suffix):
        raise ValueError(f'"{path}" is not the name of a model file: let it end with {suffix}.')
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise ValueError(f'the folder of "{path}" is not there: make it, or choose another.')


def read_header(path: str) -> Header:
    """What a model file holds besides the weights.

    Raises:
        ValueError: the file is no model file, is damaged, or comes from a newer version.
    """
    with _opened(path) as file:
        return read_metadata(path, file.metadata())


def read_model_file(path: str) -> tuple[dict[str, Tensor], Header]:
    """The weights of a model file on the CPU, none in two bytes, and what else it holds.

    Raises:
        ValueError: as `read_header`.
    """
    with _opened(path) as file:
        header = read_metadata(path, file.metadata())
        # Clones, as the tensors of safetensors are the file itself, which may be replaced.
        state = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    try:
        return unpacked(state), header
    except ValueError as error:
        raise ValueError(f'"{path}" is damaged: {error}. Fetch or write it again.') from error


def _shrinks(value: Tensor) -> bool:
    return value.is_floating_point() and value.numel() > SMALL


def _opened(path: str) -> Any:
    """The file, open for reading, in a context that closes it."""
    try:
        return safetensors.safe_open(path, framework="pt")
    except Exception as error:  # SafetensorError, and whatever the system raises
        raise ValueError(
            f'"{path}" is no file of safetensors, or it is cut short or damaged '
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}): fetch or "
            "write it again."
        ) from error
