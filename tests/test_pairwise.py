"""Combinations of settings hold every pair of values, and are few."""

from __future__ import annotations

from tests.pairwise import pairwise


def test_every_pair_of_values_occurs() -> None:
    settings = {"a": (1, 2, 3), "b": "xy", "c": (True, False), "d": (None, "n")}
    found = pairwise(settings)
    assert len(found) < 10  # of 24
    for one in settings:
        for other in settings:
            pairs = {(case[one], case[other]) for case in found}
            wanted = len(settings[one]) * (len(settings[other]) if other != one else 1)
            assert len(pairs) == wanted
