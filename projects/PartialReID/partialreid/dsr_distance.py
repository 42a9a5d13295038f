"""`compute_dsr_dist`, the function of FastReID-DSR, on top of the exact reconstruction.

Shape shorthand: Q queries, G galleries, C channels, N and M columns, K shortlist.
"""

from __future__ import annotations

from collections.abc import Sequence
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
# Of all images at once, or of each where their sizes differ.
Tensors = Tensor | Sequence[Tensor]
Arrays = np.ndarray | Sequence[np.ndarray]


@overload
def compute_dsr_dist(
    array1: Tensors,
    array2: Tensors | Arrays,
    distmat: Array,
    scores: Tensors | Arrays | None,
    *,
    topk: int = TOPK,
    kappa: float = KAPPA,
    fill: float = FILL,
    memory_bytes: int | None = None,
) -> Tensor: ...


@overload
def compute_dsr_dist(
    array1: Arrays,
    array2: Tensors | Arrays,
    distmat: Array,
    scores: Tensors | Arrays | None,
    *,
    topk: int = TOPK,
    kappa: float = KAPPA,
    fill: float = FILL,
    memory_bytes: int | None = None,
) -> np.ndarray: ...


def compute_dsr_dist(
    array1: Tensors | Arrays,
    array2: Tensors | Arrays,
    distmat: Array,
    scores: Tensors | Arrays | None,
    *,
    topk: int = TOPK,
    kappa: float = KAPPA,
    fill: float = FILL,
    memory_bytes: int | None = None,
) -> Array:
    """Reconstruction distance of each query to its nearest gallery images.

    FastReID-DSR re-ranks: only the `topk` images nearest by the global distance are reconstructed.

    Args:
        array1: (Q, C, N) query columns, L2-normalised over C; or Q of (C, N_q).
        array2: (G, C, M) gallery columns, likewise; or G of (C, M_g).
        distmat: (Q, G) global distance, which selects what is reconstructed.
        scores: (Q, N) weights of the query columns, or Q of (N_q,); None for equal weights.
        topk: K; 0 or at least G reconstructs every pair.
        kappa: weight of the ridge.
        fill: distance of the pairs that are not reconstructed.
        memory_bytes: working memory, see `reconstruction_distance`.

    Returns:
        (Q, G), un-squared weighted residuals sum_n w_n ||q_n - G W_n||: a tensor where the columns
        are tensors, and an array where they are arrays, as the original's callers have them.

    Raises:
        ValueError: `distmat` is not (Q, G), or holds NaN; or as `reconstruction_distance`.
    """
    of_arrays = _is_of_arrays(array1)
    query, gallery, near = _columns(array1), _columns(array2), _tensor(distmat)
    weights = None if scores is None else _columns(scores)
    if near.shape != (len(query), len(gallery)):
        raise ValueError(
            f"distmat is {tuple(near.shape)}; it holds a distance of each of {len(query)} queries "
            f"to each of {len(gallery)} gallery images"
        )
    if topk <= 0 or topk >= near.shape[1]:
        found = reconstruction_distance(
            query, gallery, weights, kappa=kappa, memory_bytes=memory_bytes
        )
        return found.numpy() if of_arrays else found
    if near.isnan().any():
        raise ValueError("distmat holds NaN")
    shortlist = nearest(near, topk)
    matched = reconstruction_distance_topk(
        query, gallery, shortlist, weights, kappa=kappa, memory_bytes=memory_bytes
    )
    out = torch.full(near.shape, fill, dtype=matched.dtype, device=matched.device)
    out.scatter_(1, shortlist.to(matched.device), matched)
    return out.numpy() if of_arrays else out


def _is_of_arrays(columns: Tensors | Arrays) -> bool:
    if isinstance(columns, (Tensor, np.ndarray)):
        return isinstance(columns, np.ndarray)
    return len(columns) > 0 and isinstance(columns[0], np.ndarray)


def _columns(columns: Tensors | Arrays) -> Tensors:
    if isinstance(columns, (Tensor, np.ndarray)):
        return _tensor(columns)
    return [_tensor(image) for image in columns]


def _tensor(values: Array) -> Tensor:
    if isinstance(values, np.ndarray):
        backwards = any(step < 0 for step in values.strides)
        if backwards or not values.flags.writeable:
            # torch has no tensors of such arrays' memory.
            values = values.copy()
    return torch.as_tensor(values)
