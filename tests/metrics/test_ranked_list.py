"""A single ranked list: the one that an evaluation scores."""

from __future__ import annotations

import numpy as np
import pytest

from partialreid.metrics.ranked_list import ranked_list
from partialreid.metrics.ranking import Ids, query_scores


def made_up(seed: int, queries: int, galleries: int) -> tuple[np.ndarray, Ids]:
    """Distances with many equal ones, three people, three cameras."""
    rng = np.random.default_rng(seed)
    distances = rng.integers(0, 6, (queries, galleries)).astype(np.float32)
    people = rng.integers(0, 3, queries), rng.integers(0, 3, galleries)
    cameras = rng.integers(0, 3, queries), rng.integers(0, 3, galleries)
    return distances, (*people, *cameras)


@pytest.mark.parametrize("seed", range(5))
def test_its_scores_are_those_of_the_evaluation(seed: int) -> None:
    distances, ids = made_up(seed, 7, 23)
    scores = query_scores(distances, *ids)
    for query, first, ap in zip(scores.queries, scores.first, scores.ap, strict=True):
        places, right = ranked_list(distances[query], int(query), ids)
        ranks = [rank for rank, is_right in enumerate(right, start=1) if is_right]
        assert ranks[0] - 1 == first
        assert np.mean([n / rank for n, rank in enumerate(ranks, start=1)]) == pytest.approx(ap)
        # Each image once, but for those of the query's person and camera.
        own = [g for g in range(23) if (ids[1][g], ids[3][g]) == (ids[0][query], ids[2][query])]
        assert sorted([*places, *own]) == list(range(23))
        assert right.tolist() == [ids[1][place] == ids[0][query] for place in places]


def test_equal_distances_are_in_gallery_order() -> None:
    distances = np.array([0.2, 0.1, 0.2, 0.1, 0.1], dtype=np.float32)
    ids = ([7], [7, 3, 3, 7, 5], [1], [2, 1, 2, 1, 2])
    found = ranked_list(distances, 0, ids)
    assert found.places.tolist() == [1, 4, 0, 2]  # 3 is the query's person by its camera
    assert found.right.tolist() == [False, False, True, False]
