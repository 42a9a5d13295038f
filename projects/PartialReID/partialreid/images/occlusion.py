"""Hiding part of an image behind an object, and saying which pixels are still to be seen.

Pure: arrays in, arrays out. An occluder is drawn ("shapes", see `occluder_shapes`) or is a part of
another image that comes in from a side ("pieces"). Its area is set, not its size: of all pixels in
the order in which a growing object would reach them, the first k are hidden, so the covered share
is in the asked range for every form, place and image.

The look of an occluder is no setting, in tests or in training: forms, textures and the numbers
below are the definition of what is drawn, and another drawing is another augmentation or another
test set. Kind, share and probability are keys.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from .occluder_shapes import Family
from .random_numbers import Rng, between, pick

KINDS = ("shapes", "pieces")
SIDES = ("bottom", "left", "right", "top")
# What a piece looks like. Derived sets are made with these numbers, and a change of them must raise
# `derived.hidden.DRAWING_VERSION`. Where along its side a piece comes in, and its half width, both
# as shares of that side:
MIDDLE, HALF_WIDTH = (0.3, 0.7), (0.6, 1.6)
# How much of the other image is enlarged to the piece's size, as share of each side.
TAKEN = (0.6, 1.0)


class Occluded(NamedTuple):
    """An image with something in front of it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        visible: (H, W) bool, True where `image` still shows what it showed before.
    """

    image: np.ndarray
    visible: np.ndarray


def check_share(share: Sequence[float]) -> tuple[float, float]:
    """The two ends of a range of shares, checked.

    Raises:
        ValueError: it is not 0 < low <= high < 1.
    """
    if len(share) != 2 or not 0 < share[0] <= share[1] < 1:
        raise ValueError(
            f"a covered share from low to high, 0 < low <= high < 1, is needed, not {share}"
        )
    return float(share[0]), float(share[1])


def hidden_count(rng: Rng, share: Sequence[float], size: int) -> int:
    """Draw how many of `size` pixels are hidden.

    Raises:
        ValueError: a share that no number of pixels makes up.
    """
    low, high = check_share(share)
    fewest, most = math.ceil(low * size), math.floor(high * size)
    if fewest > most:
        raise ValueError(
            f"no whole number of {size} pixels is a share from {low:g} to {high:g}: widen the range"
        )
    return min(max(round(between(rng, low, high) * size), fewest), most)


def lowest(field: np.ndarray, count: int) -> np.ndarray:
    """(H, W) bool, True at the `count` lowest values; of equal ones the first are taken."""
    flat = field.ravel()
    edge = np.partition(flat, count - 1)[count - 1]
    inside = flat < edge
    ties = np.flatnonzero(flat == edge)
    inside[ties[: count - int(inside.sum())]] = True
    return inside.reshape(field.shape)


def image_size(image: np.ndarray) -> tuple[int, int]:
    """Height and width of an image (H, W, 3) of uint8.

    Raises:
        ValueError: another array.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"an image (H, W, 3) of uint8 is needed, not {image.shape} of {image.dtype}"
        )
    return image.shape[0], image.shape[1]


def hide_behind_shape(
    image: np.ndarray, rng: Rng, share: Sequence[float], family: Family
) -> Occluded:
    """Draw an object over an image.

    Args:
        image: (H, W, 3) uint8 RGB, left as it is.
        rng: where form, place, size and texture come from.
        share: least and greatest fraction of the image that is covered.
        family: the forms and textures to choose from.

    Returns:
        The image behind the object, and what is still visible of it.

    Raises:
        ValueError: another array, or a share that no number of pixels makes up.
    """
    height, width = image_size(image)
    count = hidden_count(rng, share, height * width)
    hidden = lowest(pick(rng, family.forms)(rng, height, width), count)
    texture = pick(rng, family.textures)(rng, height, width)
    out = image.copy()
    # Whole numbers from texture to pixel, so that the last bit of a product decides nothing.
    out[hidden] = np.clip(np.floor(texture[hidden] + 0.5), 0, 255).astype(np.uint8)
    return Occluded(out, ~hidden)


def _from_side(rng: Rng, side: str, height: int, width: int) -> np.ndarray:
    """Field (H, W) of something with round corners that comes in from a side."""
    y, x = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    depth, along = {
        "bottom": (1 - y[:, None], x[None, :]),
        "top": (y[:, None], x[None, :]),
        "left": (x[None, :], y[:, None]),
        "right": (1 - x[None, :], y[:, None]),
    }[side]
    middle, half = between(rng, *MIDDLE), between(rng, *HALF_WIDTH)
    deep, wide = depth * depth, (along - middle) * (along - middle) / (half * half)
    return deep * deep + wide * wide


def hide_behind_piece(
    image: np.ndarray, other: np.ndarray, rng: Rng, share: Sequence[float]
) -> Occluded:
    """Put a part of another image before an image, coming in from one of its sides.

    The part is somewhat enlarged, as something nearer to the camera is.

    Args:
        image: (H, W, 3) uint8 RGB, left as it is.
        other: image of any size that the part is cut from.
        rng: where side, outline, size and part come from.
        share: least and greatest fraction of the image that is covered.

    Returns:
        The image behind the part, and what is still visible of it.

    Raises:
        ValueError: other arrays, or a share that no number of pixels makes up.
    """
    height, width = image_size(image)
    other_height, other_width = image_size(other)
    count = hidden_count(rng, share, height * width)
    hidden = lowest(_from_side(rng, pick(rng, SIDES), height, width), count)

    rows, columns = (np.flatnonzero(hidden.any(axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    size = (int(right - left), int(bottom - top))
    enlarged = between(rng, *TAKEN)
    part_width = max(1, round(other_width * enlarged * size[0] / width))
    part_height = max(1, round(other_height * enlarged * size[1] / height))
    x = int(rng.random() * (other_width - part_width + 1))
    y = int(rng.random() * (other_height - part_height + 1))
    part = Image.fromarray(other).crop((x, y, x + part_width, y + part_height))
    if rng.random() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    piece = np.asarray(part.resize(size, Image.Resampling.BILINEAR))

    out = image.copy()
    inside = hidden[top:bottom, left:right]
    out[top:bottom, left:right][inside] = piece[inside]
    return Occluded(out, ~hidden)
