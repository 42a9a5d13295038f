"""Which queries are shown: by a rule, not by hand."""

from __future__ import annotations

import numpy as np
import pytest

from partialreid.metrics.query_examples import query_examples
from partialreid.metrics.ranking import QueryScores

# Of nine queries, numbers 0 and 5 have no match.
QUERIES = [1, 2, 3, 4, 6, 7, 8]
FIRST = [0, 30, 4, 4, 4, 0, 9]
AP = [0.9, 0.1, 0.5, 0.2, 0.2, 0.4, 0.3]
NAMES = ["i.png", "h.png", "g.png", "f.png", "e.png", "d.png", "c.png", "b.png", "a.png"]
# The latest first right answer first; 4 and 6 tie, and c.png comes before e.png.
ORDER = [2, 8, 6, 4, 3, 7, 1]


def scores() -> QueryScores:
    return QueryScores(np.array(QUERIES), np.array(FIRST), np.array(AP), np.array(AP))


@pytest.mark.parametrize(
    ("count", "hardest", "median"),
    [
        (1, ORDER[:1], []),
        (2, ORDER[:1], ORDER[3:4]),
        (3, ORDER[:2], ORDER[3:4]),
        (4, ORDER[:2], ORDER[2:4]),
        (6, ORDER[:3], ORDER[3:6]),  # around the middle, but none twice
        (7, ORDER[:4], ORDER[4:]),
        (50, ORDER[:4], ORDER[4:]),
    ],
)
def test_the_hardest_and_the_median(count: int, hardest: list[int], median: list[int]) -> None:
    assert query_examples(scores(), NAMES, count) == (hardest, median)


def test_the_middle_is_the_median() -> None:
    """Of many queries, those around the middle have the median rank."""
    first = np.random.default_rng(0).permutation(101)
    every = QueryScores(np.arange(101), first, np.zeros(101), np.zeros(101))
    _, median = query_examples(every, [str(q) for q in range(101)], 6)
    assert sorted(first[median].tolist()) == [49, 50, 51]
