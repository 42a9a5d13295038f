"""The fused distance, with the lambda that TEST.DSR asks for: fixed, cross-fitted or an oracle's.

Shapes: Q queries, G galleries.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from .lambda_selection import LambdaCurve, at_the_top, crossfit, lambda_curve
from .ranking import Ids, matched_queries
from .report import ProtocolSettings, Report, report_of

logger = logging.getLogger(__name__)


class LambdaSettings(ProtocolSettings, Protocol):
    """The config node TEST.DSR, or anything with its keys that choose protocol and lambda."""

    LAMBDA: float
    LAMBDA_SELECTION: str
    LAMBDA_STEP: float


def fuse(global_dist: Tensor, recon_dist: Tensor, lam: float) -> Tensor:
    """(1 - lambda) * global + lambda * reconstruction, of two (Q, G) distances."""
    fused = torch.empty_like(global_dist)
    # Row by row: the terms of the whole matrices would take as much memory again as the result.
    for near, matched, out in zip(global_dist, recon_dist, fused, strict=True):
        torch.add((1 - lam) * near, lam * matched, out=out)
    return fused


def lambda_grid(step: float) -> tuple[float, ...]:
    """The values of lambda to choose from: 0, step, 2 step, ... below 1, and 1 itself.

    The last interval is shorter where 1 is no multiple of the step: 0.3 gives 0, 0.3, 0.6, 0.9, 1.

    Args:
        step: above 0, at most 1.

    Raises:
        ValueError: the step is out of range.
    """
    if not 0 < step <= 1:
        raise ValueError(f"TEST.DSR.LAMBDA_STEP is {step}; it lies between 0 and 1.")
    # A quotient that is a whole number but for its rounding counts as that number.
    below = math.ceil(1 / step - 1e-9)
    return (*(float(step * i) for i in range(below)), 1.0)


def fused_distance(
    near: Tensor, matched: Tensor, ids: Ids, settings: LambdaSettings
) -> tuple[Tensor, Report]:
    """The fused distance (Q, G), and how its lambda was chosen.

    Args:
        near, matched: (Q, G) global and reconstruction distances.
        ids: query and gallery identities, query and gallery cameras.
        settings: the config node TEST.DSR.

    Returns:
        The distance, and `lambda` (the mean of both where there are two), `lambda_selection`; with
        cross-fitting also `lambdas` of both halves, and what an oracle would have chosen. Lambda is
        chosen in the whole gallery; what the oracle's finds is measured by TEST.DSR.PROTOCOL.
    """
    how = settings.LAMBDA_SELECTION
    grid = lambda_grid(settings.LAMBDA_STEP)
    if how == "fixed":
        lam = float(settings.LAMBDA)
        return fuse(near, matched, lam), {"lambda": lam, "lambda_selection": how}
    if how == "oracle":
        curve = lambda_curve(near, matched, *ids, grid)
        # The first best Rank-1, as in the original.
        lam = grid[int(at_the_top(curve.rank1)[0])]
        logger.warning(
            f"lambda {lam:.10g} is an oracle's: it has the best Rank-1 on this very test "
            "set. A user of the method cannot choose it so; report TEST.DSR.LAMBDA_SELECTION "
            "crossfit or fixed."
        )
        return fuse(near, matched, lam), {"lambda": lam, "lambda_selection": how}
    chosen = crossfit(near, matched, *ids, grid, seed=settings.PROTOCOL_SEED)
    # Metrics are means over the queries that have a match: the others weigh nothing.
    weights = np.bincount(chosen.half, weights=matched_queries(*ids))
    oracle = oracle_of(chosen.curves, weights)
    if settings.PROTOCOL != "full":
        # Its figures in the whole gallery would stand beside those of much smaller ones.
        by_protocol = report_of({"fused": fuse(near, matched, oracle["lambda"])}, ids, settings)
        oracle |= {name: by_protocol["fused"][name] for name in ("Rank-1", "mAP")}
    return torch.from_numpy(chosen.fused), {
        "lambda": float(np.mean(chosen.lambdas)),
        "lambda_selection": how,
        "lambdas": list(chosen.lambdas),
        "oracle": oracle,
    }


def oracle_of(curves: Sequence[LambdaCurve], queries: np.ndarray) -> dict[str, float]:
    """What the best lambda of the whole test set gives, from the curves of its halves."""
    shares = queries / queries.sum()
    rank1, m_ap = (
        sum(share * getattr(curve, name) for share, curve in zip(shares, curves, strict=True))
        for name in ("rank1", "m_ap")
    )
    best = int(at_the_top(rank1)[0])  # the first, as in the original
    return {
        "lambda": curves[0].lambdas[best],
        "Rank-1": 100 * float(rank1[best]),
        "mAP": 100 * float(m_ap[best]),
    }
