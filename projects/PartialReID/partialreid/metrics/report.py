"""From distances to the metrics of a test set: choice of lambda, protocol, intervals.

Shapes: Q queries, G galleries.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor

from .lambda_selection import LambdaCurve, crossfit, lambda_curve
from .ranking import ArrayLike, matched_queries, query_metrics, query_scores, rank_metrics
from .single_shot import single_shot
from .uncertainty import bootstrap_intervals

logger = logging.getLogger(__name__)

METRICS = ("Rank-1", "Rank-5", "Rank-10", "mAP", "mINP")
# Query and gallery identities, query and gallery cameras.
Ids: TypeAlias = tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike]


class Settings(Protocol):
    """The config node TEST.DSR, or anything with its keys that choose a protocol and lambda."""

    PROTOCOL: str
    PROTOCOL_SEED: int
    SINGLE_SHOT_ROUNDS: int
    BOOTSTRAP_ROUNDS: int
    LAMBDA: float
    LAMBDA_SELECTION: str
    LAMBDA_STEP: float


def summarize(distmat: ArrayLike, ids: Ids) -> dict[str, float]:
    """Rank-1, Rank-5, Rank-10, mAP and mINP of a distance matrix, in per cent.

    Args:
        distmat: (Q, G).
        ids: query and gallery identities, query and gallery cameras.
    """
    return with_intervals(distmat, ids, seed=0, rounds=0)[0]


def with_intervals(
    distmat: ArrayLike, ids: Ids, seed: int, rounds: int
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """The metrics of `summarize`, and their 95 % intervals over identities (none for 0 rounds)."""
    scores = query_scores(distmat, *ids)
    per_query = query_metrics(scores)
    metrics = {name: float(np.mean(per_query[name])) for name in METRICS}
    if not rounds:
        return metrics, {}
    q_pids = np.asarray(ids[0])[scores.queries]
    return metrics, bootstrap_intervals(per_query, q_pids, seed, rounds)


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
    near: Tensor, matched: Tensor, ids: Ids, settings: Settings
) -> tuple[Tensor, dict[str, object]]:
    """The fused distance (Q, G), and how its lambda was chosen.

    Args:
        near, matched: (Q, G) global and reconstruction distances.
        ids: query and gallery identities, query and gallery cameras.
        settings: the config node TEST.DSR.

    Returns:
        The distance, and `lambda` (the mean of both where there are two), `lambda_selection`; with
        cross-fitting also `lambdas` of both halves, and what an oracle would have chosen.
    """
    how = settings.LAMBDA_SELECTION
    grid = lambda_grid(settings.LAMBDA_STEP)
    if how == "fixed":
        lam = float(settings.LAMBDA)
        return fuse(near, matched, lam), {"lambda": lam, "lambda_selection": how}
    if how == "oracle":
        curve = lambda_curve(near, matched, *ids, grid)
        # The first best Rank-1, as in the original.
        lam = grid[int(np.argmax(curve.rank1))]
        logger.warning(
            f"lambda {lam:.2f} is an oracle's: it has the best Rank-1 on this very test "
            "set. A user of the method cannot choose it so; report TEST.DSR.LAMBDA_SELECTION "
            "crossfit or fixed."
        )
        return fuse(near, matched, lam), {"lambda": lam, "lambda_selection": how}
    chosen = crossfit(near, matched, *ids, grid, seed=settings.PROTOCOL_SEED)
    # Metrics are means over the queries that have a match: the others weigh nothing.
    weights = np.bincount(chosen.half, weights=matched_queries(*ids))
    return torch.from_numpy(chosen.fused), {
        "lambda": float(np.mean(chosen.lambdas)),
        "lambda_selection": how,
        "lambdas": list(chosen.lambdas),
        "oracle": _oracle(chosen.curves, weights),
    }


def _oracle(curves: Sequence[LambdaCurve], queries: np.ndarray) -> dict[str, float]:
    """What the best lambda of the whole test set gives, from the curves of its halves."""
    shares = queries / queries.sum()
    rank1, m_ap = (
        sum(share * getattr(curve, name) for share, curve in zip(shares, curves, strict=True))
        for name in ("rank1", "m_ap")
    )
    best = int(np.argmax(rank1))
    return {
        "lambda": curves[0].lambdas[best],
        "Rank-1": 100 * float(rank1[best]),
        "mAP": 100 * float(m_ap[best]),
    }


def report_of(distances: dict[str, Tensor], ids: Ids, settings: Settings) -> dict[str, object]:
    """Metrics of each distance by the protocol of TEST.DSR.PROTOCOL, with their uncertainty.

    Returns:
        For each distance its metrics in per cent; under `intervals` their 95 % intervals (full
        gallery), or under `single_shot` mean and standard deviation over the rounds.
    """
    report: dict[str, object] = {}
    intervals: dict[str, dict[str, list[float]]] = {}
    shots: dict[str, dict[str, object]] = {}
    seed = settings.PROTOCOL_SEED
    for name, distance in distances.items():
        if settings.PROTOCOL == "full":
            metrics, spread = with_intervals(distance, ids, seed, settings.BOOTSTRAP_ROUNDS)
            report[name] = metrics
            intervals[name] = {k: list(v) for k, v in spread.items()}
        else:
            shot = single_shot(distance, *ids, seed=seed, rounds=settings.SINGLE_SHOT_ROUNDS)
            report[name] = {metric: mean for metric, (mean, _) in shot.metrics.items()}
            shots[name] = {
                **{metric: list(spread) for metric, spread in shot.metrics.items()},
                "gallery": shot.gallery,
                "queries left out": shot.dropped,
            }
    report |= {"intervals": intervals} if intervals else {}
    report |= {"single_shot": shots} if shots else {}
    return report


def cmc_curve(distmat: ArrayLike, ids: Ids, settings: Settings, max_rank: int) -> list[float]:
    """The CMC curve of a distance matrix by the protocol of TEST.DSR.PROTOCOL.

    Args:
        distmat: (Q, G).
        ids: query and gallery identities, query and gallery cameras.
        settings: the config node TEST.DSR.
        max_rank: its length.

    Returns:
        Fractions of the queries: the first is Rank-1. Under single-shot the mean over the rounds,
        whose galleries are much smaller than the whole one.
    """
    if settings.PROTOCOL == "full":
        return [float(x) for x in rank_metrics(distmat, *ids, max_rank=max_rank).cmc]
    seed, rounds = settings.PROTOCOL_SEED, settings.SINGLE_SHOT_ROUNDS
    return list(single_shot(distmat, *ids, seed, rounds, max_rank).cmc)
