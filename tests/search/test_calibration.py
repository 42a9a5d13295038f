"""Probabilities from distances: on made-up answers whose true probabilities are known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from partialreid.search.calibration import Logistic, fitted, from_plain, verdict_of
from partialreid.search.first_answers import FirstAnswers, first_answers, together
from partialreid.search.verdict_report import calibrated, cross_report, expected_error


def made_up(count: int, seed: int = 0) -> FirstAnswers:
    """Answers that are right with the probability 1 / (1 + exp(20 d - 10 - 30 m))."""
    rng = np.random.default_rng(seed)
    distance, margin = rng.uniform(0.2, 0.8, count), rng.exponential(0.05, count)
    p = 1 / (1 + np.exp(20 * distance - 10 - 30 * margin))
    right = rng.uniform(size=count) < p
    present = right | (rng.uniform(size=count) < 0.1)
    identity = rng.integers(0, 200, count)
    # Lists of two images of one person, and the next one.
    listed = np.stack([distance, distance + margin / 2, distance + margin], axis=1)
    first = np.where(right, identity, -1)
    people = np.stack([first, first, np.full(count, -2)], axis=1)
    return FirstAnswers(distance, margin, right, present, identity, listed, people)


def test_the_probability_that_made_the_answers_is_found_again() -> None:
    answers = made_up(40_000)
    found = fitted([answers.distance, answers.margin], answers.right)
    wanted = Logistic(10.0, -20.0, 30.0)
    for d in (0.2, 0.5, 0.7):
        for m in (0.0, 0.1):
            assert found(d, m) == pytest.approx(wanted(d, m), abs=0.015)


def test_far_away_a_probability_stays_one() -> None:
    curve = Logistic(0.0, -1.0)
    assert curve(-1e4) == 1.0 and curve(1e4) == 0.0
    assert curve(0.3) == pytest.approx(1 / (1 + np.exp(0.3)), abs=1e-12)


def test_answers_of_one_kind_teach_nothing() -> None:
    with pytest.raises(ValueError, match="more identities"):
        fitted([np.arange(3.0)], np.ones(3, dtype=bool))


def test_it_goes_through_plain_values() -> None:
    found = calibrated(made_up(500), "fused", "made up")
    again = from_plain(json.loads(json.dumps(found.as_plain())))
    assert again == found
    assert again.probability(0.3, None) == found.right(0.3)
    assert again.in_gallery(0.7, 0.0) == found.present_by_margin(0.7, 0.0)
    assert again.settings is None
    settings = {"TEST.DSR.LAMBDA": 0.5, "MODEL.HEADS.DSR.KERNELS": [1, 2]}
    found = calibrated(made_up(500), "fused", "made up", settings)
    assert from_plain(json.loads(json.dumps(found.as_plain()))) == found
    assert found.settings == settings
    for broken in ({"right": {"slope": 1.0}}, {"settings": "TEST"}, {"settings": 3}):
        with pytest.raises(ValueError, match="damaged"):
            from_plain({**found.as_plain(), **broken})


@pytest.mark.parametrize(
    ("p", "in_gallery", "word"),
    [
        (0.9, None, "match"),
        (0.89, None, "unsure"),
        (0.1, None, "unsure"),
        (0.09, None, "other"),
        # The first image of a list.
        (0.9, 0.95, "match"),
        (0.5, 0.95, "unsure"),
        (0.09, 0.95, "unsure"),
        (0.01, 0.1, "unsure"),
        (0.01, 0.09, "nobody"),
        (0.95, 0.05, "nobody"),
    ],
)
def test_probabilities_in_a_word(p: float, in_gallery: float | None, word: str) -> None:
    assert verdict_of(p, in_gallery) == word


def test_first_answers_with_and_without_the_person() -> None:
    # Two queries of the people 0 and 1, whose gallery has two images of each and one of 2; the
    # first image of 0 is by the query's own camera.
    distances = np.array([[0.1, 0.3, 0.5, 0.4, 0.6], [0.5, 0.6, 0.35, 0.4, 0.3]])
    ids = ([0, 1], [0, 0, 1, 1, 2], [7, 7], [7, 8, 8, 9, 8])
    found = first_answers(distances, ids)
    assert found.distance.tolist() == [0.3, 0.3, 0.4, 0.3]
    assert found.right.tolist() == [True, False, False, False]
    assert found.present.tolist() == [True, True, False, False]
    np.testing.assert_allclose(found.margin, [0.1, 0.05, 0.2, 0.2])
    assert found.identity.tolist() == [0, 1, 0, 1]
    # The lists, what is not there, and the nearest image of another person than the first.
    listed = [[0.3, 0.4, 0.5, 0.6], [0.3, 0.35, 0.4, 0.5, 0.6], [0.4, 0.5, 0.6], [0.3, 0.5, 0.6]]
    people = [[0, 1, 1, 2], [2, 1, 1, 0, 0], [1, 1, 2], [2, 0, 0]]
    behind = [(0.4, 1), (0.35, 1), (0.6, 2), (0.5, 0)]
    for n, (row, names, other) in enumerate(zip(listed, people, behind, strict=True)):
        length = len(row)
        assert found.listed[n, :length].tolist() == row
        assert found.people[n, :length].tolist() == names
        assert np.isinf(found.listed[n, length:-1]).all() and found.listed.shape == (4, 11)
        assert set(found.people[n, length:-1]) == {names[-1]}
        assert (found.listed[n, -1], found.people[n, -1]) == other


def test_people_of_two_sets_are_others_though_their_numbers_are_one() -> None:
    distances = np.array([[0.1, 0.3, 0.5, 0.4, 0.6], [0.5, 0.6, 0.35, 0.4, 0.3]])
    ids = ([0, 1], [0, 0, 1, 1, 2], [7, 7], [7, 8, 8, 9, 8])
    one = first_answers(distances, ids)
    found = together([[one, one], [one], [one]])
    # Whole and cut people of one set are the same; those of the next ones are not.
    assert found.identity.tolist() == [0, 1, 0, 1] * 2 + [3, 4, 3, 4] + [6, 7, 6, 7]
    assert found.people[:8].tolist() == one.people.tolist() * 2
    assert found.people[8:12].tolist() == (one.people + 3).tolist()
    assert found.people[12:].tolist() == (one.people + 6).tolist()
    for name in ("distance", "margin", "right", "present", "listed"):
        wanted = np.concatenate([getattr(one, name)] * 4)
        np.testing.assert_array_equal(getattr(found, name), wanted)


def test_where_no_query_is_left_more_people_are_asked_for() -> None:
    """The gallery shows one person alone, so that no answer has a margin."""
    found = first_answers(np.array([[0.1, 0.3]]), ([0], [0, 0], [7], [8, 9]))
    assert len(found.right) == 0 and found.listed.shape == found.people.shape == (0, 11)
    with pytest.raises(ValueError, match="more identities"):
        cross_report(together([[found], [found]]), "fused")


def test_of_two_people_nobody_is_absent_and_more_are_asked_for() -> None:
    """Each half has one, who is asked with its images in the gallery: no false alarm is seen."""
    few = made_up(400)
    few = few._replace(identity=few.identity % 2, right=np.arange(400) % 3 > 0)
    few = few._replace(present=few.right | (np.arange(400) % 2 > 0))
    with pytest.raises(ValueError, match="more identities"):
        cross_report(few, "fused")


def test_the_error_of_probabilities_by_hand() -> None:
    # Bins 0.2 to 0.3 and 0.9 to 1: two answers of 0.25, one right; two of 0.95, both right.
    error = expected_error([0.25, 0.25, 0.95, 0.95], [True, False, True, True])
    assert error == pytest.approx((2 * 0.25 + 2 * 0.05) / 4)


def test_the_report_of_answers_that_can_and_cannot_be_told_apart() -> None:
    told = made_up(20_000)
    told = told._replace(present=told.right)
    report = cross_report(told, "fused")
    assert report["auc"] > report["auc_without_margin"] > 0.8
    assert report["calibration_error"] < 0.03
    # The second image is of the same person as the first, and as right; by its own distance, it
    # seems less so.
    assert report["calibration_error_listed"] == report["calibration_error"]
    assert report["listed_said"] == pytest.approx(report["listed_right"], abs=0.01)
    assert report["listed_said_without_margin"] < report["listed_right"] - 0.01
    assert report["calibration_error_in_gallery"] < 0.03
    rng = np.random.default_rng(1)
    report = cross_report(told._replace(present=rng.uniform(size=20_000) < 0.5), "fused")
    assert report["auc"] == pytest.approx(0.5, abs=0.03)
    assert report["false_alarms"] == pytest.approx(0.95, abs=0.02)
