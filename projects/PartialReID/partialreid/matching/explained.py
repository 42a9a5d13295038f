"""One pair taken apart: what a distance is the sum of, and what rebuilt what.

Shapes: C channels, N query columns, M gallery columns, P patches of the query, L of the gallery.

The distance of a pair is a sum over the query's columns, of w_n ||q_n - G W_n||. The codes W say
how each column was rebuilt, but |W| is a bad witness of from where: the windows of a pyramid
overlap, so that columns are much alike and many codes are negative, one column taking back what
another has brought. What a gallery column brings is therefore measured along the query's column:
its contribution is W_mn <g_m, q_n>. For ridge codes

    ||q_n||^2 = sum_m W_mn <g_m, q_n> + ||q_n - G W_n||^2 + kappa ||W_n||^2,

so that contributions, too, are parts of a whole. Those above zero bring something, those below take
away.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .columns import ColumnBlocks, check_fit, padded_weights
from .kappa import check_kappa
from .lasso import BETA, TOLERANCE, lasso_codes
from .precision import full_precision
from .reconstruction import KAPPA
from .windows import Patches


class Explained(NamedTuple):
    """The parts of one pair's distance, in float64 on the columns' device.

    Attributes:
        distance: the sum of `shares`.
        weights: (N,), how much each query column counts in it.
        residuals: (N,), what is left over of each query column: ||q_n - G W_n||, or its square.
        shares: (N,), weights times residuals.
        codes: (M, N), W.
        contributions: (M, N), what each gallery column brings to each query column.
    """

    distance: float
    weights: Tensor
    residuals: Tensor
    shares: Tensor
    codes: Tensor
    contributions: Tensor


@torch.no_grad()
def explained_pair(
    query: Tensor, gallery: Tensor, weights: Tensor, kappa: float = KAPPA, squared: bool = False
) -> Explained:
    """Take the `reconstruction_distance` of one pair apart.

    Args:
        query: (C, N) columns, taken as they are: normalise them first.
        gallery: (C, M) columns, likewise.
        weights: (N,) of the query's columns.
        kappa: the ridge, > 0.
        squared: residuals are squared.

    Raises:
        ValueError: arguments that do not fit each other, kappa <= 0, or columns that hold an
            infinity or NaN.
    """
    check_kappa(kappa)
    wanted, span, weights = _checked(query, gallery, weights)
    with full_precision(wanted.device):
        # Singular vectors, as one pair costs little and no kappa is too small for them.
        left, values, right = torch.linalg.svd(span, full_matrices=False)
        gain = values / (values.square() + kappa)
        codes = right.mT @ (gain[:, None] * (left.mT @ wanted))
        return _explained(wanted, span, weights, codes, squared)


@torch.no_grad()
def explained_lasso_pair(
    query: Tensor,
    gallery: Tensor,
    weights: Tensor,
    beta: float = BETA,
    tolerance: float = TOLERANCE,
) -> Explained:
    """Take the `lasso_distance` of one pair apart.

    Args:
        query, gallery: as for `explained_pair`.
        weights: (N,); columns of weight zero do not take part, the others count alike.
        beta, tolerance: as for `lasso_codes`.

    Raises:
        ValueError: arguments that do not fit each other, beta <= 0, or columns that hold an
            infinity or NaN.
        RuntimeError: as in `lasso_codes`.
    """
    wanted, span, weights = _checked(query, gallery, weights)
    used = (weights > 0).double()
    with full_precision(wanted.device):
        codes = lasso_codes(span.mT @ span, span.mT @ wanted, beta, tolerance=tolerance)
        return _explained(wanted, span, used / used.sum().clamp(min=1), codes, squared=True)


def patch_links(explained: Explained, query: Patches, gallery: Patches) -> Tensor:
    """How much each patch of the gallery image brings to each patch of the query.

    Contributions above zero, times the query's weights, are spread over the windows of both
    columns. Those below zero are left out: who takes away is not where something comes from.

    Args:
        explained: the pair.
        query, gallery: the patches of both images, P and L of them.

    Returns:
        (L, P) in float64, patches row by row. Its sum is that of all that is brought.

    Raises:
        ValueError: as `Patches.spread`.
    """
    brought = explained.contributions.clamp(min=0) * explained.weights
    over_query = query.spread(brought).flatten(1)
    return gallery.spread(over_query.mT).flatten(1).mT


def _checked(query: Tensor, gallery: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Columns and weights in float64.

    Raises:
        ValueError: they do not fit each other, or columns hold an infinity or NaN.
    """
    asking, asked = ColumnBlocks([query], "query"), ColumnBlocks([gallery], "gallery")
    check_fit(asking, asked)
    for columns in (asking, asked):
        columns.squared_norms(torch.float64)
    padded = padded_weights([weights], asking, torch.float64)
    return query.double(), gallery.double(), padded[0]


def _explained(
    query: Tensor, gallery: Tensor, weights: Tensor, codes: Tensor, squared: bool
) -> Explained:
    squares = (query - gallery @ codes).square().sum(0)
    residuals = squares if squared else squares.sqrt()
    shares = weights * residuals
    contributions = codes * (gallery.mT @ query)
    return Explained(float(shares.sum()), weights, residuals, shares, codes, contributions)
