"""Reconstruction distances of all pairs of two batches, with gradients, at the price of a product.

Shapes: Q queries, G galleries, C channels, N query columns, M gallery columns.

`differentiable_distance` solves for the codes of each pair and rebuilds each query from them, which
takes a product with the columns of the pair three times. Here each gallery image is solved for once
and nothing is rebuilt: with c = G'q and the codes W = A^-1 c, A = G'G + kappa I,

    ||q - G W||^2 = q'q - c' S c,    S = A^-1 + kappa A^-2,

so that the columns are touched by one product, Q x G pairs at once. What is left works on M numbers
a query column in place of C, and autograd goes through all of it, the codes included.

Nor are the columns divided by their lengths: the lengths are in q'q and on the diagonal of G'G, and
divide these small arrays.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .inner_products import inner_products
from .kappa import check_kappa
from .precision import at_least_float32
from .quadratic_forms import quadratic_forms

# Squared residuals below this are rounding of the columns themselves, in which a square root has no
# slope worth following: they count as this much, and have no gradient.
ROUNDING = 1e-9
# Columns shorter than 1e-12 are divided by this length, as by torch's `normalize`.
SHORTEST_SQUARE = 1e-24


def block_distance(query: Tensor, gallery: Tensor, weights: Tensor, kappa: float) -> Tensor:
    """Compute sum_n w_n ||q_n - G W_n|| of unit columns for all pairs of query and gallery images.

    The columns are multiplied in their own dtype, in at least float32. All else is in float64: S is
    as large as 1 / kappa, and the gradient goes through A^-1 twice, so that rounding in float32
    would be most of what reaches the gallery.

    Args:
        query: (Q, C, N) columns of any length; they count as if divided by it.
        gallery: (G, C, M) columns, likewise.
        weights: (Q, N), how much each query column counts.
        kappa: the ridge, > 0.

    Returns:
        (Q, G) distances, in at least float32.

    Raises:
        ValueError: kappa <= 0.
        RuntimeError: in a backward pass, where second derivatives are asked for.
    """
    check_kappa(kappa)
    query, gallery = at_least_float32(query), at_least_float32(gallery)
    correlation, gram, squares = inner_products(query, gallery)
    explained = quadratic_forms(correlation, _solution(gram.double(), kappa))
    # A query column's squared length less what is explained of it: divided by the squared
    # length that is the squared residual of the unit column. A column of zeros leaves 0.
    left = squares - explained.unflatten(1, squares.shape)
    residuals = (left / squares.clamp_min(SHORTEST_SQUARE)).clamp_min(ROUNDING).sqrt()
    distances: Tensor = (residuals * weights).sum(2).T
    return distances.to(query.dtype)


def _solution(gram: Tensor, kappa: float) -> Tensor:
    """S of each gallery image (G, M, M) for correlations with columns of any length, in float64."""
    shrink = gram.diagonal(dim1=1, dim2=2).clamp_min(SHORTEST_SQUARE).rsqrt()
    shrink = shrink[:, :, None] * shrink[:, None]
    identity = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    # A positive definite matrix has an inverse. One of NaN has none, which the losses then show: no
    # look at the result here, for which the host would wait.
    inverse = torch.linalg.inv_ex(gram * shrink + kappa * identity).inverse
    solution: Tensor = (inverse + kappa * (inverse @ inverse)) * shrink
    return solution
