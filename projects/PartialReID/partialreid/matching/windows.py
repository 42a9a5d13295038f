"""Where the columns of a pyramid lie: from values of columns to places of the map.

A column is the maximum or the mean of a window, and says no more about single cells of the map. So
what belongs to a column is spread evenly over the cells of its window: sums stay what they were.

Windows of 2, 4, 6 and 8 cells in steps of 2 never part two cells of a block of 2 x 2. Such blocks
are the smallest places that columns know of, and are called patches here: all the cells that lie in
the same windows, row by row and column by column.

Shape shorthand: H x W cells of the map, N columns, R x S patches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .pyramid import KERNELS, STRIDE, level_shapes


def column_windows(
    height: int, width: int, kernels: Sequence[int] = KERNELS, stride: int = STRIDE
) -> Tensor:
    """The windows of the columns that `pyramid_columns` makes of a map, in its order.

    Args:
        height, width: H and W, cells of the map.
        kernels, stride: as for `pyramid_columns`.

    Returns:
        (N, 4) whole numbers: a window's first row and column of cells, and those behind its last.

    Raises:
        ValueError: as `level_shapes`.
    """
    levels = []
    for kernel, shape in zip(kernels, level_shapes(height, width, kernels, stride)):
        tops, lefts = (stride * torch.arange(steps) for steps in shape)
        corners = torch.cartesian_prod(tops, lefts).view(-1, 2)
        levels.append(torch.cat([corners, corners + kernel], dim=1))
    return torch.cat(levels)


@dataclass(frozen=True)
class Patches:
    """The patches of a map, and how the windows of its columns cover them.

    Attributes:
        rows: the R + 1 rows of cells at which patches begin and end, from 0 to H.
        columns: likewise the S + 1 columns of cells, from 0 to W.
        cover: (N, R, S) in float64, the share of a window that lies in a patch; each window's
            shares sum to one. A patch that no window reaches, at the lower and right edge of some
            maps, has none.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    cover: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """R and S."""
        return len(self.rows) - 1, len(self.columns) - 1

    @property
    def cells(self) -> Tensor:
        """(R, S) in float64: cells of each patch."""
        high, wide = (
            torch.tensor(edges).diff().to(self.cover) for edges in (self.rows, self.columns)
        )
        return high[:, None] * wide

    def spread(self, values: Tensor) -> Tensor:
        """Spread what belongs to columns evenly over the cells of their windows.

        Args:
            values: (..., N).

        Returns:
            (..., R, S) in float64, what falls to each patch: its sum is that of the values.

        Raises:
            ValueError: there are not as many values as windows.
        """
        if values.shape[-1] != len(self.cover):
            raise ValueError(
                f"{values.shape[-1]} columns do not belong to a map of {self.rows[-1]}x"
                f"{self.columns[-1]} cells (height x width), which has {len(self.cover)} windows: "
                "give the map's size, the kernels and the stride that made the columns."
            )
        spread: Tensor = torch.tensordot(values.double(), self.cover.to(values.device), dims=1)
        return spread


def pyramid_patches(
    height: int, width: int, kernels: Sequence[int] = KERNELS, stride: int = STRIDE
) -> Patches:
    """The patches of a map of height x width cells whose columns `pyramid_columns` makes.

    A 16 x 8 map has 8 x 4 of them. With windows of 1 to 4 cells at step 1 they are single cells.

    Raises:
        ValueError: as `level_shapes`.
    """
    windows = column_windows(height, width, kernels, stride)
    tops, lefts, bottoms, rights = windows.unbind(1)
    rows = _edges(torch.cat([tops, bottoms]), height)
    columns = _edges(torch.cat([lefts, rights]), width)
    down, across = _overlap(tops, bottoms, rows), _overlap(lefts, rights, columns)
    shares = (down / (bottoms - tops)[:, None], across / (rights - lefts)[:, None])
    return Patches(rows, columns, torch.einsum("nr,ns->nrs", *shares))


def _edges(edges: Tensor, end: int) -> tuple[int, ...]:
    """Where windows begin or end, and where the map does: each place once, in order."""
    return tuple(sorted({0, end, *edges.tolist()}))


def _overlap(first: Tensor, last: Tensor, edges: Sequence[int]) -> Tensor:
    """(N, number of edges - 1): cells that stretches between edges share with windows."""
    grid = torch.tensor(edges)
    start = torch.maximum(first[:, None], grid[:-1])
    return (torch.minimum(last[:, None], grid[1:]) - start).clamp(min=0).double()
