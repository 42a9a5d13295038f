"""`compute_dsr_dist`, the function of FastReID-DSR, on top of the exact reconstruction.

Shape shorthand: Q queries, G galleries, C channels, N and M columns, K shortlist.
"""

from __future__ import annotations

from typing import overload

import numpy as np
import torch
from torch import Tensor

from .matching.reconstruction import (
    KAPPA,
    reconstruction_distance,
    reconstruction_distance_topk,
)
from .matching.shortlists import FILL, TOPK, nearest

Array = Tensor | np.ndarray


@overload
def compute_dsr_dist(
    array1: Tensor,
    array2: Array,
    distmat: Array,
    scores: Array | None,
    *,
    topk: int = TOPK,
    kappa: float = KAPPA,
    fill: float = FILL,
    memory_bytes: int | None = None,
) -> Tensor: ...


@overload
def compute_dsr_dist(
    array1: np.ndarray,
    array2: Array,
    distmat: Array,
    scores: Array | None,
    *,
    topk: int = TOPK,
    kappa: float = KAPPA,
    fill: float = FILL,
    memory_bytes: int | None = None,
) -> np.ndarray: ...


def compute_dsr_dist(
    array1: Array,
    array2: Array,
    distmat: Array,
    scores: Array | None,
    *,
    topk: int = TOPK,
    kappa: float = KAPPA,
    fill: float = FILL,
    memory_bytes: int | None = None,
) -> Array:
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
        (Q, G), un-squared weighted residuals sum_n w_n ||q_n - G W_n||: a tensor where the columns
        are tensors, and an array where they are arrays, as the original's callers have them.
    """
    if isinstance(array1, np.ndarray):
        found = compute_dsr_dist(
            torch.as_tensor(array1),
            torch.as_tensor(array2),
            torch.as_tensor(distmat),
            None if scores is None else torch.as_tensor(scores),
            topk=topk,
            kappa=kappa,
            fill=fill,
            memory_bytes=memory_bytes,
        )
        return found.numpy()
    array2, distmat = torch.as_tensor(array2), torch.as_tensor(distmat)
    scores = None if scores is None else torch.as_tensor(scores)
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
