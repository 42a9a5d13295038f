"""What a pedestrian is drawn with: shaded, textured body parts with soft edges.

Two shapes are enough: a *capsule* (a limb between two joints) and a *loft* (a stack of elliptical
cross-sections: torso, skirt, head, backpack). Both hand their texture the place on the surface:
u in [-1, 1] across as seen, v in [0, 1] along.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# (u, v) -> RGB; arrays of shape (h, w) in, (h, w, 3) or (3,) out.
Texture = Callable[[np.ndarray, np.ndarray], np.ndarray]
Point = tuple[float, float]


def plain(colour: Sequence[float]) -> Texture:
    """The texture of one colour."""
    rgb = np.asarray(colour, np.float32)
    return lambda u, v: rgb


def _limit(values: np.ndarray, low: float, high: float) -> np.ndarray:
    # np.clip spends most of its time on checks for arrays as small as these.
    return np.minimum(np.maximum(values, low), high)


@dataclass
class Canvas:
    """An RGB picture in progress.

    Attributes:
        image: (H, W, 3) float32 in 0..255, drawn upon in place.
        mask: (H, W) float32 in 0..1, coverage by what was drawn.
        light: -1 (from the left) to +1 (from the right).
    """

    image: np.ndarray
    mask: np.ndarray
    light: float = 0.0

    @classmethod
    def over(cls, image: np.ndarray, light: float = 0.0) -> Canvas:
        """A canvas with nothing drawn yet over a background."""
        return cls(image, np.zeros(image.shape[:2], np.float32), light)

    def _region(self, x0: float, y0: float, x1: float, y1: float) -> tuple[slice, slice] | None:
        height, width = self.mask.shape
        rows = slice(max(int(np.floor(y0)) - 1, 0), min(int(np.ceil(y1)) + 2, height))
        cols = slice(max(int(np.floor(x0)) - 1, 0), min(int(np.ceil(x1)) + 2, width))
        return (rows, cols) if rows.start < rows.stop and cols.start < cols.stop else None

    @staticmethod
    def _grid(region: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
        rows, cols = region
        y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
        return y, np.arange(cols.start, cols.stop, dtype=np.float32)[None]

    def _blend(
        self,
        region: tuple[slice, slice],
        alpha: np.ndarray,
        u: np.ndarray,
        v: np.ndarray,
        texture: Texture,
    ) -> None:
        # Surfaces that turn away from the viewer are darker, those towards the light brighter.
        shade = 1.04 - 0.30 * u * u + 0.14 * self.light * u
        colour = texture(u, v) * shade[..., None]
        part = self.image[region]
        part += alpha[..., None] * (colour - part)
        np.maximum(self.mask[region], alpha, out=self.mask[region])

    def capsule(self, p: Point, q: Point, rp: float, rq: float, texture: Texture) -> None:
        """Draw a limb from p to q (x, y in pixels) whose radius goes from rp to rq."""
        r = max(rp, rq)
        region = self._region(
            min(p[0], q[0]) - r, min(p[1], q[1]) - r, max(p[0], q[0]) + r, max(p[1], q[1]) + r
        )
        if region is None:
            return
        y, x = self._grid(region)
        dx, dy = q[0] - p[0], q[1] - p[1]
        length = max(float(np.hypot(dx, dy)), 1e-3)
        x, y = x - p[0], y - p[1]
        v = _limit((x * dx + y * dy) / length**2, 0, 1)
        radius = rp + (rq - rp) * v
        away = np.hypot(x - v * dx, y - v * dy)
        # A limb that hangs down has positive u on the right.
        u = _limit((x * dy - y * dx) / (length * radius), -1, 1)
        self._blend(region, _limit(radius - away + 0.5, 0, 1), u, v, texture)

    def loft(
        self,
        ys: Sequence[float],
        centres: Sequence[float] | float,
        halves: Sequence[float],
        texture: Texture,
    ) -> None:
        """Draw stacked cross-sections.

        Args:
            ys: rising rows of the knots, in pixels.
            centres: the x of each knot, or one for all.
            halves: the half width of each knot.
            texture: v runs from the first to the last knot.
        """
        xs = np.broadcast_to(np.asarray(centres, float), (len(ys),))
        half_max = max(halves)
        region = self._region(xs.min() - half_max, ys[0], xs.max() + half_max, ys[-1])
        if region is None:
            return
        y, x = self._grid(region)
        half = np.maximum(np.interp(y, ys, halves), 1e-3).astype(np.float32)
        offset = x - np.interp(y, ys, xs).astype(np.float32)
        ends = _limit(y - ys[0] + 0.5, 0, 1) * _limit(ys[-1] - y + 0.5, 0, 1)
        alpha = _limit(half - np.abs(offset) + 0.5, 0, 1) * ends
        v = _limit((y - ys[0]) / max(ys[-1] - ys[0], 1e-3), 0, 1)
        v = np.broadcast_to(v, offset.shape)
        self._blend(region, alpha, _limit(offset / half, -1, 1), v, texture)

    def ellipse(self, centre: Point, rx: float, ry: float, texture: Texture) -> None:
        """Draw an upright ellipse as a loft."""
        v = np.linspace(-1, 1, 13)
        ys = (centre[1] + ry * v).tolist()
        self.loft(ys, centre[0], (rx * np.sqrt(1 - v * v)).tolist(), texture)
