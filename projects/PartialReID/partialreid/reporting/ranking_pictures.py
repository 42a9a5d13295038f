"""Pictures of ranked lists: the query, then the gallery by distance, right and wrong marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..images.reading import read_image

TILE = (64, 128)  # width, height of an image in the picture
BORDER = 4
GAP = 6
FONT = 13  # pixels
LABEL_WIDTH = 116
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

    Lists of one query should follow each other: a line parts them from those of the next.

    Raises:
        ValueError: there are no rows.
        OSError: an image cannot be read.
    """
    if not rows:
        raise ValueError("no ranked list to draw.")
    font = ImageFont.load_default(FONT)
    tile = (TILE[0] + 2 * BORDER, TILE[1] + 2 * BORDER)
    step = (tile[0] + GAP, tile[1] + FONT + 2 * GAP)
    longest = max(len(row.gallery) for row in rows)
    width = LABEL_WIDTH + (longest + 1) * step[0] + 2 * GAP
    picture = Image.new("RGB", (width, GAP + len(rows) * step[1]), (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    for i, row in enumerate(rows):
        top = GAP + i * step[1]
        if i and row.query != rows[i - 1].query:
            draw.line((0, top - GAP // 2, width, top - GAP // 2), fill=(170, 170, 170))
        middle = (GAP, top + tile[1] // 2)
        draw.text(middle, row.label, fill=(0, 0, 0), font=font, anchor="lm")
        picture.paste(_tile(row.query, QUERY), (LABEL_WIDTH, top))
        for j, path in enumerate(row.gallery):
            left = LABEL_WIDTH + 2 * GAP + (j + 1) * step[0]
            picture.paste(_tile(path, RIGHT if row.right[j] else WRONG), (left, top))
            below = (left + tile[0] // 2, top + tile[1] + 2)
            text = f"{row.distances[j]:.3f}"
            draw.text(below, text, fill=(70, 70, 70), font=font, anchor="mt")
    return picture
