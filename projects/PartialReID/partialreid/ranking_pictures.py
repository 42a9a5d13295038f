"""Pictures of ranked lists: the query, then the gallery by distance, right and wrong marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .image_reading import read_image

TILE = (64, 128)  # width, height of an image in the picture
BORDER = 4
GAP = 6
LABEL_WIDTH = 104
QUERY, RIGHT, WRONG = (40, 90, 200), (30, 150, 60), (200, 40, 40)


class Row(NamedTuple):
    """One ranked list.

    Attributes:
        label: text before the list, such as the name of the distance.
        query: path of the query image.
        gallery: paths of the gallery images, nearest first.
        right: for each of them whether it shows the query's identity.
        distances: their distances.
    """

    label: str
    query: str
    gallery: Sequence[str]
    right: Sequence[bool]
    distances: Sequence[float]


def ranked_row(
    label: str,
    query: tuple[str, int, int],
    gallery: Sequence[tuple[str, int, int]],
    distances: np.ndarray,
    length: int,
) -> Row:
    """The `length` nearest gallery images of a query, without those that the protocol drops.

    Args:
        label: text before the list.
        query: path, identity and camera.
        gallery: paths, identities and cameras, G of them.
        distances: (G,).
        length: of the list.
    """
    order = np.argsort(distances, kind="stable")
    kept = [i for i in order if gallery[i][1:] != query[1:]][:length]
    return Row(
        label,
        query[0],
        [gallery[i][0] for i in kept],
        [gallery[i][1] == query[1] for i in kept],
        [float(distances[i]) for i in kept],
    )


def _tile(path: str, colour: tuple[int, int, int]) -> Image.Image:
    """An image fitted into a tile without changing its proportions, inside a coloured border."""
    image = read_image(path)
    scale = min(TILE[0] / image.width, TILE[1] / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    tile = Image.new("RGB", (TILE[0] + 2 * BORDER, TILE[1] + 2 * BORDER), colour)
    tile.paste((235, 235, 235), (BORDER, BORDER, BORDER + TILE[0], BORDER + TILE[1]))
    place = (BORDER + (TILE[0] - size[0]) // 2, BORDER + (TILE[1] - size[1]) // 2)
    tile.paste(image.resize(size, Image.Resampling.BICUBIC), place)
    return tile


def draw_rows(rows: Sequence[Row]) -> Image.Image:
    """One picture of several ranked lists: blue the query, green right, red wrong.

    Raises:
        ValueError: there are no rows.
        OSError: an image cannot be read.
    """
    if not rows:
        raise ValueError("no ranked list to draw.")
    step = (TILE[0] + 2 * BORDER + GAP, TILE[1] + 2 * BORDER + 14 + GAP)
    longest = max(len(row.gallery) for row in rows)
    width = LABEL_WIDTH + (longest + 1) * step[0] + 2 * GAP
    picture = Image.new("RGB", (width, GAP + len(rows) * step[1]), (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default()
    for i, row in enumerate(rows):
        top = GAP + i * step[1]
        draw.text((GAP, top + TILE[1] // 2), row.label, fill=(0, 0, 0), font=font)
        picture.paste(_tile(row.query, QUERY), (LABEL_WIDTH, top))
        for j, path in enumerate(row.gallery):
            left = LABEL_WIDTH + 2 * GAP + (j + 1) * step[0]
            picture.paste(_tile(path, RIGHT if row.right[j] else WRONG), (left, top))
            text = f"{row.distances[j]:.3f}"
            draw.text(
                (left + BORDER, top + TILE[1] + 2 * BORDER), text, fill=(90, 90, 90), font=font
            )
    return picture
