"""What a model says of itself, in whatever kind of file it is: a model file, ONNX or a checkpoint.

A checkpoint is taken as the model file that `partialreid export` would make of it. Training writes
its config into it. An older one, and one of the original code, needs it in a file beside it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..keys.config_files import read_tree
from .checkpoint import read_checkpoint
from .model_file import is_model_file, is_onnx_file
from .model_header import without_machine
from .onnx_network import header_of
from .resumption import saved_config

BESIDE = "config.yaml"  # FastReID writes it into OUTPUT_DIR
CHECKPOINTS = (".pth", ".pt")
# What can be named as a model, for the help of commands.
KINDS = "*.safetensors, *.onnx, or a checkpoint with its config"


def brings_config(path: str) -> bool:
    """Whether a path is that of a model, by its ending, and not that of a config."""
    return is_model_file(path) or is_onnx_file(path) or path.endswith(CHECKPOINTS)


def stored_config(path: str) -> tuple[dict[str, Any], str]:
    """The config that a model goes with, and the file that says so.

    Returns:
        Nodes and values, without `model_header.OF_A_MACHINE`, and a path for messages.

    Raises:
        OSError, ValueError: as `header_of` and `read_checkpoint`; or a checkpoint has no config.
    """
    if is_model_file(path) or is_onnx_file(path):
        return header_of(path).config, path
    return config_of_checkpoint(path, read_checkpoint(path))


def config_of_checkpoint(path: str, data: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """As `stored_config`, of a checkpoint that has been read.

    The config in the checkpoint comes before the file beside it, which a later run in the same
    folder has replaced.

    Args:
        path: of the checkpoint.
        data: what `read_checkpoint` returns.

    Raises:
        ValueError: there is none, or the file beside it is no YAML of keys and values.
    """
    tree, source = saved_config(data), path
    if not tree:
        source = os.path.join(os.path.dirname(path), BESIDE)
        if not os.path.isfile(source):
            raise ValueError(
                f'"{path}" does not hold the config that it was trained with, and there is no '
                f"{BESIDE} beside it: put it there, or give --config-file FILE to `partialreid "
                "export`, which makes one model file of both."
            )
        tree = read_tree(source)
    return without_machine(tree), source


def stored_calibration(path: str) -> dict[str, Any] | None:
    """What the distances of a model mean, plain values; None where that is not known.

    Raises:
        OSError, ValueError: as `header_of`.
    """
    return header_of(path).calibration if is_model_file(path) or is_onnx_file(path) else None
