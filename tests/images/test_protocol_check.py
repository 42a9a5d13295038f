"""Queries and galleries that can be evaluated together, and those that are refused."""

from __future__ import annotations

import pytest

from partialreid.images.protocol_check import check_protocol


def test_protocol_accepts_distractors_and_several_cameras() -> None:
    gallery = [("g0", 0, 1), ("g-1", -1, 1), ("g1", 1, 0), ("g1b", 1, 2)]
    check_protocol("Any", [("q", 1, 0), ("r", 1, 2)], gallery)


def test_protocol_names_the_empty_part() -> None:
    with pytest.raises(ValueError, match=r"Any: the query is empty\. Look in x"):
        check_protocol("Any", [], [("g", 1, 1)], "Look in x")
    with pytest.raises(ValueError, match="Any: the gallery is empty"):
        check_protocol("Any", [("q", 1, 0)], [])


def test_protocol_names_the_first_queries_without_match() -> None:
    query = [(f"q{i}", i, 0) for i in range(10)]
    gallery = [("good", 4, 1), ("same camera", 5, 0)]
    with pytest.raises(ValueError) as error:
        check_protocol("Any", query, gallery)
    assert "9 of 10 queries" in str(error.value)
    assert '"q0", "q1", "q2", "q3", "q5" and 4 more' in str(error.value)


def test_a_query_that_would_find_itself_is_refused() -> None:
    query, gallery = [("q/a.jpg", 1, 0)], [("g/a.jpg", 1, 1), ("./q/a.jpg", 1, 2)]
    with pytest.raises(ValueError, match=r'1 of 1 queries lie in the gallery too.*"q/a\.jpg"'):
        check_protocol("Own", query, gallery)
    # Under the query's own camera it is dropped from the ranking.
    check_protocol("Own", query, [gallery[0], ("q/a.jpg", 1, 0)])
