"""Noisy distances of a small test set."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

QUERIES, PEOPLE, SHOTS = 40, 20, 3


def case(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, tuple[Any, ...]]:
    """Two noisy distances, the second better; two queries and three galleries of each person."""
    rng = np.random.default_rng(seed)
    q_pids, g_pids = np.arange(QUERIES) % PEOPLE, np.arange(PEOPLE * SHOTS) % PEOPLE
    same = q_pids[:, None] == g_pids
    near, matched = (
        torch.from_numpy((rng.random(same.shape) - gain * same).astype(np.float32))
        for gain in (0.2, 0.4)
    )
    return near, matched, (q_pids, g_pids, np.zeros(QUERIES, int), np.ones(PEOPLE * SHOTS, int))
