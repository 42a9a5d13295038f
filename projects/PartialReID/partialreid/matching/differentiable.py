"""Reconstruction distances that carry gradients, for training and for small numbers of pairs.

Shapes: ... any leading dimensions, broadcast against each other; C channels, N query columns,
M gallery columns. All pairs of two batches: `query[:, None]` against `gallery[None]`.

All products are in full float32, those of the backward pass included, whatever torch's settings for
TF32 and autocast are then.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .exact_product import exact_product
from .kappa import check_kappa
from .precision import at_least_float32, full_precision
from .reconstruction import KAPPA


def ridge_codes(query: Tensor, gallery: Tensor, kappa: float = KAPPA) -> Tensor:
    """Compute W = (G'G + kappa I)^-1 G'Q, which minimises ||Q - G W||^2 + kappa ||W||^2.

    Args:
        query: (..., C, N) columns.
        gallery: (..., C, M) columns.
        kappa: the ridge, > 0.

    Returns:
        (..., M, N), solved in float64 and given back in at least float32.

    Raises:
        ValueError: kappa <= 0.
    """
    check_kappa(kappa)
    query, gallery = at_least_float32(query), at_least_float32(gallery)
    with full_precision(query.device):
        gram = exact_product(gallery.mT, gallery).double()
        correlation = exact_product(gallery.mT, query).double()
        ridge = kappa * torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
        factor = torch.linalg.cholesky(gram + ridge)
        return torch.cholesky_solve(correlation, factor).to(query.dtype)


def coded_distance(
    query: Tensor,
    gallery: Tensor,
    codes: Tensor,
    weights: Tensor | None = None,
    *,
    squared: bool = False,
) -> Tensor:
    """Compute sum_n w_n ||q_n - G W_n|| for given codes W.

    Squared and with codes that carry no gradient, this is the network's half of DSR's
    alternation: dL/dQ = 2 (Q - G W) / N and dL/dG = -2 (Q - G W) W' / N (CVPR 2018, section 3.3).

    Args:
        query: (..., C, N) columns.
        gallery: (..., C, M) columns.
        codes: (..., M, N), of `ridge_codes` or `lasso_codes`.
        weights: (..., N); None weighs each column by 1 / N.
        squared: sum squared residuals in place of residuals.

    Returns:
        (...) distances.
    """
    query, gallery = at_least_float32(query), at_least_float32(gallery)
    with full_precision(query.device):
        residual = query - exact_product(gallery, codes.to(query.dtype))
        # The norm's gradient at a residual of zero is taken as zero, where that of a square root
        # of a sum would be NaN.
        errors = (
            residual.square().sum(-2) if squared else torch.linalg.vector_norm(residual, dim=-2)
        )
        return errors.mean(-1) if weights is None else (errors * weights).sum(-1)


def differentiable_distance(
    query: Tensor,
    gallery: Tensor,
    weights: Tensor | None = None,
    *,
    kappa: float = KAPPA,
    squared: bool = False,
    hold_codes: bool = False,
) -> Tensor:
    """Compute the distance of `reconstruction_distance` for aligned pairs, with gradients.

    Args:
        query: (..., C, N) columns.
        gallery: (..., C, M) columns.
        weights: (..., N); None weighs each column by 1 / N.
        kappa: the ridge, > 0.
        squared: sum squared residuals in place of residuals.
        hold_codes: hold W fixed in the backward pass; otherwise the ridge solution is
            differentiated through.

    Returns:
        (...) distances.

    Raises:
        ValueError: kappa <= 0.
    """
    with torch.set_grad_enabled(torch.is_grad_enabled() and not hold_codes):
        codes = ridge_codes(query, gallery, kappa)
    return coded_distance(query, gallery, codes, weights, squared=squared)
