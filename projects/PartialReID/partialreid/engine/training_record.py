"""What the record of an evaluation says of the training that its weights come from."""

from __future__ import annotations

from typing import Any

from ..keys.config_files import flat_config, is_below
from .checkpoint import read_checkpoint
from .configuration import tree_config
from .mean_checks import FREE
from .model_file import is_model_file, is_onnx_file
from .model_header import config_tree, without_machine
from .onnx_network import header_of
from .resumption import BEGUN_WITH, saved_config

# How many classes there were is not said: a training counts them, a config has 0.
COUNTED = "MODEL.HEADS.NUM_CLASSES"
UNSAID = (*(key for key in FREE if key != BEGUN_WITH), COUNTED)


def training_of(path: str, cfg: Any) -> dict[str, Any]:
    """What a run record adds of the training of the weights that it evaluates.

    The config of a run is that of its command. What the network was trained with, its file says.

    Args:
        path: of the weights.
        cfg: config of the run.

    Returns:
        `trained_with`: the keys whose values in the file are others than in `cfg`; a key that the
        training did not know yet had its default. Keys that no weight depends on and those that
        name files are left out. Absent where the file holds no config. Of a mean, whose config is
        that of the first, `averaged`, of how many it is, and of several trainings `trainings`, the
        keys in which each of them differed from the first.

    Raises:
        OSError, ValueError: as `header_of` and `read_checkpoint`.
    """
    if is_model_file(path) or is_onnx_file(path):
        header = header_of(path)
        trained, record = header.config, header.record
    else:
        trained, record = saved_config(read_checkpoint(path)), {}
    found: dict[str, Any] = {
        name: record[name] for name in ("averaged", "trainings") if name in record
    }
    if not trained:
        return found
    defaults = flat_config(config_tree(tree_config({}, "", [])))
    now = flat_config(config_tree(cfg))
    return {
        "trained_with": {
            key: value
            for key, value in {**defaults, **flat_config(without_machine(trained))}.items()
            if now.get(key, value) != value and not any(is_below(key, free) for free in UNSAID)
        },
        **found,
    }
