"""How far the metrics of a test set would move with other people: bootstrap over identities.

Shapes: V queries that have a match, I identities, B rounds.

The queries of one person succeed and fail together, so it is persons that are drawn: an interval
from queries drawn one by one would be too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .ranking import Array, ArrayLike, as_array

ROUNDS = 1000


def bootstrap_intervals(
    per_query: Mapping[str, ArrayLike],
    q_pids: ArrayLike,
    seed: int,
    rounds: int = ROUNDS,
    level: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of the mean over queries (Efron, 1979; cluster bootstrap).

    A round draws as many identities as there are, with replacement, and takes all queries of each
    as often as it was drawn; all metrics see the same draws. The interval speaks of the choice of
    test identities. It does not contain the spread over training seeds, nor over galleries. With
    fewer than about ten identities it is too narrow.

    Args:
        per_query: metrics of each query, (V,) by name, e.g. of `ranking.query_metrics`.
        q_pids: (V,) identities of the same queries.
        seed: of the draws, 0 or more.
        rounds: B.
        level: share of the rounds inside the interval, e.g. 0.95.

    Returns:
        Low and high end by name, in the unit of `per_query`. Empty when there is one identity
        only: what others would do cannot be told from one person, and an interval of no width
        would pretend the opposite.

    Raises:
        ValueError: no query, lengths that do not fit, NaN, fewer than one round, or a level
            outside 0 to 1.
    """
    identities, which = np.unique(as_array(q_pids), return_inverse=True)
    values = {name: as_array(x).astype(np.float64) for name, x in per_query.items()}
    if not len(which):
        raise ValueError("there is no query to draw from")
    if rounds < 1 or not 0 < level < 1:
        raise ValueError(f"{rounds} rounds at level {level}: from 1 round, and between 0 and 1")
    for name, array in values.items():
        if array.shape != which.shape or np.isnan(array).any():
            raise ValueError(f"{name} must hold a number for each of the {len(which)} queries")
    if len(identities) == 1:
        return {}
    times = _times_drawn(len(identities), rounds, seed)
    queries = times @ np.bincount(which)
    edges = (0.5 - level / 2, 0.5 + level / 2)
    intervals = {}
    for name, array in values.items():
        means = times @ np.bincount(which, weights=array) / queries
        low, high = np.quantile(means, edges).tolist()
        intervals[name] = (low, high)
    return intervals


def _times_drawn(identities: int, rounds: int, seed: int) -> Array:
    """How often each round draws each identity, (B, I) float64 with row sums I."""
    drawn = np.random.default_rng(seed).integers(0, identities, (rounds, identities))
    drawn += identities * np.arange(rounds)[:, None]
    times = np.bincount(drawn.ravel(), minlength=rounds * identities)
    return times.reshape(rounds, identities).astype(np.float64)
