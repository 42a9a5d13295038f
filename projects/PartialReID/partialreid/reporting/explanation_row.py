"""One candidate's row of an explanation: five panels, the lines between them and their numbers.

Shape shorthand: R x S patches of the query, P of them in all, L of the gallery image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from .explanation_colours import fading, leaning, mixed, ramp
from .explanation_numbers import DIGITS, bands, strongest
from .explanation_patches import Boxes, Shown, faded, painted, rebuilt, scaled
from .explanation_text import HEADINGS, LINE, TITLE, Words, write, write_words

NARROWEST = 170  # of a panel's place, for the words above it
GAP, CROSSING = 24, 90
NUMBERS, STRIP = 76, 10
FINE = 3  # lines are drawn at so many times the size, which makes them soft
TOP = TITLE + 2 * LINE + 14


class Parts(NamedTuple):
    """What a pair's distance is made of, by patches.

    Attributes:
        counts: (R, S), how much the query's patches weigh.
        shares: (R, S), their shares of the distance.
        leaning: (R, S), what of it speaks against the candidate, or for it below zero.
        links: (L, P), how much each gallery patch brings to each of the query's.
    """

    counts: np.ndarray
    shares: np.ndarray
    leaning: np.ndarray
    links: np.ndarray

    def surplus(self) -> np.ndarray:
        """(L, P), what a gallery patch brings beyond what their average brings."""
        return (self.links - self.links.mean(0)).clip(min=0)


class Scales(NamedTuple):
    """What all rows of a picture share.

    Attributes:
        pixels: of the picture for one of the images.
        leaning: by cell, has the strongest colour.
        surplus: by cell of a gallery patch, likewise.
        link: has the thickest line.
        height: of the highest panel.
        widths: of the query's panels and of the widest gallery image's.
    """

    pixels: float
    leaning: float
    surplus: float
    link: float
    height: int
    widths: tuple[int, int]

    def places(self) -> tuple[list[int], int]:
        """x of the five panels, and the width of a row."""
        query, gallery = (max(width, NARROWEST) for width in self.widths)
        places = [0]
        for step in (
            query + GAP,
            gallery + NUMBERS + STRIP,
            query + CROSSING,
            gallery + GAP,
            query,
        ):
            places.append(places[-1] + step)
        return places[:-1], places[-1]


def draw_row(
    name: str, query: Shown, shown: Shown, parts: Parts, scales: Scales, words: Sequence[Words]
) -> Image.Image:
    """The row of one candidate, with room for a title above it.

    Args:
        name: of the candidate, one letter.
        query, shown: the query and the candidate.
        parts: of their distance.
        scales: of the picture.
        words: the second lines above the panels.
    """
    places, width = scales.places()
    picture = Image.new("RGB", (width, TOP + scales.height + 2 * LINE), "white")
    draw = ImageDraw.Draw(picture)
    for place, heading, below in zip(places, HEADINGS, words):
        write(draw, (place, TITLE + 8), heading.format(name=name))
        write_words(draw, (place, TITLE + 8 + LINE), below, NARROWEST)
    own, boxes = scaled(query, scales.pixels)
    other, sources = scaled(shown, scales.pixels)
    cells, source_cells = (one.patches.cells.numpy() for one in (query, shown))
    grid = source_cells.shape
    middles = (boxes.rows[:-1] + boxes.rows[1:]) / 2 / boxes.rows[-1]
    heights = np.repeat(ramp(middles)[:, None], parts.shares.shape[1], axis=1)
    surplus = parts.surplus() / source_cells.reshape(-1, 1)
    colours, strength = mixed(surplus, heights.reshape(-1, 3), scales.surplus)
    tints = leaning(parts.leaning / cells, scales.leaning)
    of_sources = colours.reshape(*grid, 3), strength.reshape(grid)
    panels = (
        own,
        other,
        painted(faded(own.convert("L"), boxes, fading(parts.counts / cells)), boxes, *tints),
        painted(other.convert("L"), sources, *of_sources),
        faded(rebuilt(boxes, other, sources, parts.links), boxes, fading(parts.counts / cells)),
    )
    for place, panel in zip(places, panels):
        picture.paste(panel, (place, TOP))
    _strip(picture, boxes, heights[:, 0], (places[2] - STRIP - 4, TOP))
    _numbers(draw, boxes, parts.shares, (places[2] - STRIP - 10, TOP))
    _draw_links(picture, boxes, sources, parts, heights, scales, (places[2], places[3]))
    return picture


def _strip(picture: Image.Image, boxes: Boxes, colours: np.ndarray, place: tuple[int, int]) -> None:
    """The colours of the query's height, beside it."""
    draw = ImageDraw.Draw(picture)
    for upper, lower, colour in zip(boxes.rows[:-1], boxes.rows[1:], colours):
        box = (place[0], place[1] + int(upper), place[0] + STRIP, place[1] + int(lower) - 1)
        draw.rectangle(box, fill=_of(colour))


def _numbers(
    draw: ImageDraw.ImageDraw, boxes: Boxes, shares: np.ndarray, place: tuple[int, int]
) -> None:
    """Shares of the distance from top to bottom, as many as there is room for, and their sum."""
    height = int(boxes.rows[-1])
    for first, last, share in bands(shares, max(1, height // LINE)):
        y = place[1] + (boxes.rows[first] + boxes.rows[last]) / 2
        write(draw, (place[0], y), f"{share:.{DIGITS}f}", anchor="rm")
    y = place[1] + height + 5
    draw.line((place[0] - NUMBERS + 32, y, place[0], y), fill=(105, 105, 105))
    write(draw, (place[0], y + 4), f"{shares.sum():.{DIGITS}f}", anchor="ra")


def _draw_links(
    picture: Image.Image,
    boxes: Boxes,
    sources: Boxes,
    parts: Parts,
    heights: np.ndarray,
    scales: Scales,
    places: tuple[int, int],
) -> None:
    """Lines from patches of the query to those of the gallery image that bring most to them."""
    size = places[1] - places[0] + int(sources.columns[-1]), scales.height
    layer = Image.new("RGBA", (FINE * size[0], FINE * size[1]))
    draw = ImageDraw.Draw(layer)
    lines = []
    for patch, source, strength in reversed(strongest(parts.links)):
        (x, y), (end, below) = boxes.centre(patch), sources.centre(source)
        ends = (FINE * x, FINE * y), (FINE * (end + places[1] - places[0]), FINE * below)
        wide = FINE * (1 + 3 * strength / (scales.link or 1))
        lines.append((ends, wide, _of(heights.reshape(-1, 3)[patch])))
    # A dark edge and a light one make them stand out on any picture. Points lie over all lines.
    for ends, wide, colour in lines:
        for fill, edge in (((255, 255, 255), 4), ((0, 0, 0), 2), (colour, 0)):
            draw.line(ends, fill=fill, width=round(wide + edge * FINE))
    for ends, wide, colour in lines:
        for fill, edge in (((255, 255, 255), 4), ((0, 0, 0), 2), (colour, 0)):
            r = (wide + (4 + edge) * FINE) / 2
            for x, y in ends:
                draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)
    layer = layer.reduce(FINE)
    picture.paste(layer, (places[0], TOP), layer)


def _of(colour: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = np.rint(255 * colour).astype(int).tolist()
    return red, green, blue
