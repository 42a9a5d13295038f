"""Six places where the cameras hang, drawn once each, wider than any single picture.

A picture is a window of its camera's scene, so the background tells the camera and the spot but
nothing about who walks there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

from .identity import rng_of

SCENE_HEIGHT, SCENE_WIDTH = 340, 960
HORIZON = 120  # row where the ground begins

Rng = np.random.Generator


def _tone(rng: Rng, low: int, high: int, tint: float = 14) -> tuple[float, float, float]:
    """A greyish colour with a slight tint."""
    r, g, b = rng.uniform(low, high) + rng.uniform(-tint, tint, 3)
    return float(r), float(g), float(b)


def _rect(image: np.ndarray, x: float, y: float, w: float, h: float, colour: tuple) -> None:
    cv2.rectangle(image, (int(x), int(y)), (int(x + w), int(y + h)), colour, -1)


def _ground(image: np.ndarray, rng: Rng, tile: int) -> None:
    """Paving: lines towards a vanishing point and rows that grow nearer."""
    base = _tone(rng, 110, 175)
    image[HORIZON:] = base
    line = tuple(0.82 * c for c in base)
    y = float(HORIZON)
    while tile and y < SCENE_HEIGHT:
        cv2.line(image, (0, int(y)), (SCENE_WIDTH, int(y)), line, 2)
        y += 8 + (y - HORIZON) * 0.22
    for x in range(-2 * SCENE_WIDTH, 3 * SCENE_WIDTH, tile or 10 * SCENE_WIDTH):
        cv2.line(
            image,
            (SCENE_WIDTH // 2 + (x - SCENE_WIDTH // 2) // 4, HORIZON),
            (x, SCENE_HEIGHT),
            line,
            2,
        )


def car(image: np.ndarray, x: float, y: float, w: float, colour: tuple) -> None:
    """A car from its side; (x, y) is its upper left corner, w its length, 0.4 w its height."""
    h = 0.4 * w
    cabin = np.array([(0.16, 0.5), (0.3, 0), (0.68, 0), (0.86, 0.5)]) * (w, h) + (x, y)
    body = np.array([(0, 0.46), (0.9, 0.44), (1, 0.55), (1, 0.86), (0, 0.86)]) * (w, h) + (x, y)
    glass = np.array([(0.22, 0.46), (0.33, 0.08), (0.65, 0.08), (0.78, 0.46)]) * (w, h) + (x, y)
    for shape, paint in ((cabin, colour), (body, colour), (glass, (70, 84, 96))):
        cv2.fillPoly(image, [shape.astype(np.int32)], paint)
    _rect(image, x + 0.49 * w, y + 0.04 * h, 0.02 * w, 0.42 * h, colour)
    _rect(image, x, y + 0.7 * h, w, 0.05 * h, tuple(0.75 * c for c in colour))
    for wheel in (0.2, 0.8):
        centre = (int(x + wheel * w), int(y + 0.84 * h))
        cv2.circle(image, centre, int(0.09 * w), (28, 28, 30), -1)
        cv2.circle(image, centre, int(0.05 * w), (140, 142, 146), -1)


def leaves(
    image: np.ndarray, rng: Rng, x: float, y: float, rx: float, ry: float, count: int
) -> None:
    """A bush or a tree's crown: overlapping blobs of green inside an ellipse, dark ones first."""
    for i in range(count):
        a, r = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random()) * 0.85
        centre = (int(x + rx * r * np.cos(a)), int(y + ry * r * np.sin(a)))
        g = 45 + 75 * i / count + rng.uniform(-14, 14)
        size = int(max(min(rx, ry) * rng.uniform(0.12, 0.3), 2))
        cv2.circle(image, centre, size, (0.55 * g, g, 0.45 * g), -1)


def _facade(image: np.ndarray, rng: Rng) -> None:
    image[:HORIZON] = _tone(rng, 120, 190, 25)
    for x in range(0, SCENE_WIDTH, 70):
        for y in (-10, 62):
            _rect(image, x + 12, y, 40, 44, (212, 210, 204))
            _rect(image, x + 16, y + 4, 32, 36, _tone(rng, 40, 120, 20))
    _ground(image, rng, 90)


def _park(image: np.ndarray, rng: Rng) -> None:
    image[:HORIZON] = (186, 204, 216)
    image[HORIZON:] = (104, 128, 70)
    for x in rng.uniform(0, SCENE_WIDTH, 16):
        _rect(image, x - 6, 50, 12, 90, (82, 64, 48))
        leaves(image, rng, x, 40, 60, 55, 36)
    _rect(image, 0, 215, SCENE_WIDTH, 90, (172, 160, 138))


def _brick(image: np.ndarray, rng: Rng) -> None:
    image[:] = (150, 128, 118)
    for row, y in enumerate(range(0, HORIZON + 40, 11)):
        for x in range(-(row % 2) * 14, SCENE_WIDTH, 28):
            r = rng.uniform(120, 175)
            _rect(image, x, y, 25, 8, (r, 0.58 * r, 0.48 * r))
    for x in rng.uniform(0, SCENE_WIDTH, 7):
        _rect(image, x, 20, 30, 42, _tone(rng, 60, 220, 60))
    ground = image[HORIZON + 40 :]
    ground[:] = _tone(rng, 100, 140)


def _shops(image: np.ndarray, rng: Rng) -> None:
    image[:HORIZON] = (90, 84, 82)
    for x in range(0, SCENE_WIDTH, 120):
        _rect(image, x, 0, 116, 28, _tone(rng, 60, 200, 70))
        _rect(image, x + 6, 32, 104, HORIZON - 30, _tone(rng, 150, 225, 20))
        for _ in range(9):
            x1, y1 = x + rng.uniform(8, 90), rng.uniform(40, HORIZON - 24)
            _rect(image, x1, y1, rng.uniform(8, 20), rng.uniform(8, 26), _tone(rng, 40, 210, 60))
    _ground(image, rng, 60)


def _car_park(image: np.ndarray, rng: Rng) -> None:
    image[:HORIZON] = (198, 206, 210)
    leaves(image, rng, 200, 60, 220, 50, 60)
    leaves(image, rng, 720, 70, 240, 45, 60)
    image[HORIZON:] = (92, 92, 96)
    for x in range(-40, SCENE_WIDTH, 170):
        car(image, x + rng.uniform(0, 30), 84, rng.uniform(130, 160), _tone(rng, 50, 210, 50))
        cv2.line(image, (x, 160), (x - 60, SCENE_HEIGHT), (206, 204, 198), 5)


def _hall(image: np.ndarray, rng: Rng) -> None:
    image[:HORIZON] = _tone(rng, 170, 205)
    _ground(image, rng, 120)
    image[HORIZON:] = image[HORIZON:] * 0.9 + 18
    for x in range(30, SCENE_WIDTH, 150):
        _rect(image, x, 0, 34, HORIZON + 50, _tone(rng, 120, 160))
        _rect(image, x + 60, 24, 46, HORIZON - 24, _tone(rng, 70, 150, 30))
        _rect(image, x + 112, 40, 24, 34, _tone(rng, 60, 220, 70))


PLACES: tuple[Callable[[np.ndarray, Rng], None], ...] = (
    _facade,
    _park,
    _brick,
    _shops,
    _car_park,
    _hall,
)


@lru_cache(maxsize=12)
def scene(seed: int, camera: int) -> np.ndarray:
    """The whole scene of a camera, (SCENE_HEIGHT, SCENE_WIDTH, 3) float32 RGB, read-only."""
    rng = rng_of(seed, "scene", camera)
    image = np.empty((SCENE_HEIGHT, SCENE_WIDTH, 3), np.float32)
    PLACES[camera % len(PLACES)](image, rng)
    for size in (8, 60):  # grain and stains
        coarse = rng.normal(0, 7, (SCENE_HEIGHT // size + 1, SCENE_WIDTH // size + 1)).astype(
            np.float32
        )
        image += cv2.resize(coarse, (SCENE_WIDTH, SCENE_HEIGHT), interpolation=cv2.INTER_CUBIC)[
            ..., None
        ]
    np.clip(image, 0, 255, out=image)
    image.setflags(write=False)
    return image


def window(seed: int, camera: int, rng: Rng, height: int, width: int) -> np.ndarray:
    """A random window of a camera's scene, (height, width, 3) float32, mirrored or not."""
    whole = scene(seed, camera)
    zoom = rng.uniform(0.85, 1.25)
    h, w = min(int(height * zoom), SCENE_HEIGHT), int(width * zoom)
    y, x = int(rng.integers(SCENE_HEIGHT - h + 1)), int(rng.integers(SCENE_WIDTH - w + 1))
    part = whole[y : y + h, x : x + w]
    part = part[:, ::-1] if rng.random() < 0.5 else part
    image = cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=cv2.INTER_LINEAR)
    # Behind the person the lens is not quite sharp.
    return cv2.GaussianBlur(image, (0, 0), 1.2)
