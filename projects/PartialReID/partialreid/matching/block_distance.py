"""Reconstruction distances of all pairs of two batches, with gradients, at the price of a product.

Shapes: Q queries, G galleries, C channels, N query columns, M gallery columns.

`differentiable_distance` solves for the codes of each pair and rebuilds each query from them, which
takes a product with the columns of the pair three times. Here each gallery image is solved for once
and nothing is rebuilt: with c = G'q and the codes W = A^-1 c, A = G'G + kappa I,

    ||q - G W||^2 = q'q - c' S c,    S = A^-1 (A + kappa I) A^-1,

so that the columns are touched by one product, Q x G pairs at once. What is left works on M numbers
a query column in place of C, and autograd goes through all of it, the codes included.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .exact_product import exact_product
from .precision import at_least_float32, full_precision

# Squared residuals below this are rounding of the columns themselves, in which a square root has no
# slope worth following: they count as this much, and have no gradient.
ROUNDING = 1e-9


def block_distance(query: Tensor, gallery: Tensor, weights: Tensor, kappa: float) -> Tensor:
    """Compute sum_n w_n ||q_n - G W_n|| for all pairs of queries and gallery images.

    The columns are multiplied in their own dtype, in at least float32. All else is in float64: S is
    as large as 1 / kappa, and the gradient goes through A^-1 twice, so that rounding in float32
    would be most of what reaches the gallery.

    Args:
        query: (Q, C, N) columns of about unit length.
        gallery: (G, C, M) columns of about unit length.
        weights: (Q, N), how much each query column counts.
        kappa: the ridge, > 0.

    Returns:
        (Q, G) distances, in at least float32.

    Raises:
        ValueError: kappa <= 0.
    """
    if not kappa > 0:
        raise ValueError(f"kappa must be > 0, got {kappa}")
    query, gallery = at_least_float32(query), at_least_float32(gallery)
    with full_precision(query.device):
        queries, _, columns = query.shape
        galleries, _, spans = gallery.shape
        # Rows of the columns of all gallery images against those of all queries: one product.
        correlation = exact_product(gallery.mT.flatten(0, 1), query.mT.flatten(0, 1).mT).unflatten(
            0, (galleries, spans)
        )
        wide = correlation.double()
        explained = (wide * (_solution(gallery, kappa) @ wide)).sum(1)
        squares = query.double().square().sum(1)
        residuals = (
            (squares - explained.unflatten(1, (queries, columns))).clamp_min(ROUNDING).sqrt()
        )
        distances: Tensor = (residuals * weights).sum(2).T
        return distances.to(query.dtype)


def _solution(gallery: Tensor, kappa: float) -> Tensor:
    """S of each gallery image (G, M, M), in float64."""
    gram = exact_product(gallery.mT, gallery).double()
    identity = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    shifted = gram + kappa * identity
    # A positive definite matrix has an inverse. One of NaN has none, which the losses then show: no
    # look at the result here, for which the host would wait.
    inverse = torch.linalg.inv_ex(shifted).inverse
    solution: Tensor = inverse @ (shifted + kappa * identity) @ inverse
    return solution
