"""Occluders: how much they cover, what they leave alone, and that training and testing differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from partialreid.images.occluder_shapes import TESTING, TRAINING, Family
from partialreid.images.occlusion import (
    Occluded,
    check_share,
    hide_behind_piece,
    hide_behind_shape,
)
from partialreid.images.random_numbers import HashRng

SIZES = ((128, 64), (16, 8), (61, 37), (64, 128), (8, 1), (1, 9))
GREY = np.full((64, 32, 3), 77, np.uint8)


def picture(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def by_shape(family: Family) -> Callable[..., Occluded]:
    return lambda image, rng, share: hide_behind_shape(image, rng, share, family)


def by_piece(image: np.ndarray, rng: HashRng, share: tuple[float, float]) -> Occluded:
    return hide_behind_piece(image, picture((50, 30), 1), rng, share)


WAYS = {"testing": by_shape(TESTING), "training": by_shape(TRAINING), "pieces": by_piece}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("share", [(0.2, 0.5), (0.3, 0.34), (0.9, 0.99), (0.12, 0.13)])
def test_covered_share_lies_in_the_range(way: str, share: tuple[float, float]) -> None:
    for shape in SIZES[:4]:
        image = picture(shape)
        for number in range(8):
            out = WAYS[way](image, HashRng(number), share)
            assert out.image.shape == image.shape and out.image.dtype == np.uint8
            assert out.visible.shape == shape and out.visible.dtype == bool
            assert share[0] <= 1 - out.visible.mean() <= share[1]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_visible_is_the_image_and_the_input_stays(way: str) -> None:
    for shape in SIZES:
        image = picture(shape)
        before = image.copy()
        out = WAYS[way](image, HashRng("a", shape), (0.2, 0.8))
        np.testing.assert_array_equal(image, before)
        np.testing.assert_array_equal(out.image[out.visible], image[out.visible])
        # Noise and an occluder agree in a pixel once in a thousand times at most.
        changed = (out.image != image).any(-1)
        assert changed[~out.visible].mean() > 0.85


@pytest.mark.parametrize("way", WAYS)
def test_shares_fill_the_range(way: str) -> None:
    shares = [
        1 - WAYS[way](GREY, HashRng("share", i), (0.2, 0.5)).visible.mean() for i in range(200)
    ]
    assert min(shares) < 0.22
    assert max(shares) > 0.48
    assert abs(np.mean(shares) - 0.35) < 5 * 0.3 / 12**0.5 / 200**0.5


def test_pieces_come_from_all_sides_and_touch_theirs() -> None:
    sides: Counter[str] = Counter()
    other = picture((64, 32), 3) // 2
    for i in range(80):
        hidden = ~hide_behind_piece(GREY, other, HashRng("side", i), (0.1, 0.2)).visible
        edges = {
            "top": hidden[0],
            "bottom": hidden[-1],
            "left": hidden[:, 0],
            "right": hidden[:, -1],
        }
        sides[max(edges, key=lambda side: edges[side].mean())] += 1
        assert max(edge.mean() for edge in edges.values()) > 0.3
    assert len(sides) == 4
    # 20 of each are expected, with a standard deviation of 4
    assert min(sides.values()) > 5


def test_a_piece_shows_the_other_image() -> None:
    other = np.zeros((40, 20, 3), np.uint8)
    other[..., 0] = 200
    out = hide_behind_piece(GREY, other, HashRng(1), (0.3, 0.4))
    assert (out.image[~out.visible] == (200, 0, 0)).all()
    tiny = hide_behind_piece(GREY, np.full((1, 1, 3), 9, np.uint8), HashRng(2), (0.3, 0.4))
    assert (tiny.image[~tiny.visible] == 9).all()


def test_a_shape_hides_the_same_pixels_whatever_the_image() -> None:
    for family in (TESTING, TRAINING):
        one, two = (
            hide_behind_shape(image, HashRng(5), (0.2, 0.3), family)
            for image in (GREY, picture((64, 32)))
        )
        np.testing.assert_array_equal(one.visible, two.visible)
        np.testing.assert_array_equal(one.image[~one.visible], two.image[~two.visible])


@pytest.mark.parametrize("way", WAYS)
def test_key_alone_decides(way: str) -> None:
    first = [WAYS[way](GREY, HashRng("seed", i), (0.2, 0.5)).image for i in range(12)]
    again = [WAYS[way](GREY, HashRng("seed", i), (0.2, 0.5)).image for i in reversed(range(12))]
    for one, two in zip(first, reversed(again)):
        np.testing.assert_array_equal(one, two)
    assert len({image.tobytes() for image in first}) == 12


@pytest.mark.parametrize("way", WAYS)
def test_a_numpy_generator_serves_too(way: str) -> None:
    one, two, other = (
        WAYS[way](GREY, np.random.default_rng(seed), (0.2, 0.5)).image for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_families_share_no_form_and_no_texture() -> None:
    assert not set(TESTING.forms) & set(TRAINING.forms)
    assert not set(TESTING.textures) & set(TRAINING.textures)
    # Nor do they by what they draw: every form and texture differs from each of the other family.
    for kind in ("forms", "textures"):
        for one in getattr(TESTING, kind):
            for two in getattr(TRAINING, kind):
                assert not np.allclose(one(HashRng(0), 30, 15), two(HashRng(0), 30, 15))


@pytest.mark.parametrize("family", [TESTING, TRAINING])
def test_textures_are_colours_of_the_scale(family: Family) -> None:
    for texture in family.textures:
        for i, (height, width) in enumerate(SIZES):
            values = texture(HashRng(i), height, width)
            assert values.shape == (height, width, 3)
            assert values.min() >= 0 and values.max() <= 255


@pytest.mark.parametrize("share", [(0.0, 0.5), (0.5, 0.4), (0.2, 1.0), (0.2,), (-0.1, 0.2)])
def test_impossible_shares(share: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="low <= high"):
        check_share(share)
    with pytest.raises(ValueError, match="low <= high"):
        hide_behind_shape(GREY, HashRng(0), share, TESTING)


def test_impossible_images() -> None:
    with pytest.raises(ValueError, match=r"no whole number of 4 pixels.*0\.3 to 0\.4"):
        hide_behind_shape(picture((2, 2)), HashRng(0), (0.3, 0.4), TESTING)
    with pytest.raises(ValueError, match=r"uint8 is needed, not \(64, 32\)"):
        hide_behind_piece(GREY, GREY[..., 0], HashRng(0), (0.2, 0.5))
    with pytest.raises(ValueError, match="float32"):
        hide_behind_shape(GREY.astype(np.float32), HashRng(0), (0.2, 0.5), TESTING)
