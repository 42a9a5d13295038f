"""Columns of a part of a query, as if the rest of the image had been cut off.

Whoever is cut off in a test leaves fewer columns: those of windows that lie in what is left. In
training the same columns of a whole image stand for them, which costs nothing: no image changes its
size, and batch norm sees whole images alone. What a column's network has seen beyond the cut it
keeps, so that this is a part of a cut, not all of it.

Shape shorthand: H x W cells of the map, N columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..matching.windows import column_windows

SIDES = ("top", "left", "bottom", "right")


def draw_part(
    map_size: tuple[int, int],
    kernels: Sequence[int],
    stride: int,
    *,
    probability: float,
    share: Sequence[float],
) -> Tensor | None:
    """Draw which columns the queries of a batch keep, from torch's global generator.

    Args:
        map_size: H and W.
        kernels, stride: of the pyramid.
        probability: that not all are kept. At 0 nothing is drawn.
        share: least and greatest share of the height, or of the width, that is kept.

    Returns:
        Places of columns, in order; None for all.
    """
    if not probability:
        return None
    chance, size, side = torch.rand(3, dtype=torch.float64).tolist()
    if chance >= probability:
        return None
    kept = share[0] + size * (share[1] - share[0])
    return part_columns(map_size, kernels, stride, SIDES[int(side * len(SIDES))], kept)


def part_columns(
    map_size: tuple[int, int], kernels: Sequence[int], stride: int, side: str, share: float
) -> Tensor:
    """The columns whose windows lie in the part of a map that is next to one of its sides.

    Args:
        map_size: H and W.
        kernels, stride: of the pyramid.
        side: one of SIDES.
        share: of H, for the top and the bottom, or of W. The part has room for a window in any
            case.

    Returns:
        Places of columns, in order; at least one.
    """
    windows = column_windows(*map_size, kernels, stride)
    axis = SIDES.index(side) % 2
    length = map_size[axis]
    kept = min(max(round(share * length), min(kernels) + stride - 1), length)
    if side in SIDES[:2]:
        inside = windows[:, axis + 2] <= kept
    else:
        inside = windows[:, axis] >= length - kept
    return inside.nonzero()[:, 0]
