"""Outlines and textures of drawn occluders, in two families that share nothing.

`TESTING` is what derived test sets hide their queries with, `TRAINING` what the augmentation draws.
A network that has learned the look of its training occluders then gains nothing at test time:
neither a form nor a texture of one family is in the other.

An outline is a field (H, W): the object is where the field is lowest, so that cutting it at the
k-th lowest value gives an object of exactly k pixels. A texture is (H, W, 3) in 0..255. Only
additions, products, quotients and comparisons make them, whose results are the same everywhere.

The numbers in the forms and textures are the drawing itself. They are no config keys: one name of a
set would then mean several sets of pictures, and "shapes" in a training several augmentations.
`derived.hidden.DRAWING_VERSION` counts the changes of what tests are made with.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .random_numbers import Rng, between, pick

Form = Callable[[Rng, int, int], np.ndarray]
Texture = Callable[[Rng, int, int], np.ndarray]


def _direction(rng: Rng, most: float = 1.0) -> tuple[float, float]:
    """A unit vector (x, y) turned from the x axis by at most 90 degrees (most = 1) either way."""
    t = between(rng, -most, most)
    return (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)


def _offsets(height: int, width: int, x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixel centres seen from the point (x, y), given in 0..1; the unit is the mean side."""
    unit = math.sqrt(height * width)
    dy = (np.arange(height)[:, None] + 0.5 - y * height) / unit
    dx = (np.arange(width)[None, :] + 0.5 - x * width) / unit
    return np.broadcast_to(dx, (height, width)), np.broadcast_to(dy, (height, width))


def _turned(dx: np.ndarray, dy: np.ndarray, c: float, s: float) -> tuple[np.ndarray, np.ndarray]:
    return c * dx + s * dy, c * dy - s * dx


def _box(rng: Rng, height: int, width: int) -> np.ndarray:
    """A box that stands on the ground."""
    dx, dy = _offsets(height, width, between(rng, 0.15, 0.85), 1.0)
    return np.maximum(np.abs(dx) / between(rng, 0.3, 1.0), -dy)


def _board(rng: Rng, height: int, width: int) -> np.ndarray:
    """A board on a post, a little askew."""
    dx, dy = _offsets(height, width, between(rng, 0.25, 0.75), between(rng, 0.2, 0.7))
    u, v = _turned(dx, dy, *_direction(rng, 0.12))
    half = between(rng, 0.6, 1.5)
    board = np.maximum(np.abs(u) / half, np.abs(v))
    post = np.where(v > 0, np.abs(u) / (0.12 * half), np.inf)
    return np.minimum(board, post)


def _pole(rng: Rng, height: int, width: int) -> np.ndarray:
    """A pole or pillar over the full height."""
    dx, dy = _offsets(height, width, between(rng, 0.2, 0.8), 0.5)
    return np.abs(dx + between(rng, -0.08, 0.08) * dy)


def _ellipse(rng: Rng, height: int, width: int) -> np.ndarray:
    dx, dy = _offsets(height, width, between(rng, 0.0, 1.0), between(rng, 0.0, 1.0))
    u, v = _turned(dx, dy, *_direction(rng))
    ratio = between(rng, 0.45, 1.0)
    return (u / ratio) ** 2 + v**2


def _polygon(rng: Rng, height: int, width: int) -> np.ndarray:
    """A convex polygon of up to seven sides: where all of its half-planes overlap."""
    dx, dy = _offsets(height, width, between(rng, 0.0, 1.0), between(rng, 0.0, 1.0))
    field = np.maximum(np.abs(dx), np.abs(dy)) / 2
    for side in (1, -1, 1, -1, 1, -1, 1):
        c, s = _direction(rng)
        field = np.maximum(field, side * (c * dx + s * dy) / between(rng, 0.5, 1.0))
    return field


def _slope(rng: Rng, height: int, width: int) -> np.ndarray:
    """One straight edge, whatever lies beyond it hidden: a ramp, a roof, a wall."""
    dx, dy = _offsets(height, width, 0.5, 0.5)
    c, s = _direction(rng)
    return pick(rng, (1.0, -1.0)) * (c * dx + s * dy)


def _colours(rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """Two colours that are told apart: the second is the first moved by half the scale."""
    first = rng.random(3)
    second = (first + 0.3 + 0.4 * rng.random(3)) % 1.0
    return 20 + 215 * first, 20 + 215 * second


def _mix(weight: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return first + weight[..., None] * (second - first)


def _gradient(rng: Rng, height: int, width: int) -> np.ndarray:
    dx, dy = _offsets(height, width, 0.5, 0.5)
    ramp, _ = _turned(dx, dy, *_direction(rng))
    ramp = (ramp - ramp.min()) / max(float(ramp.max() - ramp.min()), 1e-9)
    return _mix(ramp, *_colours(rng))


def _stripes(rng: Rng, height: int, width: int) -> np.ndarray:
    dx, dy = _offsets(height, width, 0.5, 0.5)
    across, _ = _turned(dx, dy, *_direction(rng))
    bands = np.floor(across / between(rng, 0.06, 0.2) + between(rng, 0, 2)) % 2
    return _mix(bands, *_colours(rng))


def _noise(rng: Rng, height: int, width: int) -> np.ndarray:
    """Soft blots: values on a coarse grid, linear between its points."""
    rows, columns = 7, 5
    grid = rng.random((rows, columns))
    y = np.arange(height) * ((rows - 1) / max(height - 1, 1))
    x = np.arange(width) * ((columns - 1) / max(width - 1, 1))
    top = np.minimum(y.astype(int), rows - 2)
    left = np.minimum(x.astype(int), columns - 2)
    b, a = (y - top)[:, None], (x - left)[None, :]
    upper = (1 - a) * grid[top][:, left] + a * grid[top][:, left + 1]
    lower = (1 - a) * grid[top + 1][:, left] + a * grid[top + 1][:, left + 1]
    return _mix((1 - b) * upper + b * lower, *_colours(rng))


def _checks(rng: Rng, height: int, width: int) -> np.ndarray:
    dx, dy = _offsets(height, width, between(rng, 0, 1), between(rng, 0, 1))
    u, v = _turned(dx, dy, *_direction(rng))
    side = between(rng, 0.08, 0.25)
    return _mix((np.floor(u / side) + np.floor(v / side)) % 2, *_colours(rng))


def _dots(rng: Rng, height: int, width: int) -> np.ndarray:
    dx, dy = _offsets(height, width, between(rng, 0, 1), between(rng, 0, 1))
    step = between(rng, 0.1, 0.25)
    u, v = dx / step % 1 - 0.5, dy / step % 1 - 0.5
    return _mix((u * u + v * v < between(rng, 0.05, 0.15)).astype(float), *_colours(rng))


def _speckle(rng: Rng, height: int, width: int) -> np.ndarray:
    """One colour with grain, pixel by pixel."""
    grain = between(rng, 10, 60) * (rng.random((height, width)) - 0.5)
    return np.clip(_colours(rng)[0] + grain[..., None], 0, 255)


class Family(NamedTuple):
    """The forms and textures that occluders of one purpose are drawn from."""

    forms: tuple[Form, ...]
    textures: tuple[Texture, ...]


TESTING = Family((_box, _board, _pole), (_gradient, _stripes, _noise))
TRAINING = Family((_ellipse, _polygon, _slope), (_checks, _dots, _speckle))
