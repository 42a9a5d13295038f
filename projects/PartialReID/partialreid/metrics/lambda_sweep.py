"""Score the fused distance for many values of lambda.

Shapes: Q queries, G galleries, L values of lambda, B queries of a block, P pairs of a block that
show one identity, K galleries of a query whose reconstruction distance was computed.

A shortlist gives most galleries one and the same reconstruction distance (TEST.DSR.FILL). Among
these the fused distance grows with the global one whatever lambda is, so that one sort serves all
values: the place of a match is the number of shortlisted galleries before it, which are compared,
and of the others, which are found by bisection. Without a shortlist every value sorts all anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .ranking import (
    Array,
    ArrayLike,
    QueryScores,
    as_array,
    checked_distances,
    equal_length_rows,
    in_blocks,
    ranked_matches,
    require_match,
    scores_of,
    sort_keys,
)

# Entries of a block of queries, and the share of one value above which a matrix has a shortlist.
# Speed and memory alone: both ways give the same metrics.
BLOCK_ENTRIES = 2**21
SHARE_OF_FILL = 0.5


def lambda_sweep(
    global_dist: ArrayLike,
    recon_dist: ArrayLike,
    q_pids: ArrayLike,
    g_pids: ArrayLike,
    q_camids: ArrayLike,
    g_camids: ArrayLike,
    lambdas: Sequence[float],
) -> tuple[Array, Array, Array]:
    """Score the fused distance (1 - lambda) * global + lambda * reconstruction, in float32.

    Args:
        global_dist, recon_dist: (Q, G) distances.
        q_pids, g_pids, q_camids, g_camids: as in `rank_metrics`.
        lambdas: L values, from 0 to 1.

    Returns:
        Rank-1, mAP and mINP of each lambda, (L,) float64, as fractions.

    Raises:
        ValueError: as in `rank_metrics`; there is no lambda, or one is not between 0 and 1.
    """
    return metrics_of(
        swept_queries(global_dist, recon_dist, q_pids, g_pids, q_camids, g_camids, lambdas)
    )


def metrics_of(scores: Sequence[QueryScores]) -> tuple[Array, Array, Array]:
    """Rank-1, mAP and mINP, (L,) float64 as fractions, of the queries' scores for L lambdas."""
    means = [((one.first == 0).mean(), one.ap.mean(), one.inp.mean()) for one in scores]
    rank1, m_ap, m_inp = np.array(means).T
    return rank1, m_ap, m_inp


def swept_queries(
    global_dist: ArrayLike,
    recon_dist: ArrayLike,
    q_pids: ArrayLike,
    g_pids: ArrayLike,
    q_camids: ArrayLike,
    g_camids: ArrayLike,
    lambdas: Sequence[float],
) -> list[QueryScores]:
    """Score every query for each of L lambdas: `query_scores` of each fused distance.

    Args and errors as in `lambda_sweep`, which summarizes these scores.

    Returns:
        L items, each of the same V queries.
    """
    if not len(lambdas):
        raise ValueError("there is no lambda to choose from: give at least one value")
    if not all(0 <= value <= 1 for value in lambdas):
        raise ValueError(f"lambda lies between 0 and 1, got {list(lambdas)}")
    ids = [as_array(x) for x in (q_pids, g_pids, q_camids, g_camids)]
    near = checked_distances(global_dist, ids).astype(np.float32, copy=False)
    recon = checked_distances(recon_dist, ids).astype(np.float32, copy=False)
    fill = _fill_of(recon)
    # A numpy float64 would widen the float32 sums, a Python one does not.
    weights = [float(value) for value in lambdas]
    matched = np.zeros(len(near), dtype=bool)
    first = np.zeros((len(weights), len(near)), dtype=np.int64)
    ap, inp = (np.zeros((len(weights), len(near))) for _ in range(2))

    def score(block: slice) -> None:
        if fill is None:
            scores = _sorted_anew(block, near, recon, ids, weights)
        else:
            scores = _sorted_once(block, near, recon, ids, weights, fill)
        for which, rows, of_rows in scores:
            matched[rows] = True
            first[which, rows], ap[which, rows], inp[which, rows] = of_rows

    in_blocks(score, len(ids[0]), len(ids[1]), BLOCK_ENTRIES)
    require_match(matched)
    queries = np.flatnonzero(matched)
    kept = (first[:, queries], ap[:, queries], inp[:, queries])
    return [QueryScores(queries, *each) for each in zip(*kept, strict=True)]


Scores = Iterator[tuple[int, Array, tuple[Array, Array, Array]]]
"""Number of the lambda, queries of a block, and their first match, AP and INP."""


def _fill_of(recon: Array) -> np.float32 | None:
    """The value that most entries have, None if there is none."""
    if not recon.size:
        return None
    fill = recon.max()
    return fill if np.isfinite(fill) and (recon == fill).mean() > SHARE_OF_FILL else None


def _fuse(near: Array, recon: Array, weight: float) -> Array:
    return (1 - weight) * near + weight * recon


def _sorted_anew(
    block: slice, near: Array, recon: Array, ids: Sequence[Array], weights: list[float]
) -> Scores:
    for rows, keep, match in equal_length_rows(block, *ids):
        kept_near = near[rows][keep].reshape(match.shape)
        kept_recon = recon[rows][keep].reshape(match.shape)
        for i, weight in enumerate(weights):
            fused = _fuse(kept_near, kept_recon, weight)
            yield i, rows, scores_of(ranked_matches(fused, match))


def _sorted_once(
    block: slice,
    near: Array,
    recon: Array,
    ids: Sequence[Array],
    weights: list[float],
    fill: np.float32,
) -> Scores:
    q_pids, g_pids, q_camids, g_camids = ids
    match = q_pids[block, None] == g_pids
    keep = ~(match & (q_camids[block, None] == g_camids))
    match &= keep
    rows = np.flatnonzero(match.any(1))
    if len(rows):
        sweep = _ShortlistedBlock(
            near[block][rows], recon[block][rows], match[rows], keep[rows], fill
        )
        for i, weight in enumerate(weights):
            yield i, block.start + rows, sweep.scores(weight)


class _ShortlistedBlock:
    """Queries with a shortlist, sorted once.

    Args:
        near, recon: (B, G) float32 distances.
        match, keep: (B, G) bool, galleries that show the query's identity, at least one in each
            row, and galleries that are ranked at all.
        fill: reconstruction distance of the galleries that are not shortlisted.
    """

    def __init__(
        self, near: Array, recon: Array, match: Array, keep: Array, fill: np.float32
    ) -> None:
        # An array, not a scalar, which would widen the arithmetic in older numpy.
        self.fill = np.array([fill])
        far = keep & (recon == fill)
        # The others by global distance, equal ones by number, behind them all that is not ranked.
        keys = sort_keys(np.where(far, near, np.float32(np.inf)))
        keys.sort(axis=1)
        self.far_order = ((keys & 0xFFFFFFFF) >> 1).astype(np.int32)
        self.far_near = np.take_along_axis(near, self.far_order, axis=1)
        # How many of the others have a smaller number.
        self.far_before = far.cumsum(axis=1, dtype=np.int32) - far
        self.far_count = far.sum(1)

        self.row, self.column = np.nonzero(match)
        self.near, self.recon = near[match], recon[match]
        counts = match.sum(1)
        self.starts = counts.cumsum() - counts
        self.number = np.arange(len(self.row)) - np.repeat(self.starts, counts) + 1
        self.counts = counts

        row, column = np.nonzero(keep & ~far)
        lengths = np.bincount(row, minlength=len(near))
        shape = (len(near), int(lengths.max(initial=0)))
        place = np.arange(shape[1]) < lengths[:, None]
        self.short_column = np.full(shape, near.shape[1])
        self.short_near, self.short_recon = (np.full(shape, np.inf, np.float32) for _ in range(2))
        self.short_column[place] = column
        self.short_near[place], self.short_recon[place] = near[row, column], recon[row, column]
        self.padding = ~place

    def scores(self, weight: float) -> tuple[Array, Array, Array]:
        """Place of the first match, AP and INP, each (B,), for one lambda."""
        value = _fuse(self.near, self.recon, weight)
        places = self._shortlisted_before(value, weight) + self._others_before(value, weight)
        # The matches of a row in the order of their places.
        places = places[np.lexsort((places, self.row))]
        ap = np.add.reduceat(self.number / (places + 1.0), self.starts) / self.counts
        last = places[self.starts + self.counts - 1] + 1.0
        return places[self.starts], ap, self.counts / last

    def _shortlisted_before(self, value: Array, weight: float) -> Array:
        with np.errstate(invalid="ignore"):
            fused = _fuse(self.short_near, self.short_recon, weight)
        fused[self.padding] = np.inf
        found, value = fused[self.row], value[:, None]
        earlier = self.short_column[self.row] < self.column[:, None]
        before = (found < value) | ((found == value) & earlier)
        count: Array = before.sum(1)
        return count

    def _others_before(self, value: Array, weight: float) -> Array:
        if weight == 1:
            # They are all equal, and come by number.
            equal = np.where(value == self.fill, self.far_before[self.row, self.column], 0)
            return np.where(value > self.fill, self.far_count[self.row], equal)
        low = self._bisect(value, weight, np.less)
        high = self._bisect(value, weight, np.less_equal)
        # Those of the same fused distance that have a smaller number.
        ties = high - low
        pair = np.repeat(np.arange(len(value)), ties)
        offset = np.arange(len(pair)) - np.repeat(ties.cumsum() - ties, ties)
        earlier = self.far_order[self.row[pair], low[pair] + offset] < self.column[pair]
        return low + np.bincount(pair, weights=earlier, minlength=len(value)).astype(np.int64)

    def _bisect(self, value: Array, weight: float, before: np.ufunc) -> Array:
        """How many of the others have a fused distance that is `before` each value (P,)."""
        low = np.zeros(len(value), dtype=np.int64)
        high = self.far_count[self.row].astype(np.int64)
        while (low < high).any():
            middle = (low + high) // 2
            inside = np.minimum(middle, self.far_near.shape[1] - 1)
            fused = _fuse(self.far_near[self.row, inside], self.fill, weight)
            right = before(fused, value) & (low < high)
            low, high = np.where(right, middle + 1, low), np.where(right, high, middle)
        return low
