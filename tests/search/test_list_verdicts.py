"""Verdicts on the images of a list: a list of known people speaks of people."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from partialreid.search.calibration import Calibration, Logistic
from partialreid.search.list_verdicts import ListVerdicts

RIGHT, BY_MARGIN = Logistic(2.0, -10.0), Logistic(-2.0, -1.0, 60.0)
PRESENT, PRESENT_BY_MARGIN = Logistic(1.0, -6.0), Logistic(1.0, -6.0, 10.0)
KNOWN = Calibration("fused", RIGHT, BY_MARGIN, PRESENT, PRESENT_BY_MARGIN, "made up")
DISTANCES = np.array([0.10, 0.12, 0.19, 0.20, 0.21, 0.45])


def said(people: list[object]) -> list[float]:
    verdicts = ListVerdicts(KNOWN, DISTANCES, people)
    return [verdicts.probability(i) for i in range(len(people))]


def test_a_person_is_as_likely_as_the_nearest_picture_of_it() -> None:
    people = ["a", "a", "b", "c", "b", "a"]
    of = {"a": BY_MARGIN(0.10, 0.09), "b": BY_MARGIN(0.19, -0.09), "c": BY_MARGIN(0.20, -0.10)}
    assert said(people) == pytest.approx([of[person] for person in people])
    # The last picture is far away, and of the same person as the first.
    words = ListVerdicts(KNOWN, DISTANCES, people)
    assert [words.verdict(i) for i in range(6)] == ["match", "match", *["other"] * 3, "match"]


def test_no_two_people_are_the_one() -> None:
    # Of two equally near people each would be likely by itself.
    near = dataclasses.replace(KNOWN, right_by_margin=Logistic(2.0, -1.0, 1.0))
    verdicts = ListVerdicts(near, np.array([0.1, 0.1, 0.1]), ["a", "b", "a"])
    found = [verdicts.probability(i) for i in range(3)]
    assert found[0] == found[2] == near.right_by_margin(0.1) > 0.85
    assert found[0] + found[1] == pytest.approx(1)


def test_pictures_of_nobody_known_have_their_distance_alone() -> None:
    alone = [RIGHT(d) for d in DISTANCES]
    assert said([None] * 6) == pytest.approx(alone)
    # One identity alone has no other beside it, however many pictures of nobody known there are.
    assert said(["a", None, "a", None, None, "a"]) == pytest.approx(alone)
    some = said([None, "a", "b", None, "a", "b"])
    assert [some[0], some[3]] == pytest.approx([alone[0], alone[3]])
    assert some[1] == some[4] == pytest.approx(BY_MARGIN(0.12, 0.07))
    assert some[2] == some[5] == pytest.approx(BY_MARGIN(0.19, -0.07))


def test_where_the_first_is_right_the_person_is_there() -> None:
    people = ["a", "b", "c", "a", "b", "c"]
    for distance in (0.0, 0.05, 0.3):
        for names in ([None] * 6, people):
            verdicts = ListVerdicts(KNOWN, DISTANCES + distance, names)
            assert verdicts.in_gallery >= verdicts.probability(0)
    near = KNOWN.probability(0.0, 0.2)
    assert PRESENT_BY_MARGIN(0.0, 0.2) < near == KNOWN.in_gallery(0.0, 0.2)
    assert KNOWN.in_gallery(0.3, None) == PRESENT(0.3) > RIGHT(0.3)
