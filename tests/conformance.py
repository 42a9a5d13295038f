"""The recipe by which the conformance vectors name their columns, from seeds."""

from __future__ import annotations

import numpy as np
import torch

from partialreid.pyramid import pyramid_columns


def columns_of(
    seed: int, ids: np.ndarray, channels: int, noise: float, base_seed: int, total: int
) -> torch.Tensor:
    """Columns (len(ids), C, 110) of noisy copies of one random map for each identity."""
    shape = (channels, 24, 8)
    base = np.random.default_rng(base_seed).standard_normal((total, *shape), dtype="f4")
    extra = np.random.default_rng(seed).standard_normal((len(ids), *shape), dtype="f4")
    maps = torch.from_numpy(np.maximum(base[ids] + noise * extra, 0))
    return pyramid_columns(maps)[0]
