"""The picture of an explanation as a whole: its numbers, its scales and its sizes."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from partialreid.matching.explained import Explained, explained_lasso_pair, explained_pair
from partialreid.matching.windows import pyramid_patches
from partialreid.reporting.explanation import MARGIN, PANEL, Candidate, draw_explanation
from partialreid.reporting.explanation_patches import Shown
from partialreid.reporting.explanation_row import TOP
from partialreid.reporting.explanation_text import TITLE, font, shortened, wrapped
from tests.reconstruction_oracle import features, weights_of

Size = tuple[int, int]
ROW = MARGIN + 2 * TITLE + TOP  # where the panels of the first row begin


def shown(seed: int, size: Size, cells: Size, label: str = "picture") -> Shown:
    """An image of noise, (height, width) pixels and cells."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    return Shown(Image.fromarray(pixels), pyramid_patches(*cells), label)


def made(
    size: Size = (128, 64), cells: Size = (16, 8), count: int = 2, *, lasso: bool = False
) -> tuple[Shown, list[Candidate]]:
    """A query of this size and candidates of 128 x 64."""
    query = shown(0, size, cells, "the_query.png")
    columns = len(query.patches.cover)
    own, weights = features(0, 1, 48, columns)[0], weights_of(3, 1, columns)[0]
    explain = explained_lasso_pair if lasso else explained_pair
    candidates = []
    for number in range(1, count + 1):
        pair: Explained = explain(own, features(number, 1, 48, 70)[0], weights)
        candidates.append(Candidate(shown(number, (128, 64), (16, 8), f"{number}.png"), pair))
    return query, candidates


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that is written, in order."""
    texts: list[str] = []
    write = ImageDraw.ImageDraw.text

    def noted(self: ImageDraw.ImageDraw, place: object, text: str, *more: object, **how: object):
        texts.append(text)
        return write(self, place, text, *more, **how)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", noted)
    return texts


@pytest.mark.parametrize("lasso", [False, True])
@pytest.mark.parametrize("cells", [(16, 8), (11, 8), (48, 8)])
def test_printed_parts_add_up_to_printed_distances(
    said: list[str], cells: Size, lasso: bool
) -> None:
    query, candidates = made((8 * cells[0], 64), cells, lasso=lasso)
    draw_explanation(query, candidates)
    numbers = [float(text) for text in said if re.fullmatch(r"\d\.\d{4}", text)]
    rows = np.array(numbers).reshape(2, -1)
    assert rows.shape[1] >= 6
    titles = [text for text in said if ": distance " in text]
    for row, title, candidate in zip(rows, titles, candidates, strict=True):
        assert round(row[:-1].sum(), 4) == row[-1] == round(candidate.explained.distance, 4)
        own, other, against, speaking_for = map(float, re.findall(r"\d\.\d{4}", title))
        assert own == row[-1] and round(other + against - speaking_for, 4) == own


def test_one_candidate_is_compared_with_its_average(said: list[str]) -> None:
    query, candidates = made(count=1)
    draw_explanation(query, candidates)
    assert f"A: distance {candidates[0].explained.distance:.4f}" in said
    assert " than the average" in said and not any("B" in text.split() for text in said)


def test_the_question_names_the_nearer_one(said: list[str]) -> None:
    query, candidates = made()
    candidates.sort(key=lambda candidate: candidate.explained.distance)
    draw_explanation(query, candidates)
    draw_explanation(query, candidates[::-1])
    asked = [text for text in said if text.startswith("Why")]
    assert asked == [f"Why is {a} nearer to the query than {b}?" for a, b in ("AB", "BA")]
    assert {"the_query.png", "1.png", "2.png"} <= set(said)


def test_both_rows_have_the_same_scales() -> None:
    """A candidate looks the same in either row."""
    query, candidates = made()
    first = np.asarray(draw_explanation(query, candidates))
    second = np.asarray(draw_explanation(query, candidates[::-1]))
    heights = slice(ROW, ROW + PANEL[0])
    below = range(ROW + PANEL[0], len(second) - PANEL[0])
    matches = [y for y in below if np.array_equal(first[heights], second[y : y + PANEL[0]])]
    assert len(matches) == 1
    assert not np.array_equal(first[heights], second[heights])


@pytest.mark.parametrize(
    ("size", "cells"),
    [((256, 40), (24, 8)), ((16, 16), (8, 8)), ((64, 512), (8, 40)), ((3000, 1500), (24, 12))],
)
def test_any_size_gives_a_picture_of_a_readable_size(size: Size, cells: Size) -> None:
    picture = draw_explanation(*made(size, cells))
    assert 900 <= picture.width <= 1600 and 500 <= picture.height <= 1400
    # Little of it is white: what can be large is.
    assert (np.asarray(picture) == 255).all(axis=2).mean() < 0.9


def test_what_does_not_go_together_is_refused() -> None:
    query, candidates = made()
    for wrong in ([], candidates + candidates[:1]):
        with pytest.raises(ValueError, match="one or two candidates are explained"):
            draw_explanation(query, wrong)
    other = candidates[1].explained._replace(weights=torch.ones(70))
    with pytest.raises(ValueError, match="weights of one query"):
        draw_explanation(query, [candidates[0], candidates[1]._replace(explained=other)])
    with pytest.raises(ValueError, match="map of 24x8 cells"):
        draw_explanation(shown(0, (128, 64), (24, 8)), candidates)
    wrong_map = candidates[0]._replace(shown=shown(0, (128, 64), (12, 8)))
    with pytest.raises(ValueError, match="map of 12x8 cells"):
        draw_explanation(query, [wrong_map])


def test_words_keep_within_their_width() -> None:
    text = "one two three " + "x" * 200 + " four"
    lines = wrapped(text, 120)
    assert lines[0].startswith("one") and lines[-1] == "four"
    assert all(font().getlength(line) <= 120 for line in lines)
    assert shortened("short", 120) == "short"
    assert shortened("x" * 200, 120).endswith("x..")
