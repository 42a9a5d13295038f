"""The baseline: the distance as the original computes it, pair by pair, in our own words."""

from __future__ import annotations

import torch
from torch import Tensor


def original_loop(
    query: Tensor,
    gallery: Tensor,
    weights: Tensor,
    shortlist: Tensor,
    kappa: float = 1e-3,
) -> Tensor:
    """Distances (Q, K): for every pair an inverse of the gallery's Gram matrix and two products.

    Args:
        query: (Q, C, N) columns of unit length.
        gallery: (G, C, M), likewise.
        weights: (Q, N).
        shortlist: (Q, K) galleries of each query.
    """
    out = torch.empty(shortlist.shape, device=query.device)
    ridge = kappa * torch.eye(gallery.shape[2], device=query.device)
    for i, some in enumerate(shortlist.tolist()):
        for k, j in enumerate(some):
            columns = gallery[j]
            inverse = torch.inverse(columns.T @ columns + ridge)
            coefficients = inverse @ (columns.T @ query[i])
            residual = query[i] - columns @ coefficients
            out[i, k] = (weights[i] * residual.square().sum(0).sqrt()).sum()
    return out
