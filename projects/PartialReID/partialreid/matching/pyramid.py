"""Spatial pyramid of a feature map: max-pooling windows of several sizes, flattened to columns.

Shape shorthand: B batch, C channels, H x W map, N columns.
Source: spatial pyramid features of FPR (He et al., ICCV 2019), with the windows of FastReID-DSR.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .gradient_layout import keep_gradient_layout

KERNELS = (2, 4, 6, 8)
STRIDE = 2
POOLS = ("max", "avg")


def level_shapes(
    height: int, width: int, kernels: Sequence[int] = KERNELS, stride: int = STRIDE
) -> list[tuple[int, int]]:
    """Rows and columns of cells of each level for a map of height x width cells.

    Raises:
        ValueError: a kernel is larger than the map, or the stride or a kernel is not positive.
    """
    if stride < 1 or not kernels or min(kernels) < 1:
        raise ValueError(
            f"MODEL.HEADS.DSR.KERNELS {tuple(kernels)} and MODEL.HEADS.DSR.STRIDE {stride} "
            "must be positive whole numbers, with at least one kernel."
        )
    for kernel in kernels:
        if kernel > min(height, width):
            raise ValueError(
                f"a feature map of {height}x{width} cells (height x width) has no room for a "
                f"{kernel}x{kernel} window: leave {kernel} out of MODEL.HEADS.DSR.KERNELS "
                f"{tuple(kernels)}, or make the map larger with INPUT.SIZE_TRAIN, INPUT.SIZE_TEST "
                "or MODEL.BACKBONE.LAST_STRIDE."
            )
    return [((height - k) // stride + 1, (width - k) // stride + 1) for k in kernels]


def pyramid_columns(
    features: Tensor, kernels: Sequence[int] = KERNELS, stride: int = STRIDE, pool: str = POOLS[0]
) -> tuple[Tensor, int]:
    """Pool a map at several window sizes and lay all cells side by side.

    Args:
        features: (B, C, H, W).
        kernels: window sizes in cells, one level each.
        stride: step of the windows; no padding.
        pool: "max", or "avg" for the mean of a window.

    Returns:
        The columns (B, C, N), level after level and each level row by row, and how many of them
        belong to the first level. A 24 x 8 map gives 48 + 33 + 20 + 9 = 110 columns.

    Raises:
        ValueError: as `level_shapes`, and an unknown way to pool.
    """
    if pool not in POOLS:
        raise ValueError(f"a window is pooled by {' or '.join(POOLS)}, not {pool!r}")
    shapes = level_shapes(features.shape[2], features.shape[3], kernels, stride)
    pooled = F.avg_pool2d if pool == "avg" else F.max_pool2d
    levels: list[Tensor] = []
    for place, kernel in enumerate(kernels):
        last = kernels[place - 1] if place else 0
        # A window is the union of windows of the level before, whose greatest values are known.
        if pool == "max" and last >= stride and kernel > last and (kernel - last) % stride == 0:
            levels.append(F.max_pool2d(levels[-1], (kernel - last) // stride + 1, 1))
        else:
            levels.append(pooled(features, kernel, stride))
    # Side by side in memory are the channels of a column, as the map has them and the products that
    # follow want them.
    columns = torch.cat([level.flatten(2).mT for level in levels], dim=1)
    return keep_gradient_layout(columns).mT, shapes[0][0] * shapes[0][1]
