"""A config in which everything fits, for the checks that say what does not."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

BASE = (
    ("DATASETS.NAMES", ("Market1501",)),
    ("DATASETS.TESTS", ("Market1501",)),
    # Nothing is there: a check that read data would fail otherwise.
    ("DATASETS.ROOT", "absent/folder"),
    ("MODEL.META_ARCHITECTURE", "PartialBaseline"),
    ("MODEL.HEADS.NAME", "DSRHead"),
    ("DATALOADER.SAMPLER_TRAIN", "NaiveIdentitySampler"),
    ("DATALOADER.NUM_INSTANCE", 4),
    ("SOLVER.IMS_PER_BATCH", 16),
)


def whole_config(make_config: Callable[..., Any], *options: Any) -> Any:
    return make_config(*itertools.chain(*BASE), *options)
