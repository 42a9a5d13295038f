"""The config of a training on eight small images at a time, and one seed for all generators."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

# Transforms that move pixels, and masks with them.
MOVING = ("FLIP", "PADDING", "AFFINE")


def small_training(make_config: Callable[..., Any], root: Path) -> Any:
    cfg = make_config("DATASETS.NAMES", ("Market1501",), "DATASETS.ROOT", str(root))
    cfg.merge_from_list(["INPUT.SIZE_TRAIN", [64, 32], "SOLVER.IMS_PER_BATCH", 8])
    cfg.merge_from_list(["DATALOADER.NUM_WORKERS", 0, "DATALOADER.NUM_INSTANCE", 2])
    cfg.DATALOADER.SAMPLER_TRAIN = "NaiveIdentitySampler"
    return cfg


def seed(number: int) -> None:
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)
