"""Windows of columns and patches of a map, against loops over cells."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch
from torch import Tensor

from partialreid.matching.pyramid import pyramid_columns
from partialreid.matching.windows import column_windows, pyramid_patches

MAPS = [
    ((24, 8), (2, 4, 6, 8), 2),
    ((16, 8), (2, 4, 6, 8), 2),
    ((11, 9), (2, 4, 6, 8), 2),
    ((8, 8), (8,), 2),
    ((7, 3), (1, 2, 3), 1),
    ((1, 1), (1,), 1),
    ((13, 5), (3, 5), 3),
    ((12, 10), (4, 2), 5),
]


@pytest.mark.parametrize(("size", "kernels", "stride"), MAPS)
@pytest.mark.parametrize("pool", ["max", "avg"])
def test_a_column_comes_from_its_window(
    size: tuple[int, int], kernels: tuple[int, ...], stride: int, pool: str
) -> None:
    features = torch.randn(2, 3, *size, dtype=torch.float64)
    columns, _ = pyramid_columns(features, kernels, stride, pool)
    windows = column_windows(*size, kernels, stride)
    assert len(windows) == columns.shape[2]
    for column, (top, left, bottom, right) in zip(columns.unbind(2), windows.tolist()):
        inside = features[:, :, top:bottom, left:right]
        wanted = inside.amax((2, 3)) if pool == "max" else inside.mean((2, 3))
        torch.testing.assert_close(column, wanted)


def over_cells(values: Tensor, windows: Tensor, size: tuple[int, int]) -> Tensor:
    """Values of columns (N,) spread evenly over the cells of their windows (H, W)."""
    cells = torch.zeros(size, dtype=torch.float64)
    for value, (top, left, bottom, right) in zip(values, windows.tolist()):
        cells[top:bottom, left:right] += value / ((bottom - top) * (right - left))
    return cells


@pytest.mark.parametrize(("size", "kernels", "stride"), MAPS)
def test_spreading_keeps_every_sum(
    size: tuple[int, int], kernels: tuple[int, ...], stride: int
) -> None:
    windows = column_windows(*size, kernels, stride)
    patches = pyramid_patches(*size, kernels, stride)
    values = torch.randn(3, len(windows))
    spread = patches.spread(values)
    assert spread.dtype == torch.float64 and spread.shape == (3, *patches.shape)
    torch.testing.assert_close(spread.sum((1, 2)), values.double().sum(1), atol=1e-12, rtol=0)
    for row, found in zip(values.double(), spread):
        cells = over_cells(row, windows, size)
        for (i, (top, bottom)), (j, (left, right)) in product(
            enumerate(pairwise(patches.rows)), enumerate(pairwise(patches.columns))
        ):
            wanted = cells[top:bottom, left:right]
            torch.testing.assert_close(found[i, j], wanted.sum(), atol=1e-12, rtol=0)
            torch.testing.assert_close(wanted, wanted[:1, :1].expand_as(wanted))


@pytest.mark.parametrize(("size", "kernels", "stride"), MAPS)
def test_neighbouring_patches_lie_in_different_windows(
    size: tuple[int, int], kernels: tuple[int, ...], stride: int
) -> None:
    """No patch could be larger; that none could be smaller is said by even spreading."""
    windows = column_windows(*size, kernels, stride)
    patches = pyramid_patches(*size, kernels, stride)
    for edges, first, last in ((patches.rows, 0, 2), (patches.columns, 1, 3)):
        assert edges[0] == 0 and edges[-1] == size[first]
        for edge in edges[1:-1]:
            assert (windows[:, [first, last]] == edge).any()
    assert patches.cells.sum() == size[0] * size[1]


def test_sizes_that_occur() -> None:
    assert pyramid_patches(16, 8).shape == (8, 4)
    assert pyramid_patches(24, 8).shape == (12, 4)
    assert pyramid_patches(24, 8, (1, 2, 3, 4), 1).shape == (24, 8)
    # No window reaches the eleventh row of cells.
    odd = pyramid_patches(11, 8)
    assert odd.rows == (0, 2, 4, 6, 8, 10, 11)
    assert odd.cover[:, -1].sum() == 0 and (odd.cover[:, :-1].sum(0) > 0).all()


def test_values_of_another_map_are_refused() -> None:
    with pytest.raises(ValueError, match=r"69 columns do not belong to a map of 16x8 .* 70 win"):
        pyramid_patches(16, 8).spread(torch.zeros(69))


def test_a_map_without_room_is_refused_as_by_the_pyramid() -> None:
    with pytest.raises(ValueError, match="7x8 cells"):
        pyramid_patches(7, 8)
