"""What a file of results keeps of each query, so that two networks can be compared afterwards.

Means alone cannot be: whether one network finds more than another is asked of the same people, and
the answer has an interval only where it is known who was found (`metrics.uncertainty`).
"""

from __future__ import annotations

from typing import Any

from ..metrics.ranking import ArrayLike, Ids, QueryScores, as_array, query_metrics, query_scores

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


def queries_of(distances: ArrayLike, ids: Ids) -> dict[str, list[Any]]:
    """The same of a distance matrix (Q, G); arguments and errors as in `rank_metrics`."""
    return query_record(query_scores(distances, *ids), ids[0])


def is_query_record(found: Any) -> bool:
    """Whether what a file holds is such a record: lists of as many numbers, of one query at least.

    Metrics lie between 0 and 100.
    """
    if not isinstance(found, dict) or not isinstance(found.get("identities"), list):
        return False
    people: list[Any] = found["identities"]
    return (
        len(people) > 0
        and all(isinstance(person, int) for person in people)
        and all(_are_per_cent(found.get(metric), len(people)) for metric in METRICS)
    )


def _are_per_cent(values: Any, count: int) -> bool:
    """NaN is none: no comparison with it is true."""
    return (
        isinstance(values, list)
        and len(values) == count
        and all(isinstance(value, int | float) and 0 <= value <= 100 for value in values)
    )
