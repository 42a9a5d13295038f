"""Which queries show what a network can and cannot do: the hardest, and those in the middle.

A few queries that somebody picks can show anything. These are picked by a rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .ranking import QueryScores

RULE = (
    "Queries are ordered by the rank of their first right answer, the latest first; ties go by "
    "average precision, the lowest first, then by file name. Half of the queries shown are the "
    "first of this order, the hardest; the others lie around its middle. Those without a right "
    "answer are not among them."
)


class Examples(NamedTuple):
    """Indices of queries.

    Attributes:
        hardest: the hardest one first.
        median: around the middle of all, the harder first; none of the hardest among them.
    """

    hardest: list[int]
    median: list[int]


def query_examples(scores: QueryScores, names: Sequence[str], count: int) -> Examples:
    """Choose queries by `RULE`; one more of the hardest where the number is odd.

    Args:
        scores: of the V queries that have a match; the others are not chosen.
        names: of all queries, whose order decides between equally hard ones.
        count: how many are wanted, from 1; fewer where V is.
    """
    queries = scores.queries.tolist()
    order = sorted(
        range(len(queries)),
        key=lambda v: (-int(scores.first[v]), float(scores.ap[v]), names[queries[v]]),
    )
    count = min(count, len(order))
    middle = count // 2
    hardest = count - middle
    start = max(hardest, (len(order) - middle) // 2)
    chosen = [queries[v] for v in order]
    return Examples(chosen[:hardest], chosen[start : start + middle])
