"""The difference of two systems, person by person."""

from __future__ import annotations

from typing import Any

import pytest

from partialreid.reporting.paired_difference import paired_difference


def queries(rank1: list[float], ap: list[float], identities: list[int]) -> dict[str, Any]:
    """What is kept of each query."""
    return {"identities": identities, "Rank-1": rank1, "mAP": ap}


def test_what_is_hard_for_both_cancels_out() -> None:
    """Two people are found by both or by none, and one of them by 10 points of AP more."""
    first = queries([100.0, 100.0, 0.0, 0.0], [90.0, 90.0, 10.0, 10.0], [1, 1, 2, 2])
    second = queries([100.0, 100.0, 0.0, 0.0], [100.0, 100.0, 10.0, 10.0], [1, 1, 2, 2])
    said = paired_difference(second, first)
    assert said == "+0.0 (+0.0 to +0.0) / +5.0 (+0.0 to +10.0)"


def test_the_order_of_the_queries_is_not_that_of_the_people() -> None:
    """Images of one size come together, and another network may see them in other sizes."""
    first = queries([100.0, 0.0, 100.0], [90.0, 10.0, 50.0], [2, 1, 2])
    second = queries([0.0, 100.0, 100.0], [20.0, 90.0, 70.0], [1, 2, 2])
    ordered = queries([0.0, 100.0, 100.0], [10.0, 90.0, 50.0], [1, 2, 2])
    assert paired_difference(second, first) == paired_difference(second, ordered)
    assert paired_difference(second, first).startswith(
        "+0.0 "
    ) and "/ +10.0 (" in paired_difference(second, first)


def test_other_queries_are_refused() -> None:
    one, other = queries([1.0], [1.0], [1]), queries([1.0], [1.0], [2])
    with pytest.raises(ValueError, match="on different queries"):
        paired_difference(one, other)


def test_of_one_person_there_is_no_interval() -> None:
    one, other = (
        queries([100.0, 0.0], [60.0, 20.0], [4, 4]),
        queries([0.0, 0.0], [10.0] * 2, [4, 4]),
    )
    assert paired_difference(one, other) == "+50.0 / +30.0"
