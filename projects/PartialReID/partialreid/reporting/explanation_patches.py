"""An image as the network saw it, and what is painted over its patches.

Shape shorthand: H x W cells of the map, R x S patches, h x w pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from ..matching.windows import Patches

FADED = 0.75  # how much white lies over what has faded


class Shown(NamedTuple):
    """One image of an explanation.

    Attributes:
        image: resized to the network's input, as the network saw it.
        patches: of its map.
        label: what it is called.
    """

    image: Image.Image
    patches: Patches
    label: str


class Boxes(NamedTuple):
    """Where patches lie in a picture, in pixels: edges of rows (R + 1) and of columns (S + 1)."""

    rows: np.ndarray
    columns: np.ndarray

    def centre(self, patch: int) -> tuple[float, float]:
        """x and y of the middle of a patch, counted row by row."""
        row, column = divmod(patch, len(self.columns) - 1)
        x, y = self.columns[column : column + 2].mean(), self.rows[row : row + 2].mean()
        return float(x), float(y)

    def box(self, patch: int) -> tuple[int, int, int, int]:
        """Left, upper, right and lower edge of a patch, counted row by row."""
        row, column = divmod(patch, len(self.columns) - 1)
        left, right = self.columns[column : column + 2]
        upper, lower = self.rows[row : row + 2]
        return int(left), int(upper), int(right), int(lower)

    def over_pixels(self, values: np.ndarray) -> np.ndarray:
        """Give each pixel the value of its patch: (R, S, ...) becomes (h, w, ...)."""
        down = np.repeat(values, np.diff(self.rows), axis=0)
        return np.repeat(down, np.diff(self.columns), axis=1)


def scaled(shown: Shown, scale: float) -> tuple[Image.Image, Boxes]:
    """An image at the scale of the picture, and where its patches are."""
    image = shown.image.convert("RGB")
    size = tuple(max(1, round(side * scale)) for side in image.size)
    sides = []
    for edges, side in ((shown.patches.rows, size[1]), (shown.patches.columns, size[0])):
        sides.append(np.rint(np.array(edges) * side / edges[-1]).astype(int))
    return image.resize((size[0], size[1]), Image.Resampling.BICUBIC), Boxes(*sides)


def painted(
    image: Image.Image, boxes: Boxes, colours: np.ndarray, strength: np.ndarray
) -> Image.Image:
    """An image, in colours or grey, with tinted patches.

    Args:
        image: of h x w pixels.
        boxes: its patches.
        colours: (R, S, 3) from 0 to 1, or one of them (3,).
        strength: (R, S), how much of the colours is seen, from 0 to 1.
    """
    every = np.broadcast_to(colours, (*strength.shape, 3))
    over = boxes.over_pixels(strength)[..., None]
    pixels = (1 - over) * np.asarray(image.convert("RGB")) + over * 255 * boxes.over_pixels(every)
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def faded(image: Image.Image, boxes: Boxes, how_far: np.ndarray) -> Image.Image:
    """An image whose patches fade towards white, as far as (R, S) says from 0 to 1."""
    return painted(image, boxes, np.ones(3), FADED * how_far)


def rebuilt(query: Boxes, gallery: Image.Image, boxes: Boxes, links: np.ndarray) -> Image.Image:
    """The query put together from the gallery patches that bring most to its own.

    Args:
        query: the query's patches.
        gallery: the gallery image.
        boxes: its patches.
        links: (L, P), how much each gallery patch brings to each of the query's.

    Returns:
        A picture of the query's size; white where nothing is brought.
    """
    size = int(query.columns[-1]), int(query.rows[-1])
    picture = Image.new("RGB", size, "white")
    for patch, source in enumerate(links.argmax(0).tolist()):
        left, upper, right, lower = query.box(patch)
        if links[source, patch] > 0 and right > left and lower > upper:
            piece = gallery.crop(boxes.box(source)).resize((right - left, lower - upper))
            picture.paste(piece, (left, upper))
    return picture
