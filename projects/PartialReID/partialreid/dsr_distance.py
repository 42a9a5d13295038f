"""The original's distance function, by its name, on top of the exact reconstruction.

Shape shorthand: Q queries, G galleries, C channels, N and M columns, K shortlist.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .reconstruction import reconstruction_distance, reconstruction_distance_topk


def nearest(distmat: Tensor, topk: int) -> Tensor:
    """Indices (Q, K) of the `topk` nearest gallery images; equal distances in gallery order."""
    return torch.argsort(distmat, dim=1, stable=True)[:, :topk]


def compute_dsr_dist(
    array1: Tensor,
    array2: Tensor,
    distmat: Tensor,
    scores: Tensor | None,
    *,
    topk: int = 100,
    kappa: float = 1e-3,
    fill: float = 100.0,
    memory_bytes: int | None = None,
) -> Tensor:
    """Reconstruction distance of each query to its nearest gallery images.

    FastReID-DSR re-ranks: only the `topk` images nearest by the global distance are reconstructed.

    Args:
        array1: (Q, C, N) query columns, L2-normalised over C.
        array2: (G, C, M) gallery columns, likewise.
        distmat: (Q, G) global distance, which selects what is reconstructed.
        scores: (Q, N) weights of the query columns, or None for equal weights.
        topk: K; 0 or at least G reconstructs every pair.
        kappa: weight of the ridge.
        fill: distance of the pairs that are not reconstructed.
        memory_bytes: working memory, see `reconstruction_distance`.

    Returns:
        (Q, G), un-squared weighted residuals sum_n w_n ||q_n - G W_n||.
    """
    if topk <= 0 or topk >= distmat.shape[1]:
        return reconstruction_distance(
            array1, array2, scores, kappa=kappa, memory_bytes=memory_bytes
        )
    shortlist = nearest(distmat, topk)
    near = reconstruction_distance_topk(
        array1, array2, shortlist, scores, kappa=kappa, memory_bytes=memory_bytes
    )
    out = torch.full(distmat.shape, fill, dtype=near.dtype, device=near.device)
    return out.scatter_(1, shortlist.to(near.device), near)
