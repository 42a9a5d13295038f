"""One picture of `SyntheticPartial` from its address: (seed, identity, camera, shot).

Every picture has a generator of its own, so it is the same whatever was drawn before it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from .camera import camera_of, take
from .canvas import Canvas
from .drawing import draw_pedestrian, facing, sample_pose
from .identity import Identity, rng_of, sample_identity
from .occluders import OCCLUDERS, paint_occluder
from .scene import window

HEIGHT, WIDTH = 128, 64
# Drawn at twice the size: averaging down makes the edges soft.
FINE = 2
CUTS = ("top", "bottom", "left", "right")
# How much of the body's height or width a cut takes, and of its area an object hides.
CUT_RANGE = (0.3, 0.5)
HIDDEN_RANGE = (0.25, 0.6)
TRIES = 12

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class PartialQuery:
    """A query and what is missing in it; boxes are (x0, y0, x1, y1) pixels of the whole picture.

    Attributes:
        image: (h, w, 3) uint8 RGB as stored: smaller than the whole picture if it was cut.
        kind: "cut" or "hidden".
        what: the side that was cut away, or the object in front.
        kept: what of the whole picture is stored.
        missing: the box that was cut away or that the object covers.
        visible: fraction of the body's pixels that can still be seen.
    """

    image: np.ndarray
    kind: str
    what: str
    kept: Box
    missing: Box
    visible: float


@lru_cache(maxsize=256)
def identity_of(seed: int, number: int) -> Identity:
    """The person with this number in the world of `seed`."""
    return sample_identity(rng_of(seed, "identity", number))


def _drawn(seed: int, number: int, camera: int, shot: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture before the camera, (FINE H, FINE W, 3), and the body's mask."""
    rng = rng_of(seed, "picture", number, camera, shot)
    style = camera_of(seed, camera)
    high, wide = FINE * HEIGHT, FINE * WIDTH
    image = window(seed, camera, rng, high, wide)
    if rng.random() < 0.25:
        # Somebody else further away, beside the person: backgrounds hold clothes, too.
        far = high * rng.uniform(0.3, 0.5)
        box = (
            float(rng.choice((0.1, 0.9)) * wide),
            float(rng.uniform(0.1, 0.35) * high),
            float(far),
        )
        stranger = sample_identity(rng)
        draw_pedestrian(Canvas.over(image), stranger, sample_pose(rng, facing(rng, 0.0), box))

    # Detections are loose: the body is neither centred nor of one size.
    body = high * style.size * rng.uniform(0.93, 1.06)
    top = (high - body) * rng.uniform(0.2, 0.8)
    centre = wide * rng.normal(0.5, 0.05)
    canvas = Canvas.over(image, style.light)
    across = np.exp(-(((np.arange(wide) - centre) / (0.2 * wide)) ** 2))
    along = np.exp(-(((np.arange(high) - top - 0.98 * body) / (0.03 * high)) ** 2))
    shadow = np.outer(along, across).astype(np.float32)
    image *= 1 - 0.45 * shadow[..., None]
    pose = sample_pose(rng, facing(rng, style.habit), (float(centre), float(top), float(body)))
    draw_pedestrian(canvas, identity_of(seed, number), replace(pose, tilt=style.tilt))
    return image, canvas.mask


def _taken(image: np.ndarray, seed: int, number: int, camera: int, shot: int) -> np.ndarray:
    rng = rng_of(seed, "sensor", number, camera, shot)
    return take(image, camera_of(seed, camera), rng, (HEIGHT, WIDTH))


def whole_image(seed: int, number: int, camera: int, shot: int) -> np.ndarray:
    """A whole-body picture, (HEIGHT, WIDTH, 3) uint8 RGB."""
    image, _ = _drawn(seed, number, camera, shot)
    return _taken(image, seed, number, camera, shot)


def _window_box(inside: np.ndarray) -> Box:
    """The smallest box around a mask, in pixels of the finished picture."""
    rows, cols = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    x0, y0, x1, y1 = (int(edge) for edge in (cols[0], rows[0], cols[-1], rows[-1]))
    return x0 // FINE, y0 // FINE, x1 // FINE + 1, y1 // FINE + 1


def cut_query(seed: int, number: int, camera: int, shot: int) -> PartialQuery:
    """A picture of which one side was cut away; it is stored as cut."""
    rng = rng_of(seed, "cut", number, camera, shot)
    what = CUTS[int(rng.integers(len(CUTS)))]
    drawn, mask = _drawn(seed, number, camera, shot)
    # The share is of the body, not of the picture: every cut takes something of the person.
    left, upper, right, lower = _window_box(mask > 0.5)
    share = rng.uniform(*CUT_RANGE)
    x = round(right - share * (right - left) if what == "right" else left + share * (right - left))
    y = round(
        lower - share * (lower - upper) if what == "bottom" else upper + share * (lower - upper)
    )
    first: Box = (0, 0, WIDTH, y) if what in ("top", "bottom") else (0, 0, x, HEIGHT)
    second: Box = (0, y, WIDTH, HEIGHT) if what in ("top", "bottom") else (x, 0, WIDTH, HEIGHT)
    kept, missing = (first, second) if what in ("bottom", "right") else (second, first)
    x0, y0, x1, y1 = kept
    inside = mask[FINE * y0 : FINE * y1, FINE * x0 : FINE * x1]
    whole = _taken(drawn, seed, number, camera, shot)
    image = np.ascontiguousarray(whole[y0:y1, x0:x1])
    return PartialQuery(image, "cut", what, kept, missing, float(inside.sum() / mask.sum()))


def hidden_query(seed: int, number: int, camera: int, shot: int) -> PartialQuery:
    """A picture with an object in front of the person."""
    rng = rng_of(seed, "hidden", number, camera, shot)
    image, mask = _drawn(seed, number, camera, shot)
    what = sorted(OCCLUDERS)[int(rng.integers(len(OCCLUDERS)))]
    low, high = HIDDEN_RANGE
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    for _ in range(TRIES):
        layer, inside = paint_occluder(what, mask.shape, rng, float(rng.uniform(low, high)))
        excess = abs(mask[inside].sum() / mask.sum() - (low + high) / 2)
        if best is None or excess < best[0]:
            best = float(excess), layer, inside
        if excess <= (high - low) / 2:
            break
    assert best is not None  # TRIES is positive
    _, layer, inside = best
    image[inside] = layer[inside]
    picture = _taken(image, seed, number, camera, shot)
    visible = 1 - float(mask[inside].sum() / mask.sum())
    return PartialQuery(
        picture, "hidden", what, (0, 0, WIDTH, HEIGHT), _window_box(inside), visible
    )
