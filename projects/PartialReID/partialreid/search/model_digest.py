"""Which model made an index: features of two models cannot be compared."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..config import config_value
from ..data.detail import ALL
from ..engine.model_file import LEFT_OUT

# What changes the outputs of a network besides its weights and its config under MODEL, which the
# weights belong to.
KEYS = (
    *("INPUT.SIZE_TEST", "INPUT.KEEP_RATIO", "INPUT.KEEP_RATIO_STEP", "INPUT.KEEP_RATIO_LONGEST"),
    *("INPUT.CROP.ENABLED", "INPUT.CROP.SIZE", "TEST.FLIP.ENABLED", "MODEL.HEADS.DSR.KERNELS"),
    *("MODEL.HEADS.DSR.STRIDE", "MODEL.HEADS.DSR.POOL", "MODEL.PIXEL_MEAN", "MODEL.PIXEL_STD"),
    *("INPUT.KEEP_RATIO_WHOLE", "INPUT.DETAIL"),
)
# Keys that are younger than galleries on disk, with the value by which nothing changes: so those
# stay as they are.
LATER = {"INPUT.KEEP_RATIO_WHOLE": 0.0, "INPUT.DETAIL": ALL}


def model_digest(state: Mapping[str, Tensor], cfg: Any) -> str:
    """A text that two models share if, and in practice only if, they give the same outputs.

    Args:
        state: weights by their names. How their memory is laid out does not matter, nor how many
            people the classifiers know: a checkpoint shares its text with its model file.
        cfg: config of the model.
    """
    found = hashlib.sha256()
    for name in sorted(state):
        # A network without its classifiers has them of no rows.
        value = state[name][:0] if name in LEFT_OUT else state[name]
        value = value.detach().cpu().contiguous(memory_format=torch.contiguous_format)
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.flatten().view(torch.uint8).numpy().tobytes())
    for key in KEYS:
        value = config_value(cfg, key)
        if key not in LATER or value != LATER[key]:
            found.update(f"{key} {value!r}".encode())
    return found.hexdigest()[:16]
