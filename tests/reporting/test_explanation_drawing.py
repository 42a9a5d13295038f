"""What is painted over patches: colours by their numbers, and the query put together."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from partialreid.matching.windows import pyramid_patches
from partialreid.reporting.explanation_colours import (
    AGAINST,
    FOR,
    TINT,
    fading,
    leaning,
    mixed,
    ramp,
)
from partialreid.reporting.explanation_patches import (
    Boxes,
    Shown,
    faded,
    painted,
    rebuilt,
    scaled,
)

BOXES = Boxes(np.array([0, 3, 10]), np.array([0, 4, 6]))
# Machado, Oliveira and Fernandes (2009): how linear RGB is seen without one of the three cones.
SEEN_WITHOUT = {
    "red": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "green": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "blue": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def test_what_speaks_for_is_blue_and_against_orange_by_size() -> None:
    values = np.array([[-0.2, 0.1, 0.0, 0.4]])
    colours, strength = leaning(values, 0.2)
    assert np.allclose(colours[0, 0] * 255, FOR) and np.allclose(colours[0, 1] * 255, AGAINST)
    assert np.allclose(strength, TINT * np.array([[1, 0.5, 0, 1]]))
    assert leaning(np.zeros((1, 2)), 0.0)[1].max() == 0


@pytest.mark.parametrize("cone", SEEN_WITHOUT)
def test_for_and_against_differ_for_everybody(cone: str) -> None:
    def seen(colour: tuple[int, int, int]) -> np.ndarray:
        linear = (np.array(colour) / 255) ** 2.2
        return np.clip(np.array(SEEN_WITHOUT[cone]) @ linear, 0, 1) ** (1 / 2.2)

    assert np.linalg.norm(seen(FOR) - seen(AGAINST)) > 0.4
    # Red and green of equal lightness would not pass.
    if cone == "green":
        assert np.linalg.norm(seen((200, 60, 60)) - seen((110, 130, 60))) < 0.4


def test_the_ramp_is_viridis() -> None:
    from matplotlib import colormaps

    heights = np.linspace(0, 1, 41)
    difference = np.abs(ramp(heights) - colormaps["viridis"](heights)[:, :3])
    assert difference[::10].max() < 0.01 and difference.max() < 0.12


def test_colours_are_mixed_as_much_as_each_brings() -> None:
    links = np.array([[3.0, 1.0], [0.0, 0.0], [0.0, 1.0]])
    colours, strength = mixed(links, np.array([[1.0, 0, 0], [0, 0, 1.0]]), 4.0)
    assert np.allclose(colours[0], [0.75, 0, 0.25]) and np.allclose(colours[2], [0, 0, 1])
    assert np.allclose(strength, [TINT, 0, TINT / 2])


def test_what_counts_little_fades() -> None:
    assert fading(np.ones((2, 2))).max() == 0
    assert np.allclose(fading(np.array([[0.0, 0.25, 0.5, 3.25]])), [[1, 0.5, 0, 0]])
    assert fading(np.zeros((2, 2))).max() == 0


def test_a_patch_is_tinted_alone() -> None:
    grey = Image.new("L", (6, 10), 100)
    strength = np.array([[0.0, 0.5], [0.0, 0.0]])
    pixels = np.asarray(painted(grey, BOXES, np.array([1.0, 0, 0]), strength))
    assert pixels.shape == (10, 6, 3)
    assert (pixels[:3, 4:] == (178, 50, 50)).all()
    assert (np.delete(pixels.reshape(60, 3), [4, 5, 10, 11, 16, 17], axis=0) == 100).all()
    light = np.asarray(faded(grey, BOXES, np.array([[0, 0], [1, 0]])))
    assert (light[3:, :4] > 200).all() and (light[:3] == 100).all() and (light[:, 4:] == 100).all()


def test_where_patches_are() -> None:
    assert [BOXES.centre(n) for n in range(4)] == [(2, 1.5), (5, 1.5), (2, 6.5), (5, 6.5)]
    assert BOXES.box(1) == (4, 0, 6, 3) and BOXES.box(2) == (0, 3, 4, 10)


def test_patches_of_an_image_scale_with_it() -> None:
    image = Image.new("CMYK", (33, 45))
    picture, boxes = scaled(Shown(image, pyramid_patches(11, 8), ""), 4)
    assert picture.size == (132, 180) and picture.mode == "RGB"
    assert boxes.rows.tolist() == [0, 33, 65, 98, 131, 164, 180]
    assert boxes.columns.tolist() == [0, 33, 66, 99, 132]


def test_the_query_is_put_together_from_what_brings_most() -> None:
    red, green, blue = (200, 0, 0), (0, 200, 0), (0, 0, 200)
    gallery = Image.new("RGB", (30, 10))
    for number, colour in enumerate((red, green, blue)):
        gallery.paste(colour, (10 * number, 0, 10 * number + 10, 10))
    sources = Boxes(np.array([0, 10]), np.array([0, 10, 20, 30]))
    links = np.array([[0.1, 0.0, 0.9, 0.0], [0.2, 0.0, 0.1, 0.0], [0.1, 0.3, 0.0, 0.0]])
    pixels = np.asarray(rebuilt(BOXES, gallery, sources, links))
    assert pixels.shape == (10, 6, 3)
    for part, colour in (
        (pixels[:3, :4], green),
        (pixels[:3, 4:], blue),
        (pixels[3:, :4], red),
        # To the last patch nobody brings anything.
        (pixels[3:, 4:], (255, 255, 255)),
    ):
        assert (part == colour).all()
