"""The page of a test set: verdicts only where they hold, and what is said of a query."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from partialreid.reporting.answer_page import PageQuery
from partialreid.search.calibration import Calibration, Logistic
from partialreid.search.ranked_test_set import Wanted, page_queries

KEYS = ("TEST.DSR.ENABLED", False, "TEST.DSR.DISTANCE", "fused")
FIXED = ("TEST.DSR.LAMBDA_SELECTION", "fixed")
CURVE, BY_MARGIN = Logistic(2.0, -3.0), Logistic(1.0, -3.0, 40.0)
FUSED = Calibration("fused", CURVE, BY_MARGIN, CURVE, BY_MARGIN, "made up")
DISTANCES = {"global": [0.3, 0.2, 0.1, 0.0], "fused": [0.15, 0.1, 0.4, 0.0]}


@pytest.fixture
def page(tmp_path: Path, make_config: Callable[..., Any]) -> Callable[..., PageQuery]:
    """A function that gives the only query of a page; its keys are those of the config."""
    items = []
    # The last one is the query's person by its own camera, and nearest.
    for number, (person, camera) in enumerate([(7, 1), (3, 1), (5, 2), (7, 2), (7, 1)]):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (32, 64), (40 * number, 0, 0)).save(path)
        items.append((str(path), person, camera))
    distances = {name: torch.tensor([row]) for name, row in DISTANCES.items()}
    _, people, cameras = zip(*items)
    ids = ([7], list(people[1:]), [1], list(cameras[1:]))

    def make(calibration: Calibration | None, *keys: Any) -> PageQuery:
        evaluator = SimpleNamespace(cfg=make_config(*KEYS, *keys), distances=distances, ids=ids)
        (found,) = page_queries(items, evaluator, None, calibration, Wanted(4, 2, 2))
        return found

    return make


def test_lists_are_those_of_the_evaluation(page: Callable[..., PageQuery]) -> None:
    found = page(None)
    shown = [(Path(answer.path).name, answer.ranks, answer.right) for answer in found.answers]
    assert shown == [
        ("2.png", {"global": 2, "fused": 1}, False),
        ("1.png", {"global": 3, "fused": 2}, False),
        ("3.png", {"global": 1, "fused": 3}, True),
    ]
    for answer in found.answers:
        place = int(Path(answer.path).stem) - 1
        assert answer.distances == pytest.approx({n: d[place] for n, d in DISTANCES.items()})
        assert (answer.probability, answer.verdict, answer.reason) == (None, "", "")
    assert Path(found.path).name == "0.png" and found.in_gallery is None
    assert found.note == "first right answer: 3 of 3; average precision: 33.3 %"


def test_verdicts_know_the_margin(page: Callable[..., PageQuery]) -> None:
    found = page(FUSED, *FIXED)
    # The first person is nearer than the third by so much, and too likely for the second.
    probabilities = [BY_MARGIN(0.1, 0.05), 1 - BY_MARGIN(0.1, 0.05), BY_MARGIN(0.4, -0.3)]
    assert [answer.probability for answer in found.answers] == pytest.approx(probabilities)
    assert [answer.verdict for answer in found.answers] == ["match", "other", "other"]
    assert found.in_gallery == pytest.approx(BY_MARGIN(0.1, 0.05))


def test_the_first_verdict_is_that_on_the_gallery(page: Callable[..., PageQuery]) -> None:
    absent = Logistic(-9.0, 0.0)
    known = dataclasses.replace(FUSED, right_by_margin=Logistic(-9.0, 0.0))
    found = page(known, *FIXED)
    assert [answer.verdict for answer in found.answers] == ["unsure", "other", "other"]
    found = page(dataclasses.replace(known, present_by_margin=absent), *FIXED)
    assert [answer.verdict for answer in found.answers] == ["nobody", "other", "other"]


def test_a_lambda_does_not_matter_to_the_other_distances(page: Callable[..., PageQuery]) -> None:
    known = dataclasses.replace(FUSED, kind="global")
    crossfit = ("TEST.DSR.LAMBDA_SELECTION", "crossfit", "TEST.DSR.DISTANCE", "global")
    assert page(known, *crossfit).in_gallery == pytest.approx(BY_MARGIN(0.1, 0.1))


@pytest.mark.parametrize(
    "keys",
    [
        ("TEST.DSR.LAMBDA_SELECTION", "crossfit"),
        (*FIXED, "TEST.DSR.DISTANCE", "global"),
        (*FIXED, "TEST.RERANK.ENABLED", True),
    ],
    ids=str,
)
def test_no_verdict_where_the_calibration_is_of_other_distances(
    keys: tuple[Any, ...], page: Callable[..., PageQuery], caplog: pytest.LogCaptureFixture
) -> None:
    found = page(FUSED, *keys)
    assert found.in_gallery is None
    assert {(answer.probability, answer.verdict) for answer in found.answers} == {(None, "")}
    assert "no verdicts: " in caplog.text
