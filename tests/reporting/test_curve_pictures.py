"""Curves are drawn where they belong, and a picture is whole or absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from partialreid.reporting.curve_pictures import Line, draw_panels


def pixels(path: Path, *panels: list[Line]) -> np.ndarray:
    named = {f"panel {number}": lines for number, lines in enumerate(panels)}
    draw_panels(named, str(path), "x", "y")
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def shade(image: np.ndarray, colour: tuple[int, int, int]) -> int:
    """How many pixels have nearly this colour."""
    return int((np.abs(image - colour).max(axis=2) < 30).sum())


def test_lines_have_their_colours_and_marks(tmp_path: Path) -> None:
    blue, orange = (31, 119, 180), (255, 127, 14)
    one = pixels(tmp_path / "1.png", [Line([0, 1], [0, 1], 0, "a")])
    assert shade(one, blue) > 200 and shade(one, orange) == 0
    thin = pixels(tmp_path / "2.png", [Line([0, 1], [0, 1], 0, thin=True), Line([0], [0], 1, "b")])
    assert 0 < shade(thin, blue) < shade(one, blue)
    marked = pixels(tmp_path / "3.png", [Line([0, 1], [0, 1], 0, "a", marked=1)])
    assert shade(marked, blue) > shade(one, blue)


def test_three_panels_are_wider_than_one(tmp_path: Path) -> None:
    line = [Line([0, 1], [0, 1], 0, "a")]
    one, three = pixels(tmp_path / "1.png", line), pixels(tmp_path / "3.png", line, line, line)
    assert three.shape[1] > 2 * one.shape[1] and three.shape[0] == one.shape[0]


def test_a_title_is_no_formula_and_stays_over_its_panel(tmp_path: Path) -> None:
    """Test sets may have the names of folders."""
    line, path = [Line([0, 1], [0, 1], 0, "a")], str(tmp_path / "1.png")
    draw_panels({"folder:/$_^$/": line}, path, "x", "y")
    draw_panels({f"folder:/{'long/' * 25}": line, "": line}, path, "x", "y")
    title = np.asarray(Image.open(path).convert("L"))[:60]
    assert (title[:25, 100:480] < 128).any() and not (title[:25, 540:] < 128).any()


def test_nothing_is_left_where_a_picture_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot be written"):
        pixels(tmp_path / "absent" / "1.png", [Line([0, 1], [0, 1], 0, "a")])
    assert list(tmp_path.iterdir()) == []
