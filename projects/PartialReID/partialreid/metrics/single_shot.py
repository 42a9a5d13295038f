"""The single-shot protocol of the DSR papers: one random gallery image for each identity.

Shapes: Q queries, G galleries, I identities of the gallery, R rounds.

He et al., DSR (CVPR 2018) and its successors draw one image of each person as the gallery and
report the mean over several draws. Each query then has one match at most, so its average
precision and its inverse negative penalty are both one over the place of that match: mAP and
mINP are equal, and higher than in the whole gallery of the other protocols.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .ranking import (
    Array,
    ArrayLike,
    NoMatchError,
    as_array,
    checked_distances,
    query_metrics,
    query_scores,
)

ROUNDS = 25


class SingleShot(NamedTuple):
    """Metrics over the rounds.

    Attributes:
        metrics: mean and standard deviation over the rounds (divisor R - 1), in per cent, of
            Rank-1, Rank-5, Rank-10, mAP and mINP.
        gallery: I, images of the gallery of a round.
        dropped: mean number of queries that a round leaves out, those without a match.
        cmc: max_rank fractions, mean over the rounds; 100 * cmc[r - 1] is Rank-r.
    """

    metrics: dict[str, tuple[float, float]]
    gallery: int
    dropped: float
    cmc: tuple[float, ...]


def single_shot(
    distmat: ArrayLike,
    q_pids: ArrayLike,
    g_pids: ArrayLike,
    q_camids: ArrayLike,
    g_camids: ArrayLike,
    seed: int,
    rounds: int = ROUNDS,
    max_rank: int = 50,
) -> SingleShot:
    """Score galleries of one image for each identity, drawn anew in every round.

    All queries of a round share the gallery, so an image cannot be drawn to suit the camera of
    each. It is drawn from all images of its identity, and a query that finds its own identity
    under its own camera has no match in that round and is left out of it.

    Distractors (see `persons`) are left out: they show nobody in particular, so "one image of
    each identity" does not say how many of them there should be.

    Args:
        distmat: (Q, G) distances.
        q_pids, g_pids, q_camids, g_camids: as in `ranking.rank_metrics`.
        seed: of the draws, 0 or more.
        rounds: R, at least 2.
        max_rank: length of the CMC curve.

    Raises:
        ValueError: fewer than two rounds, a round in which no query has a match, or input that
            `ranking.rank_metrics` refuses.
    """
    if rounds < 2:
        raise ValueError(f"a standard deviation needs at least 2 rounds, not {rounds}")
    q_pids, g_pids, q_camids, g_camids = ids = [
        as_array(x) for x in (q_pids, g_pids, q_camids, g_camids)
    ]
    distances = checked_distances(distmat, ids)
    metrics: dict[str, list[float]] = {}
    size = dropped = 0
    cmc = np.zeros(max_rank)
    for number, drawn in enumerate(drawn_galleries(g_pids, q_pids, seed, rounds)):
        size = len(drawn)
        try:
            scores = query_scores(
                distances[:, drawn], q_pids, g_pids[drawn], q_camids, g_camids[drawn]
            )
        except NoMatchError as error:
            raise too_few_queries(number) from error
        dropped += len(q_pids) - len(scores.queries)
        ranks = np.bincount(scores.first, minlength=max_rank)[:max_rank]
        cmc += ranks.cumsum() / len(scores.queries)
        for name, values in query_metrics(scores).items():
            metrics.setdefault(name, []).append(float(values.mean()))
    return SingleShot(
        {name: (float(np.mean(x)), float(np.std(x, ddof=1))) for name, x in metrics.items()},
        size,
        dropped / rounds,
        tuple((cmc / rounds).tolist()),
    )


def drawn_galleries(
    g_pids: ArrayLike, q_pids: ArrayLike, seed: int, rounds: int
) -> Iterator[Array]:
    """The galleries of the rounds: one image of each person, as likely as another.

    Args:
        g_pids, q_pids: identities of gallery and queries.
        seed: of the draws.
        rounds: R.

    Yields:
        (I,) indices into the gallery, in its order, which decides between equal distances.
    """
    gallery = as_array(g_pids)
    known = persons(gallery, q_pids)
    by_identity = known[np.argsort(gallery[known], kind="stable")]
    _, starts, counts = np.unique(gallery[by_identity], return_index=True, return_counts=True)
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        yield np.sort(by_identity[starts + rng.integers(counts)])


def too_few_queries(number: int) -> ValueError:
    """What to say where no query has a match in a round."""
    return ValueError(
        f"in single-shot round {number} no query has a match under another camera: there are too "
        'few queries for this protocol; set TEST.DSR.PROTOCOL to "full"'
    )


def persons(g_pids: ArrayLike, q_pids: ArrayLike) -> Array:
    """Indices of the gallery images that are no distractors, in gallery order.

    Market-1501 and the sets made after it number false and unknown detections 0, and junk -1. No
    query shows them, so an identity of 0 or below is a person where a query has it, as in a set
    that counts persons from 0, and a distractor elsewhere.
    """
    gallery = as_array(g_pids)
    return np.flatnonzero((gallery > 0) | np.isin(gallery, as_array(q_pids)))
