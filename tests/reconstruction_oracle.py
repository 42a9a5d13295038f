"""The reconstruction distance by a solve per pair in float64, and columns to try it on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def oracle(
    query: Sequence[Tensor],
    gallery: Sequence[Tensor],
    weights: Sequence[Tensor] | None = None,
    kappa: float = 1e-3,
    squared: bool = False,
) -> Tensor:
    out = torch.zeros(len(query), len(gallery), dtype=torch.float64)
    for i, q in enumerate(query):
        q = q.double()
        w = torch.full((q.shape[1],), 1 / q.shape[1]) if weights is None else weights[i]
        for j, g in enumerate(gallery):
            g = g.double()
            ridge = g.T @ g + kappa * torch.eye(g.shape[1], dtype=torch.float64)
            residual = (q - g @ torch.linalg.solve(ridge, g.T @ q)).square().sum(0)
            out[i, j] = (w.double() * (residual if squared else residual.sqrt())).sum()
    return out


def features(seed: int, images: int, channels: int, columns: int) -> Tensor:
    """Unit columns like a network's: rectified, one direction shared by all."""
    generator = torch.Generator().manual_seed(seed)
    shape = (images, channels, columns)
    shared = torch.rand(1, channels, 1, generator=generator)
    return F.normalize((torch.randn(shape, generator=generator) + shared).relu(), dim=1)


def weights_of(seed: int, images: int, columns: int) -> Tensor:
    raw = torch.rand(images, columns, generator=torch.Generator().manual_seed(seed))
    return F.normalize(raw + 0.01, p=1, dim=1)
