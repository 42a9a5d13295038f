"""Why is this the answer? A picture made of exactly the numbers that the distance is the sum of.

Each candidate has a row of five panels: the query, the candidate, what is left over of the query,
where in the candidate the rest comes from, and the query rebuilt. Two candidates share all scales,
so that one sees why one of them lost.

Shape shorthand: N query columns, R x S patches of the query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw

from ..matching.explained import Explained, patch_links
from .explanation_numbers import DIGITS, LINES, balance, by_patch, leanings
from .explanation_patches import Shown, scaled
from .explanation_row import Parts, Scales, draw_row
from .explanation_text import (
    ALONE,
    LEGEND,
    LINE,
    SUBTITLE,
    SUMS,
    TITLE,
    below_headings,
    shortened,
    wrapped,
    write,
)

PANEL = (400, 260)  # the largest height and width of an image in the picture
MARGIN = 20
NAMES = "AB"


class Candidate(NamedTuple):
    """A gallery image that the query is compared with.

    Attributes:
        shown: the image.
        explained: the distance of the query to it.
    """

    shown: Shown
    explained: Explained


def draw_explanation(query: Shown, candidates: Sequence[Candidate]) -> Image.Image:
    """Draw why candidates are as near to a query as they are.

    What speaks for a candidate (blue) or against it (orange) is what it leaves over of the query,
    compared with what the other one leaves over: w_n (r_n - r'_n) of each column. The colours of
    all patches add up to the difference of the distances. A candidate that is alone is compared
    with the average of its own residuals.

    What a gallery patch brings to a patch of the query is `patch_links`: contributions above zero,
    as those below zero take away what others have brought.

    Args:
        query: the query.
        candidates: one, or two that are compared with each other: an answer, and the image of
            another identity that comes next.

    Raises:
        ValueError: no candidate or more than two, two with different weights of the query, or a
            map that does not belong to the columns.
    """
    if len(candidates) not in (1, 2):
        raise ValueError(f"one or two candidates are explained, not {len(candidates)}")
    pairs = [candidate.explained for candidate in candidates]
    if not torch.equal(pairs[0].weights, pairs[-1].weights):
        raise ValueError("two candidates must be explained with the weights of one query")
    every = [
        Parts(
            by_patch(pair.weights, query.patches),
            by_patch(pair.shares, query.patches),
            by_patch(leaning, query.patches),
            patch_links(pair, query.patches, candidate.shown.patches).cpu().numpy(),
        )
        for pair, leaning, candidate in zip(pairs, leanings(pairs), candidates)
    ]
    scales = _scales(query, candidates, every)
    rows = []
    for name, candidate, parts in zip(NAMES, candidates, every):
        shown = candidate.shown
        reference = ALONE if len(candidates) == 1 else NAMES.replace(name, "")
        words = below_headings(query.label, shown.label, reference, name)
        rows.append(draw_row(name, query, shown, parts, scales, words))
    said = {
        "reference": ALONE if len(candidates) == 1 else "in the other row",
        "sum": SUMS[len(candidates)],
        "full": f"{scales.leaning * float(query.patches.cells.max()):.2g}",
        "lines": LINES,
    }
    titles = _titles(pairs, query)
    return _page(_question(pairs), titles, rows, [text.format(**said) for text in LEGEND])


def _scales(query: Shown, candidates: Sequence[Candidate], every: Sequence[Parts]) -> Scales:
    shown = [query, *(candidate.shown for candidate in candidates)]
    pixels = min(
        bound / side
        for one in shown
        for bound, side in zip(PANEL, (one.image.height, one.image.width))
    )
    sizes = [scaled(one, pixels)[0].size for one in shown]
    cells = query.patches.cells.numpy()
    surplus = [
        (parts.surplus().sum(1) / candidate.shown.patches.cells.flatten().numpy()).max()
        for candidate, parts in zip(candidates, every)
    ]
    return Scales(
        pixels,
        max(float(np.abs(parts.leaning / cells).max()) for parts in every),
        float(max(surplus)),
        max(float(parts.links.max()) for parts in every),
        max(height for _, height in sizes),
        (sizes[0][0], max(width for width, _ in sizes[1:])),
    )


def _titles(pairs: Sequence[Explained], query: Shown) -> list[str]:
    """The distance of each row, and how the colours of its patches add up."""
    printed = [f"{pair.distance:.{DIGITS}f}" for pair in pairs]
    titles = [f"{name}: distance {distance}" for name, distance in zip(NAMES, printed)]
    if len(pairs) == 1:
        return titles
    distances = pairs[0].distance, pairs[1].distance
    more, less = balance(leanings(pairs)[0], query.patches, distances)
    return [
        f"{titles[0]} = {printed[1]} of B + {more:.{DIGITS}f} orange - {less:.{DIGITS}f} blue",
        f"{titles[1]} = {printed[0]} of A + {less:.{DIGITS}f} orange - {more:.{DIGITS}f} blue",
    ]


def _question(pairs: Sequence[Explained]) -> str:
    """What the picture answers."""
    if len(pairs) == 1:
        return "How near is A to the query, and why?"
    order = NAMES if pairs[0].distance <= pairs[1].distance else NAMES[::-1]
    return f"Why is {order[0]} nearer to the query than {order[1]}?"


def _page(
    question: str, titles: Sequence[str], rows: Sequence[Image.Image], legend: Sequence[str]
) -> Image.Image:
    """The question, rows below each other, each with its title, and the legend."""
    width = max(row.width for row in rows)
    lines = [line for text in legend for line in wrapped(text, width)]
    height = 2 * TITLE + sum(row.height + MARGIN for row in rows) + len(lines) * LINE
    page = Image.new("RGB", (width + 2 * MARGIN, height + 2 * MARGIN), "white")
    draw = ImageDraw.Draw(page)
    write(draw, (MARGIN, MARGIN), question, size=TITLE)
    y = MARGIN + 2 * TITLE
    for title, row in zip(titles, rows):
        page.paste(row, (MARGIN, y))
        write(draw, (MARGIN, y), shortened(title, width, SUBTITLE), size=SUBTITLE)
        y += row.height + MARGIN
    for number, line in enumerate(lines):
        write(draw, (MARGIN, y + number * LINE), line)
    return page
