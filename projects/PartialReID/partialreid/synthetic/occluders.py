"""Things that stand between the camera and a person."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from .canvas import Canvas
from .drawing import draw_pedestrian, sample_pose
from .identity import sample_identity
from .scene import car, leaves

Rng = np.random.Generator
# (layer, rng, amount): paint onto the layer so that about `amount` of the picture is covered.
Painter = Callable[[np.ndarray, Rng, float], None]

# A layer is (H, W, 3) float32, negative where nothing was painted.
EMPTY = -1.0


def _colour(rng: Rng, low: int = 40, high: int = 215) -> tuple[float, float, float]:
    r, g, b = rng.uniform(low, high, 3)
    return float(r), float(g), float(b)


def _car(layer: np.ndarray, rng: Rng, amount: float) -> None:
    h, w = layer.shape[:2]
    length = 1.45 * amount * h / 0.4
    # Parked before the person; its roof line hides the legs and sometimes the waist.
    car(
        layer,
        rng.uniform(w - 0.85 * length, -0.15 * length),
        h * (1 - amount * 1.15),
        length,
        _colour(rng),
    )


def _bush(layer: np.ndarray, rng: Rng, amount: float) -> None:
    h, w = layer.shape[:2]
    for x in (0.15, 0.5, 0.85):
        leaves(
            layer,
            rng,
            w * (x + rng.uniform(-0.1, 0.1)),
            h * (1.02 - 0.4 * amount),
            0.4 * w,
            0.62 * amount * h,
            70,
        )


def _pole(layer: np.ndarray, rng: Rng, amount: float) -> None:
    h, w = layer.shape[:2]
    wide, tone = w * max(0.55 * amount, 0.16), rng.uniform(60, 170)
    x = w * rng.uniform(0.36, 0.64) - wide / 2
    steps = 8
    for i in range(steps):
        # Round: bright in the middle, dark at its edges.
        shade = tone * (1 - 0.4 * abs(2 * (i + 0.5) / steps - 1))
        left = int(x + wide * i / steps)
        cv2.rectangle(
            layer, (left, 0), (int(x + wide * (i + 1) / steps), h), (shade, shade, shade * 0.96), -1
        )


def _umbrella(layer: np.ndarray, rng: Rng, amount: float) -> None:
    h, w = layer.shape[:2]
    centre = (int(w * rng.uniform(0.35, 0.65)), int(h * (0.12 + 0.75 * amount)))
    axes = (int(w * rng.uniform(0.5, 0.62)), int(h * (0.12 + 0.75 * amount)))
    first, second = _colour(rng), _colour(rng)
    cv2.ellipse(layer, centre, axes, 0, 180, 360, first, -1)
    for k in (-0.5, 0.5):
        middle = (int(centre[0] + k * axes[0]), centre[1])
        cv2.ellipse(layer, middle, (axes[0] // 5, int(axes[1] * 0.8)), 0, 180, 360, second, -1)
    cv2.line(layer, centre, (centre[0], int(centre[1] + 0.3 * h)), (60, 58, 56), 3)


def _box(layer: np.ndarray, rng: Rng, amount: float) -> None:
    h, w = layer.shape[:2]
    tone = rng.uniform(120, 190)
    wide, x, y = w * rng.uniform(0.7, 1.0), w * rng.uniform(-0.1, 0.35), h * (1 - 1.1 * amount)
    x, card = min(x, w * 0.3), (tone, 0.76 * tone, 0.52 * tone)
    cv2.rectangle(layer, (int(x), int(y)), (int(x + wide), h), card, -1)
    lid = tuple(1.12 * c for c in card)
    cv2.rectangle(layer, (int(x), int(y)), (int(x + wide), int(y + 0.06 * h)), lid, -1)
    cv2.rectangle(
        layer, (int(x + 0.44 * wide), int(y)), (int(x + 0.56 * wide), h), (206, 190, 150), -1
    )


def _sign(layer: np.ndarray, rng: Rng, amount: float) -> None:
    h, w = layer.shape[:2]
    tall, y = h * amount, h * rng.uniform(0.15, 0.85 - amount)
    x, wide = w * rng.uniform(-0.05, 0.2), w * rng.uniform(0.7, 0.95)
    board, ink = _colour(rng), _colour(rng)
    cv2.rectangle(
        layer, (int(x + 0.46 * wide), int(y)), (int(x + 0.54 * wide), h), (92, 92, 96), -1
    )
    cv2.rectangle(layer, (int(x), int(y)), (int(x + wide), int(y + tall)), board, -1)
    for row in np.arange(0.2, 0.85, 0.2):
        end = x + wide * rng.uniform(0.5, 0.9)
        cv2.rectangle(
            layer,
            (int(x + 0.1 * wide), int(y + row * tall)),
            (int(end), int(y + (row + 0.08) * tall)),
            ink,
            -1,
        )


def _passer_by(layer: np.ndarray, rng: Rng, amount: float) -> None:
    h, w = layer.shape[:2]
    stranger = sample_identity(rng)
    shift = rng.choice((-1, 1)) * w * (0.52 - 0.55 * amount)
    height = h * rng.uniform(1.05, 1.3)
    box = (w / 2 + float(shift), h * rng.uniform(-0.05, 0.12), float(height))
    painted = Canvas.over(np.maximum(layer, 0))
    draw_pedestrian(painted, stranger, sample_pose(rng, float(rng.uniform(-np.pi, np.pi)), box))
    inside = painted.mask > 0.5
    layer[inside] = painted.image[inside]


OCCLUDERS: dict[str, Painter] = {
    "car": _car,
    "bush": _bush,
    "pole": _pole,
    "umbrella": _umbrella,
    "box": _box,
    "sign": _sign,
    "passer-by": _passer_by,
}


def paint_occluder(
    kind: str, shape: tuple[int, int], rng: Rng, amount: float
) -> tuple[np.ndarray, np.ndarray]:
    """Paint one object that hides part of a picture.

    Args:
        kind: a key of `OCCLUDERS`.
        shape: (H, W) of the picture, pixels.
        rng: where its form comes from.
        amount: how large it is, about the fraction of the picture it covers.

    Returns:
        The object (H, W, 3) float32 RGB and its mask (H, W) bool.
    """
    layer = np.full((*shape, 3), EMPTY, np.float32)
    OCCLUDERS[kind](layer, rng, amount)
    inside = layer[..., 0] >= 0
    coarse = rng.normal(0, 9, (shape[0] // 10 + 1, shape[1] // 10 + 1)).astype(np.float32)
    layer += cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_LINEAR)[..., None]
    return np.clip(layer, 0, 255), inside
