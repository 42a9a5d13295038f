"""A person put before an image: how much is covered, by what, and from where."""

from __future__ import annotations

import numpy as np
import pytest

from partialreid.images.person_outline import hide_behind_person
from partialreid.images.random_numbers import HashRng

GREY = np.full((64, 32, 3), 77, np.uint8)


def picture(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


@pytest.mark.parametrize("share", [(0.2, 0.5), (0.3, 0.34), (0.9, 0.99), (0.12, 0.13)])
@pytest.mark.parametrize("shape", [(128, 64), (16, 8), (61, 37), (64, 128)])
def test_covered_share_lies_in_the_range(
    share: tuple[float, float], shape: tuple[int, int]
) -> None:
    image, other = picture(shape), picture((50, 30), 1)
    before = image.copy()
    for number in range(8):
        out = hide_behind_person(image, other, HashRng(number), share)
        assert out.image.shape == image.shape and out.image.dtype == np.uint8
        assert share[0] <= 1 - out.visible.mean() <= share[1]
        np.testing.assert_array_equal(out.image[out.visible], before[out.visible])
        assert (out.image != before).any(-1)[~out.visible].mean() > 0.85
    np.testing.assert_array_equal(image, before)


def test_share_of_small_images() -> None:
    for shape in ((8, 1), (1, 9), (2, 2)):
        out = hide_behind_person(picture(shape), picture((9, 4), 1), HashRng(shape), (0.2, 0.8))
        assert 0.2 <= 1 - out.visible.mean() <= 0.8


def test_the_same_numbers_draw_the_same() -> None:
    image, other = picture((64, 32)), picture((64, 32), 1)
    one, two, three = (
        hide_behind_person(image, other, HashRng(seed), (0.2, 0.4)) for seed in ("a", "a", "b")
    )
    np.testing.assert_array_equal(one.image, two.image)
    assert (one.image != three.image).any()


def test_people_come_from_left_and_right_and_stand_on_the_ground() -> None:
    sides, on_the_ground = {"left": 0, "right": 0}, 0
    for number in range(60):
        hidden = ~hide_behind_person(GREY, GREY // 2, HashRng(number), (0.1, 0.2)).visible
        sides["left" if hidden[:, :16].sum() > hidden[:, 16:].sum() else "right"] += 1
        assert hidden[-8:].any()
        on_the_ground += hidden[-1].any()
    assert min(sides.values()) > 15
    # Some are so narrow at the feet that these are outside of the image.
    assert on_the_ground > 45


def test_people_are_of_several_heights_and_breadths() -> None:
    """By the first row that they hide, and the widest, where the whole of them is to be seen."""
    tops, widths = [], []
    for number in range(60):
        hidden = ~hide_behind_person(GREY, GREY // 2, HashRng(number), (0.3, 0.5)).visible
        tops.append(int(np.flatnonzero(hidden.any(1))[0]))
        widths.append(int(hidden.sum(1).max()))
    # Of 64 rows: as small as 0.8 of the image's height, and larger than the image.
    assert min(tops) == 0 and max(tops) > 10
    assert max(widths) - min(widths) > 8


def test_the_outline_shows_the_person_in_its_place() -> None:
    """Head in the head, legs in the legs, and little of what is beside them."""
    other = np.zeros((128, 64, 3), np.uint8)
    other[:24, :, 0] = 255  # head
    other[24:68, :, 1] = 255  # body
    other[68:, :, 2] = 255  # legs
    seen = 0
    for number in range(40):
        out = hide_behind_person(np.zeros_like(other), other, HashRng(number), (0.3, 0.4))
        rows = [np.flatnonzero((out.image[..., part] > 128).any(1)) for part in range(3)]
        if all(len(found) for found in rows):
            seen += 1
            assert rows[0].mean() < rows[1].mean() < rows[2].mean()
            # A head is narrower than a body.
            widths = [(out.image[..., part] > 128).any(0).sum() for part in range(2)]
            assert widths[0] < widths[1]
    assert seen > 10


def test_pixels_are_those_of_the_person_at_that_place() -> None:
    """From left to right, and the other way where the picture was mirrored."""
    other = np.zeros((128, 64, 3), np.uint8)
    other[..., 0] = np.linspace(0, 255, 64).astype(np.uint8)
    other[..., 1] = 200
    rising = {True: 0, False: 0}
    for number in range(40):
        out = hide_behind_person(np.zeros_like(other), other, HashRng(number), (0.3, 0.4))
        rows, columns = np.nonzero(~out.visible)
        shades = out.image[rows, columns, 0].astype(float)
        assert (out.image[rows, columns, 1] == 200).all()
        slope = np.corrcoef(columns, shades)[0, 1]
        assert abs(slope) > 0.99
        rising[bool(slope > 0)] += 1
        # Cut at the middle of the person, where the image begins, or further out: of who comes in
        # from a side the half that is nearer to the other side is seen.
        at_left = columns.mean() < 32
        edge = shades[columns == (columns.min() if at_left else columns.max())].mean()
        inner = shades[columns == (columns.max() if at_left else columns.min())].mean()
        assert min(abs(inner - 0), abs(inner - 255)) < 60, (number, edge, inner)
    assert min(rising.values()) > 10


def test_covered_more_than_the_outline_can() -> None:
    out = hide_behind_person(GREY, GREY // 2, HashRng(0), (0.98, 0.99))
    assert 0.98 <= 1 - out.visible.mean() <= 0.99


@pytest.mark.parametrize("broken", [GREY[..., :2], GREY.astype(float), GREY[..., 0]])
def test_other_arrays_are_refused(broken: np.ndarray) -> None:
    for image, other in ((broken, GREY), (GREY, broken)):
        with pytest.raises(ValueError, match="uint8 is needed"):
            hide_behind_person(image, other, HashRng(0), (0.2, 0.4))
