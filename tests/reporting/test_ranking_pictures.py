"""Pictures of ranked lists: what is drawn where, and what the protocol drops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from partialreid.reporting.ranking_pictures import QUERY, RIGHT, WRONG, Row, draw_rows, ranked_row

GREY = (120, 120, 120)


@pytest.fixture
def images(tmp_path: Path) -> list[str]:
    """A query and three gallery images of different proportions, all of one grey."""
    paths = []
    for i, size in enumerate([(64, 128), (64, 128), (30, 90), (80, 40)]):
        path = tmp_path / f"{i}.png"
        Image.new("RGB", size, GREY).save(path)
        paths.append(str(path))
    return paths


def count(picture: Image.Image, colour: tuple[int, int, int]) -> int:
    """How many pixels have exactly this colour."""
    return int((np.asarray(picture) == colour).all(axis=2).sum())


def picture(images: list[str], right: list[bool], rows: int = 1) -> Image.Image:
    gallery = images[1 : 1 + len(right)]
    row = Row("global", images[0], gallery, right, [0.1 * i for i in range(len(right))])
    return draw_rows([row] * rows)


def test_borders_tell_query_right_and_wrong(images: list[str]) -> None:
    drawn = picture(images, [True, False, True])
    border = count(drawn, QUERY)
    assert border > 0
    assert count(drawn, RIGHT) == 2 * border
    assert count(drawn, WRONG) == border


def test_order_is_query_then_gallery_by_rank(images: list[str]) -> None:
    pixels = np.asarray(picture(images, [False, True]))
    left = [
        int(np.flatnonzero((pixels == colour).all(axis=2).any(axis=0))[0])
        for colour in (QUERY, WRONG, RIGHT)
    ]
    assert left == sorted(left) and len(set(left)) == 3


def test_size_grows_by_equal_steps(images: list[str]) -> None:
    sizes = [picture(images, [True] * length).size for length in (1, 2, 3)]
    assert sizes[1][0] - sizes[0][0] == sizes[2][0] - sizes[1][0] >= 64
    assert len({height for _, height in sizes}) == 1
    heights = [picture(images, [True], rows).size[1] for rows in (1, 2, 3)]
    assert heights[1] - heights[0] == heights[2] - heights[1] >= 128


@pytest.mark.parametrize(("index", "area"), [(1, 64 * 128), (2, 43 * 128), (3, 64 * 32)])
def test_proportions_are_kept(images: list[str], index: int, area: int) -> None:
    """Each image fills its tile in one direction: 30 x 90 becomes 43 x 128, 80 x 40 64 x 32."""
    alone = draw_rows([Row("", images[0], [images[index]], [True], [0.0])])
    assert count(alone, GREY) - 64 * 128 == area


def test_a_line_parts_different_queries_alone(images: list[str]) -> None:
    first = Row("", images[0], images[1:2], [True], [0.0])
    other = first._replace(query=images[2])
    same, parted = (np.asarray(draw_rows([first, row])) for row in (first, other))
    lines = [(~(p == 255).all(axis=2)).all(axis=1).sum() for p in (same, parted)]
    assert lines == [0, 1]


def test_label_is_written_before_the_row(images: list[str]) -> None:
    row = Row("global", images[0], images[1:2], [True], [0.5])
    with_label, without = draw_rows([row]), draw_rows([row._replace(label="")])
    changed = np.flatnonzero((np.asarray(with_label) != np.asarray(without)).any(axis=(0, 2)))
    first = np.flatnonzero((np.asarray(without) == QUERY).all(axis=2).any(axis=0))[0]
    assert len(changed) and changed.max() < first


def test_list_is_sorted_and_drops_the_querys_own_camera() -> None:
    query = ("q", 7, 1)
    gallery = [("far", 7, 2), ("junk", 7, 1), ("other", 3, 1), ("near", 7, 3), ("tie", 5, 2)]
    row = ranked_row("fused", query, gallery, np.array([0.9, 0.0, 0.5, 0.1, 0.5]), 3)
    assert row.gallery == ["near", "other", "tie"]
    assert row.right == [True, False, False]
    assert row.distances == [0.1, 0.5, 0.5]
    assert (row.label, row.query) == ("fused", "q")


def test_no_rows_are_an_error() -> None:
    with pytest.raises(ValueError, match="no ranked list"):
        draw_rows([])


def test_an_image_that_cannot_be_read_is_named(images: list[str], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not an image")
    with pytest.raises(OSError, match=r"broken\.png"):
        draw_rows([Row("global", images[0], [str(broken)], [True], [0.0])])
