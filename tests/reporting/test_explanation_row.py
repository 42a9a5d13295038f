"""Which panel of a row shows what, and where its lines lead."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from partialreid.matching.windows import pyramid_patches
from partialreid.reporting.explanation_colours import AGAINST, FOR, TINT, ramp
from partialreid.reporting.explanation_patches import FADED, Shown
from partialreid.reporting.explanation_row import TOP, Parts, Scales, draw_row

GREY, BROWN = 100, (150, 100, 50)
# Patches are 16 x 16 pixels, 8 x 4 of them.
LAST = 31


def over(colour: object, strength: float, below: int) -> np.ndarray:
    return (1 - strength) * below + strength * np.asarray(colour, dtype=float)


@pytest.fixture(scope="module")
def panels() -> list[np.ndarray]:
    """The panels of a row in which a few patches say something, (128, 64, 3) each."""
    patches = pyramid_patches(16, 8)
    query = Shown(Image.new("RGB", (64, 128), (GREY, GREY, GREY)), patches, "query")
    candidate = Shown(Image.new("RGB", (64, 128), BROWN), patches, "candidate")
    counts, leaning = np.ones((8, 4)), np.zeros((8, 4))
    counts[4, 0] = 0
    leaning[0, 3], leaning[7, 0] = -0.002, 0.001
    links = np.zeros((LAST + 1, LAST + 1))
    links[LAST, 0] = 1
    parts = Parts(counts, np.full((8, 4), 0.01), leaning, links)
    brought = 1 - 1 / len(links)
    scales = Scales(1, 0.002 / 4, brought / 4, 1, 128, (64, 64))
    words = [((text, FOR),) for text in "abcde"]
    drawn = np.asarray(draw_row("A", query, candidate, parts, scales, words), dtype=float)
    assert drawn.shape[1] == scales.places()[1]
    return [drawn[TOP : TOP + 128, x : x + 64] for x in scales.places()[0]]


def test_the_pictures_come_as_they_are(panels: list[np.ndarray]) -> None:
    assert (panels[0] == GREY).all() and (panels[1] == BROWN).all()


def test_the_query_is_tinted_by_what_leans(panels: list[np.ndarray]) -> None:
    left_over = panels[2]
    assert np.abs(left_over[1, 62] - over(FOR, TINT, GREY)).max() < 1
    assert np.abs(left_over[126, 1] - over(AGAINST, TINT / 2, GREY)).max() < 1
    assert np.abs(left_over[66, 1] - over((255, 255, 255), FADED, GREY)).max() < 1
    assert (left_over[100, 20] == GREY).all()


def test_the_candidate_is_tinted_by_what_it_rebuilds(panels: list[np.ndarray]) -> None:
    brown = np.asarray(Image.new("RGB", (1, 1), BROWN).convert("L"))[0, 0]
    colour = 255 * ramp(np.array(0.5 / 8))
    assert np.abs(panels[3][126, 62] - over(colour, TINT, brown)).max() < 1
    assert (panels[3][126, 46] == brown).all() and (panels[3][3, 62] == brown).all()


def test_a_line_leads_from_the_query_to_its_source(panels: list[np.ndarray]) -> None:
    colour = np.rint(255 * ramp(np.array(0.5 / 8)))
    for panel, (y, x) in ((panels[2], (8, 8)), (panels[3], (120, 56))):
        assert (panel[y, x] == colour).all()
    # It is straight: panels begin 260 pixels apart, and so it goes 112 down on 308.
    crossing = round(8 + 112 * (260 + 2 - 8) / 308)
    assert (panels[3][crossing, 2] == colour).all()
    assert (panels[3][crossing - 12, 2] == panels[3][0, 2]).all()


def test_the_query_is_rebuilt_where_something_is_brought(panels: list[np.ndarray]) -> None:
    assert (panels[4][:16, :16] == BROWN).all()
    assert (panels[4][16:] == 255).all() and (panels[4][:, 16:] == 255).all()
