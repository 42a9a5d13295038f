"""Recordings of the original code, with the columns that they name by seeds drawn again."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from partialreid.matching.pyramid import pyramid_columns
from tests.paths import CONFORMANCE


def columns_of(
    seed: int, ids: np.ndarray, channels: int, noise: float, base_seed: int, total: int
) -> Tensor:
    """Columns (len(ids), C, 110) of noisy copies of one random map for each identity."""
    shape = (channels, 24, 8)
    base = np.random.default_rng(base_seed).standard_normal((total, *shape), dtype="f4")
    extra = np.random.default_rng(seed).standard_normal((len(ids), *shape), dtype="f4")
    maps = torch.from_numpy(np.maximum(base[ids] + noise * extra, 0))
    return pyramid_columns(maps)[0]


class RecordedDistances(NamedTuple):
    """Inputs of `compute_dsr_dist` and what it returned.

    Attributes:
        query, gallery: unit columns (6, 256, 110) and (120, 256, 110).
        near: global distances (6, 120).
        weights: of the queries' columns, (6, 110).
        wanted: the original's distances (6, 120), 100.0 beyond the hundred nearest.
    """

    query: Tensor
    gallery: Tensor
    near: Tensor
    weights: Tensor
    wanted: Tensor


def recorded_distances() -> RecordedDistances:
    data = np.load(CONFORMANCE / "distance.npz")
    seed, channels = int(data["seed"]), int(data["channels"])
    query = columns_of(seed + 10, data["query_ids"], channels, 1.0, seed, 120)
    gallery = columns_of(seed + 11, data["gallery_ids"], channels, 1.0, seed, 120)
    gallery[7] = query[2]
    stored = (torch.from_numpy(data[name]) for name in ("global_dist", "scores", "dsr_dist"))
    return RecordedDistances(F.normalize(query, dim=1), F.normalize(gallery, dim=1), *stored)


def recorded_evaluation() -> tuple[dict[str, np.ndarray], Tensor]:
    """What the original's evaluator was given and returned, and the columns (230, 256, 110)."""
    data = dict(np.load(CONFORMANCE / "evaluator.npz"))
    seed, channels, ids = (int(data[name]) for name in ("seed", "channels", "num_ids"))
    noise = float(data["noise"])
    return data, columns_of(seed + 21, data["pids"], channels, noise, seed + 22, ids)
