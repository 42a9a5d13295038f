"""What a camera does to a picture: framing, light, colour, blur, noise, compression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import pi

import cv2
import numpy as np

from .identity import rng_of

CAMERAS = 6
HABITS = (0.0, pi, 0.5 * pi, -0.35 * pi, 0.75 * pi, -0.8 * pi)


@dataclass(frozen=True)
class Camera:
    """The lasting properties of one camera."""

    habit: float  # the direction in which most people walk, radians
    tilt: float  # how steeply it looks down
    size: float  # mean height of a body, fraction of the picture
    light: float  # where the light comes from, -1 left to +1 right
    gains: tuple[float, float, float]  # colour cast
    saturation: float
    gamma: float
    blur: float  # pixels of the finished picture
    noise: float  # standard deviation, grey levels
    quality: int  # of the JPEG that the camera sends


@lru_cache(maxsize=12)
def camera_of(seed: int, camera: int) -> Camera:
    """The properties of camera number `camera` (from 0) in the world of `seed`."""
    rng = rng_of(seed, "camera", camera)
    warmth, tint = rng.uniform(-0.14, 0.14), rng.uniform(-0.05, 0.05)
    return Camera(
        habit=HABITS[camera % CAMERAS],
        tilt=float(rng.uniform(0.0, 0.22)),
        size=float(rng.uniform(0.80, 0.88)),
        light=float(rng.uniform(-1, 1)),
        gains=(float(1 + warmth), float(1 + tint), float(1 - warmth)),
        saturation=float(rng.uniform(0.7, 1.15)),
        gamma=float(rng.uniform(0.8, 1.3)),
        blur=float(rng.uniform(0.0, 0.8)),
        noise=float(rng.uniform(2, 7)),
        quality=int(rng.integers(60, 92)),
    )


def take(
    image: np.ndarray, camera: Camera, rng: np.random.Generator, shape: tuple[int, int]
) -> np.ndarray:
    """Turn a drawn picture into one as the camera would deliver it.

    Args:
        image: (h, w, 3) float32 RGB, larger than the result.
        camera: its properties.
        rng: for what differs from picture to picture: exposure, shadows, noise.
        shape: (H, W) of the result.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    height, width = shape
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    if camera.blur > 0.2:
        small = cv2.GaussianBlur(small, (0, 0), camera.blur)
    # Light that falls off to one side, and the exposure of the moment.
    slope = camera.light * 0.12 + rng.normal(0, 0.05)
    across = 1 + slope * np.linspace(-1, 1, width, dtype=np.float32)
    small = small / 255 * (across * rng.uniform(0.85, 1.12))[None, :, None]
    grey = small.mean(axis=2, keepdims=True)
    small = grey + camera.saturation * (small - grey)
    small = np.clip(small * np.asarray(camera.gains, np.float32), 0, 1) ** camera.gamma
    noisy = small * 255 + camera.noise * rng.standard_normal(small.shape, np.float32)
    pixels = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    ok, code = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, camera.quality])
    if not ok:
        raise RuntimeError("OpenCV could not encode a JPEG: is its build complete?")
    sent = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))
    return np.ascontiguousarray(sent[..., ::-1])
