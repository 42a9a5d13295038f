"""FastReID-DSR's distance on top of the exact reconstruction, and the original's function.

Shape shorthand: Q queries, G galleries, C channels, N and M columns, K shortlist, P pairs.
"""

from __future__ import annotations

from typing import Any, NamedTuple, overload

import numpy as np
import torch
from torch import Tensor

from .extracted import Images
from .lasso import lasso_distance
from .progress import tracker
from .reconstruction import (
    reconstruction_distance,
    reconstruction_distance_pairs,
    reconstruction_distance_topk,
)
from .shortlists import nearest


class RidgeMatcher(NamedTuple):
    """The ridge reconstruction distance between images; see `sharding.Matcher`.

    Attributes:
        kappa: weight of the ridge.
        squared: sum squared residuals in place of residuals.
        memory_bytes: working memory, see `reconstruction_distance`.
    """

    kappa: float = 1e-3
    squared: bool = False
    memory_bytes: int | None = None

    def every(self, query: Images, gallery: Images) -> Tensor:
        """Distances (Q, G) of all pairs."""
        return reconstruction_distance(
            query.columns, gallery.columns, query.weights, **self._options()
        )

    def pairs(self, query: Images, gallery: Images, pairs: Tensor) -> Tensor:
        """Distances (P,) of `pairs` (P, 2) of a query and a gallery image."""
        return reconstruction_distance_pairs(
            query.columns, gallery.columns, pairs, query.weights, **self._options()
        )

    def _options(self) -> dict[str, Any]:
        return {**self._asdict(), "track": tracker("reconstruction distances")}


class LassoMatcher(NamedTuple):
    """The sparse-coding distance of DSR (2018) between images; see `sharding.Matcher`.

    Query columns of weight zero do not take part; the others count alike.

    Attributes:
        beta: weight of the L1 norm.
        memory_bytes: working memory, see `lasso_distance`.
    """

    beta: float = 0.4
    memory_bytes: int | None = None

    def every(self, query: Images, gallery: Images) -> Tensor:
        """Distances (Q, G) of all pairs."""
        return lasso_distance(_weighted(query), gallery.columns, **self._options())

    def pairs(self, query: Images, gallery: Images, pairs: Tensor) -> Tensor:
        """Distances (P,) of `pairs` (P, 2) of a query and a gallery image."""
        return lasso_distance(_weighted(query), gallery.columns, pairs, **self._options())

    def _options(self) -> dict[str, Any]:
        return {**self._asdict(), "track": tracker("lasso distances", "images")}


def _weighted(query: Images) -> list[Tensor]:
    """The columns (C, N_q) of each query that have a weight."""
    return [query.columns[i][:, weights > 0] for i, weights in enumerate(query.weights)]


@overload
def compute_dsr_dist(array1: Tensor, array2: Any, *others: Any, **options: Any) -> Tensor: ...


@overload
def compute_dsr_dist(
    array1: np.ndarray, array2: Any, *others: Any, **options: Any
) -> np.ndarray: ...


def compute_dsr_dist(
    array1: Tensor | np.ndarray,
    array2: Tensor | np.ndarray,
    distmat: Tensor | np.ndarray,
    scores: Tensor | np.ndarray | None,
    *,
    topk: int = 100,
    kappa: float = 1e-3,
    fill: float = 100.0,
    memory_bytes: int | None = None,
) -> Tensor | np.ndarray:
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
