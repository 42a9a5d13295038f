"""Retrieval metrics of a distance matrix: CMC, average precision, inverse negative penalty.

Shapes: Q queries, of which V have a match, G galleries, L values of lambda, B queries of a block.

The protocol is Market-1501's: galleries with a query's identity and camera are dropped from its
ranking, and queries without any other match are dropped altogether. Equal distances rank in
gallery order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import torch

T = TypeVar("T")
Array: TypeAlias = np.ndarray
ArrayLike: TypeAlias = npt.ArrayLike | torch.Tensor
# Query and gallery identities, query and gallery cameras.
Ids: TypeAlias = tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike]

BLOCK_ENTRIES = 2**20  # memory alone
# Which ranks are reported, as Rank-1 and so on.
RANKS = (1, 5, 10)


class NoMatchError(ValueError):
    """No query has a match."""


class QueryScores(NamedTuple):
    """How well each of the V queries that have a match is ranked, in query order.

    Attributes:
        queries: (V,) indices of these queries.
        first: (V,) place of the first match, from 0: Rank-r is right where it is below r.
        ap: (V,) float64, average precision, a fraction.
        inp: (V,) float64, inverse negative penalty, a fraction.
    """

    queries: Array
    first: Array
    ap: Array
    inp: Array


class RankMetrics(NamedTuple):
    """Metrics as fractions, of the V queries that have a match.

    Attributes:
        cmc: (max_rank,) float32; cmc[r - 1] is Rank-r. Past the end of a short gallery it stays
            at its last value.
        all_AP: (V,) float64 in query order; its mean is mAP.
        all_INP: (V,) float64 in query order; its mean is mINP.
    """

    cmc: Array
    all_AP: Array
    all_INP: Array


def rank_metrics(
    distmat: ArrayLike,
    q_pids: ArrayLike,
    g_pids: ArrayLike,
    q_camids: ArrayLike,
    g_camids: ArrayLike,
    max_rank: int = 50,
) -> RankMetrics:
    """Rank each query's gallery and score the rankings.

    Where no two distances of a query are equal, the result is that of FastReID's
    `evaluate_rank` (in Python) to the last digit; its order of equal distances is not defined.

    Args:
        distmat: (Q, G) distances.
        q_pids, g_pids: (Q,) and (G,) identities.
        q_camids, g_camids: (Q,) and (G,) cameras.
        max_rank: length of the CMC curve.

    Raises:
        ValueError: lengths that do not fit, a NaN among the distances, or no query with a match.
    """
    scores = query_scores(distmat, q_pids, g_pids, q_camids, g_camids)
    ranks = np.bincount(scores.first, minlength=max_rank)[:max_rank]
    cmc = ranks.cumsum().astype(np.float32) / np.float32(len(scores.queries))
    return RankMetrics(cmc, scores.ap, scores.inp)


def query_scores(
    distmat: ArrayLike,
    q_pids: ArrayLike,
    g_pids: ArrayLike,
    q_camids: ArrayLike,
    g_camids: ArrayLike,
) -> QueryScores:
    """Rank each query's gallery and score every ranking by itself.

    Args and errors as in `rank_metrics`, which summarizes these scores.
    """
    ids = [as_array(x) for x in (q_pids, g_pids, q_camids, g_camids)]
    distances = checked_distances(distmat, ids)
    matched = np.zeros(len(distances), dtype=bool)
    first, ap, inp = (np.zeros(len(distances)) for _ in range(3))

    def score(block: slice) -> None:
        for rows, keep, match in equal_length_rows(block, *ids):
            matched[rows] = True
            kept = distances[rows][keep].reshape(match.shape)
            first[rows], ap[rows], inp[rows] = scores_of(ranked_matches(kept, match))

    in_blocks(score, len(ids[0]), len(ids[1]), BLOCK_ENTRIES)
    require_match(matched)
    queries = np.flatnonzero(matched)
    return QueryScores(queries, first[queries].astype(np.int64), ap[queries], inp[queries])


def query_metrics(scores: QueryScores) -> dict[str, Array]:
    """Rank-1, Rank-5, Rank-10, mAP and mINP of each query, (V,) in per cent.

    The mean over the queries is the metric of the test set.
    """
    metrics = {f"Rank-{r}": 100.0 * (scores.first < r) for r in RANKS}
    return metrics | {"mAP": 100.0 * scores.ap, "mINP": 100.0 * scores.inp}


def as_array(values: ArrayLike) -> Array:
    """An array of a tensor on any device, of a list or of an array."""
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def checked_distances(distmat: ArrayLike, ids: Sequence[Array]) -> Array:
    """(Q, G) as an array; ValueError if it does not fit `ids` (see `rank_metrics`) or holds NaN."""
    distances = as_array(distmat)
    q_pids, g_pids, q_camids, g_camids = ids
    expected = (len(q_pids), len(g_pids))
    if distances.shape != expected or (len(q_camids), len(g_camids)) != expected:
        raise ValueError(
            f"distances {distances.shape} do not fit {expected[0]} query and {expected[1]} gallery "
            f"identities with {len(q_camids)} and {len(g_camids)} cameras"
        )
    if np.isnan(distances).any():
        raise ValueError("distances hold NaN: look for NaN in the features")
    return distances


def require_match(matched: Array) -> None:
    """Raise NoMatchError if `matched` (Q,) says that no query has a match."""
    if not matched.any():
        raise NoMatchError(
            f"none of the {len(matched)} queries has a match: no gallery image shows a query's "
            "identity under another camera; check the identities and cameras of the data set"
        )


def matched_queries(
    q_pids: ArrayLike, g_pids: ArrayLike, q_camids: ArrayLike, g_camids: ArrayLike
) -> Array:
    """Which queries have a match, (Q,) bool: a gallery image of their identity, another camera.

    Args: as in `rank_metrics`.
    """
    cameras: defaultdict[int, set[int]] = defaultdict(set)
    for pid, camera in zip(as_array(g_pids).tolist(), as_array(g_camids).tolist(), strict=True):
        cameras[pid].add(camera)
    queries = zip(as_array(q_pids).tolist(), as_array(q_camids).tolist(), strict=True)
    return np.array([bool(cameras[pid] - {camera}) for pid, camera in queries], dtype=bool)


def in_blocks(work: Callable[[slice], T], queries: int, galleries: int, entries: int) -> list[T]:
    """What `work` makes of each block of queries, in their order, by as many threads as torch has.

    numpy lets other threads run while it sorts and counts.

    Args:
        work: of a slice of the queries.
        queries, galleries: Q and G.
        entries: the most of a block, if it has more than one query.
    """
    threads = torch.get_num_threads()
    step = max(1, min(entries // max(galleries, 1), -(-queries // threads)))
    blocks = [slice(start, start + step) for start in range(0, queries, step)]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, blocks))


def equal_length_rows(
    block: slice, q_pids: Array, g_pids: Array, q_camids: Array, g_camids: Array
) -> Iterator[tuple[Array, Array, Array]]:
    """Part the queries of a block that have a match by how many galleries they keep.

    Equal lengths make a part rectangular, and the sum over a row is then rounded like that of a
    query alone (numpy sums in pairs, which depends on the length).

    Yields:
        rows (B,) query indices, keep (B, G) bool with equal row sums, match (B, kept) bool.
    """
    match = q_pids[block, None] == g_pids
    keep = ~(match & (q_camids[block, None] == g_camids))
    valid = (match & keep).any(1)
    lengths = keep.sum(1)
    for length in np.unique(lengths[valid]):
        rows = np.flatnonzero(valid & (lengths == length))
        yield block.start + rows, keep[rows], match[rows][keep[rows]].reshape(len(rows), length)


def ranked_matches(distances: Array, match: Array) -> Array:
    """`match` (B, G) in the order of increasing distance; ties keep the gallery's order."""
    if distances.dtype != np.float32:
        order = np.argsort(distances, axis=1, kind="stable")
        return np.take_along_axis(match, order, axis=1)
    keys = sort_keys(distances)
    keys |= match
    keys.sort(axis=1)
    return (keys & 1).astype(bool)


def sort_keys(distances: Array) -> Array:
    """Integers (B, G) in the order of float32 distances (B, G), equal ones in gallery order.

    Sorting these and taking them apart is several times faster than a stable argsort.

    Returns:
        (B, G) int64: 32 bits of the distance, 31 bits of the gallery's index, and a free bit, 0.
    """
    # The bits of a float sort like its value once those below the sign of a negative one are
    # flipped; adding 0 makes -0 and 0 equal.
    bits = (distances + np.float32(0)).view(np.int32)
    keys: Array = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64)
    keys <<= 32
    keys |= np.arange(distances.shape[1], dtype=np.int64) << 1
    return keys


def scores_of(ranked: Array) -> tuple[Array, Array, Array]:
    """Position of the first match, AP and INP, each (B,), of ranked matches (B, G)."""
    found = ranked.cumsum(axis=1)
    total = found[:, -1]
    places = np.arange(1, ranked.shape[1] + 1, dtype=np.float64)
    ap = (found / places * ranked).sum(1) / total
    last = ranked.shape[1] - ranked[:, ::-1].argmax(axis=1)
    return ranked.argmax(axis=1), ap, total / last.astype(np.float64)
