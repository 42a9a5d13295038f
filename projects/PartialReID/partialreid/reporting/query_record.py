"""What a file of results keeps of each query, so that two networks can be compared afterwards.

Means alone cannot be: whether one network finds more than another is asked of the same people, and
the answer has an interval only where it is known who was found (`metrics.uncertainty`).
"""

from __future__ import annotations

from typing import Any

from ..metrics.ranking import ArrayLike, QueryScores, as_array, query_metrics

METRICS = ("Rank-1", "mAP")


def query_record(scores: QueryScores, q_pids: ArrayLike) -> dict[str, list[Any]]:
    """Lists for JSON: of each query its identity, Rank-1, which is 0 or 100, and AP in per cent.

    Args:
        scores: of the V queries that have a match.
        q_pids: (Q,) identities of all queries.

    Returns:
        `identities`, `Rank-1` and `mAP`, each of V numbers, in the order of the queries.
    """
    found = query_metrics(scores)
    named = {metric: [round(float(x), 3) for x in found[metric]] for metric in METRICS}
    return {"identities": [int(x) for x in as_array(q_pids)[scores.queries]], **named}
