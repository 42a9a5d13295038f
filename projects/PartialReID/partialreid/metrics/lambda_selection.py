"""Choose lambda, the weight of the reconstruction distance, without the queries it is used on.

Shapes: Q queries, G galleries, L values of lambda.

The best lambda of a test set, measured on that very set, is an oracle's: nobody can know it before.
Cross-fitting needs no other images either, but no query takes part in the choice of its own lambda:
the test identities are halved, and each half is ranked with the lambda that is best for the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .lambda_sweep import metrics_of, swept_queries
from .ranking import (
    Array,
    ArrayLike,
    NoMatchError,
    QueryScores,
    as_array,
    checked_distances,
)

# As a fraction. One query of a set is far more: a billion of them would be needed for as little.
TIE = 1e-9


def at_the_top(metric: Array) -> Array:
    """Where values (L,) of a metric, fractions, are the largest, up to rounding: their places."""
    return np.flatnonzero(metric > metric.max() - TIE)


class LambdaCurve(NamedTuple):
    """Metrics over lambda, as fractions.

    Attributes:
        lambdas: L values.
        rank1, m_ap, m_inp: (L,) float64, Rank-1, mAP and mINP of each.
    """

    lambdas: tuple[float, ...]
    rank1: Array
    m_ap: Array
    m_inp: Array

    @property
    def best(self) -> float:
        """The lambda of the best Rank-1; ties go to the best mAP, then to the smallest lambda.

        Means of the same hits, added up in another order, differ in their last digits: what differs
        by less than `TIE` is one.
        """
        places = np.arange(len(self.lambdas))
        for metric in (self.rank1, self.m_ap):
            places = places[at_the_top(metric[places])]
        return min(self.lambdas[place] for place in places)


class CrossFit(NamedTuple):
    """What cross-fitting chose and what it was chosen from. Halves are numbered 0 and 1.

    Attributes:
        half: (Q,) int64, the half of each query.
        lambdas: the lambda with which the queries of half 0, and of half 1, are ranked.
        fused: (Q, G) float32, (1 - lambda) * global + lambda * reconstruction with these.
        curves: metrics of the queries of half 0, and of half 1: `lambdas[0]` is the best of
            `curves[1]`, and the other way round.
    """

    half: Array
    lambdas: tuple[float, float]
    fused: Array
    curves: tuple[LambdaCurve, LambdaCurve]


def lambda_curve(
    global_dist: ArrayLike,
    recon_dist: ArrayLike,
    q_pids: ArrayLike,
    g_pids: ArrayLike,
    q_camids: ArrayLike,
    g_camids: ArrayLike,
    lambdas: Sequence[float],
) -> LambdaCurve:
    """The metrics of the fused distance for each lambda; arguments and errors of `lambda_sweep`."""
    ids = (q_pids, g_pids, q_camids, g_camids)
    return curve_of(swept_queries(global_dist, recon_dist, *ids, lambdas=lambdas), lambdas)


def curve_of(scores: Sequence[QueryScores], lambdas: Sequence[float]) -> LambdaCurve:
    """The metrics of a test set, of the scores of its queries for each of the L lambdas.

    Raises:
        ValueError: not as many scores as there are lambdas.
    """
    if len(scores) != len(lambdas):
        raise ValueError(f"{len(scores)} scores do not fit {len(lambdas)} lambdas")
    return LambdaCurve(tuple(float(x) for x in lambdas), *metrics_of(scores))


def mean_curve(curves: Sequence[LambdaCurve]) -> LambdaCurve:
    """The mean of several test sets' metrics, each set as heavy as another.

    Raises:
        ValueError: there is no curve, or their lambdas differ.
    """
    if len({curve.lambdas for curve in curves}) != 1:
        raise ValueError("a mean needs curves over the same lambdas, one at least")
    rank1, m_ap, m_inp = (
        np.mean([getattr(curve, name) for curve in curves], axis=0)
        for name in ("rank1", "m_ap", "m_inp")
    )
    return LambdaCurve(curves[0].lambdas, rank1, m_ap, m_inp)


def halves_of_identities(pids: ArrayLike, seed: int) -> Array:
    """Assign every identity to one of two halves, by a seed and by the identities alone.

    Args:
        pids: (Q,) identities of the queries.
        seed: of the assignment, 0 or more.

    Returns:
        (Q,) int64, 0 or 1, the half of each query. The halves hold equally many identities; of an
        odd number, half 0 holds one more.

    Raises:
        ValueError: fewer than two identities.
    """
    identities, which = np.unique(as_array(pids), return_inverse=True)
    if len(identities) < 2:
        raise ValueError(
            f"cross-fitting lambda needs queries of two identities, there are {len(identities)}: "
            'set TEST.DSR.LAMBDA_SELECTION to "fixed"'
        )
    half = np.zeros(len(identities), dtype=np.int64)
    order = np.random.default_rng(seed).permutation(len(identities))
    half[order[(len(identities) + 1) // 2 :]] = 1
    return half[which]


def no_match_in(half: int) -> ValueError:
    """What to say where no query of a half has a match."""
    return ValueError(
        f"lambda cannot be chosen on half {half} of the identities, where no query has a match: "
        'try another TEST.DSR.PROTOCOL_SEED, or set TEST.DSR.LAMBDA_SELECTION to "fixed"'
    )


def crossfit(
    global_dist: ArrayLike,
    recon_dist: ArrayLike,
    q_pids: ArrayLike,
    g_pids: ArrayLike,
    q_camids: ArrayLike,
    g_camids: ArrayLike,
    lambdas: Sequence[float],
    seed: int,
) -> CrossFit:
    """Rank the queries of each half of the identities with the lambda best for the other half.

    The gallery is whole in both selections. Images of the other half's identities are then wrong
    answers to every query, which follows from the labels of the selecting half alone: whatever
    does not show its identities is wrong, be it a distractor or a person of the other half.
    Relabelling the other half changes nothing. Leaving its images out would take its labels, to
    tell them from distractors, and would choose lambda for a smaller, easier gallery. Their
    pixels do take part: lambda is chosen with the unlabelled gallery in view.

    Args:
        global_dist, recon_dist: (Q, G) distances.
        q_pids, g_pids, q_camids, g_camids: as in `rank_metrics`.
        lambdas: the L values to choose from.
        seed: of the halves, see `halves_of_identities`.

    Raises:
        ValueError: fewer than two identities, a half in which no query has a match, no lambda, or
            distances that `rank_metrics` refuses.
    """
    q_pids, g_pids, q_camids, g_camids = ids = [
        as_array(x) for x in (q_pids, g_pids, q_camids, g_camids)
    ]
    near, recon = (
        checked_distances(x, ids).astype(np.float32, copy=False) for x in (global_dist, recon_dist)
    )
    half = halves_of_identities(q_pids, seed)

    def measured_on(number: int) -> LambdaCurve:
        rows = half == number
        ids = (q_pids[rows], g_pids, q_camids[rows], g_camids)
        try:
            return lambda_curve(near[rows], recon[rows], *ids, lambdas)
        except NoMatchError as error:
            raise no_match_in(number) from error

    curves = (measured_on(0), measured_on(1))
    # Each half is ranked with the lambda of the other.
    chosen = (curves[1].best, curves[0].best)
    fused = np.empty_like(near)
    for number, value in enumerate(chosen):
        rows = half == number
        fused[rows] = (1 - value) * near[rows] + value * recon[rows]
    return CrossFit(half, chosen, fused, curves)
