"""What a reconstruction distance is the sum of, said in places of the two pictures.

Shapes: C channels, H x W cells of a map, N query columns, M gallery columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

from ..data.seen_area import Area
from ..matching.explained import Explained
from ..matching.windows import column_windows

Window = tuple[int, int, int, int]
"""Left, upper, right and lower edge in pixels of a picture, as `Image.crop` takes them."""


@dataclass(frozen=True)
class Part:
    """One column of the query, and what it adds to the distance.

    Attributes:
        window: of the query that the column is made of.
        weight: w_n, how much the column counts; the weights of a query sum to 1.
        residual: what is left over of it, ||q_n - G W_n||, or its square where the distance is a
            sum of squares.
        share: weight times residual; the shares of all parts sum to the distance.
        source: the window of the gallery image that brings most to it; None where none brings
            anything.
        contribution: what `source` brings, where 1 is all of the column; 0 where there is none.
    """

    window: Window
    weight: float
    residual: float
    share: float
    source: Window | None
    contribution: float


def parts_of(
    explained: Explained, query: Sequence[Window], gallery: Sequence[Window]
) -> tuple[Part, ...]:
    """The parts of a pair's distance, in the order of the query's columns.

    Args:
        explained: the pair.
        query, gallery: the N and M windows of the columns.
    """
    found = []
    strongest = explained.contributions.max(0)
    numbers = (explained.weights, explained.residuals, explained.shares, *strongest)
    columns = zip(query, *(values.tolist() for values in numbers), strict=True)
    for window, weight, residual, share, brought, place in columns:
        # Below zero even the strongest takes away: then nothing comes from anywhere.
        source = gallery[place] if brought > 0 else None
        found.append(Part(window, weight, residual, share, source, max(brought, 0.0)))
    return tuple(found)


def picture_windows(
    cells: tuple[int, int],
    size: tuple[int, int],
    area: Area,
    kernels: Sequence[int],
    stride: int,
) -> list[Window]:
    """Where the windows of a pyramid's columns lie in a picture, in the order of the columns.

    Edges between two pixels are moved outwards, so that no window of a small picture is empty, and
    those outside of the picture to its border.

    Args:
        cells: H and W of the map.
        size: width and height of the picture.
        area: of the picture, over which the map is stretched.
        kernels, stride: of the pyramid.
    """
    left, upper, right, lower = area
    across, down = (right - left) / cells[1], (lower - upper) / cells[0]

    def within(edge: int, side: int) -> int:
        return min(max(edge, 0), side)

    return [
        (
            within(floor(left + start * across), size[0]),
            within(floor(upper + top * down), size[1]),
            within(ceil(left + end * across), size[0]),
            within(ceil(upper + bottom * down), size[1]),
        )
        for top, start, bottom, end in column_windows(*cells, kernels, stride).tolist()
    ]
