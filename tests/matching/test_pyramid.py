"""The pyramid against a slow, obvious one, over awkward sizes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from partialreid.matching.pyramid import POOLS, level_shapes, pyramid_columns


def slow_pyramid(features: torch.Tensor, kernels: tuple[int, ...], stride: int) -> torch.Tensor:
    height, width = features.shape[2:]
    columns = []
    for k in kernels:
        for i in range(0, height - k + 1, stride):
            for j in range(0, width - k + 1, stride):
                columns.append(features[:, :, i : i + k, j : j + k].amax((2, 3)))
    return torch.stack(columns, 2)


PYRAMIDS = pytest.mark.parametrize(
    ("size", "kernels", "stride"),
    [
        ((24, 8), (2, 4, 6, 8), 2),
        ((16, 8), (2, 4, 6, 8), 2),
        ((11, 9), (2, 4, 6, 8), 2),
        ((8, 8), (8,), 2),
        ((7, 3), (1, 2, 3), 1),
        ((1, 1), (1,), 1),
        ((13, 5), (3, 5), 3),
        # In another order, twice the same, steps of more than a stride, windows with gaps between.
        ((13, 9), (8, 2, 6, 6), 2),
        ((12, 11), (2, 8, 10), 2),
        ((9, 10), (1, 3, 5), 2),
        ((11, 8), (2, 5, 8), 3),
    ],
)


@PYRAMIDS
def test_equals_the_slow_one(size: tuple[int, int], kernels: tuple[int, ...], stride: int) -> None:
    features = torch.randn(2, 3, *size, dtype=torch.float64)
    columns, first = pyramid_columns(features, kernels, stride)
    assert torch.equal(columns, slow_pyramid(features, kernels, stride))
    assert first == slow_pyramid(features, kernels[:1], stride).shape[2]


@PYRAMIDS
def test_gradients_equal_those_of_the_slow_one(
    size: tuple[int, int], kernels: tuple[int, ...], stride: int
) -> None:
    features = torch.randn(2, 3, *size, dtype=torch.float64)
    leaves = [features.clone().requires_grad_() for _ in range(2)]
    wanted = slow_pyramid(leaves[0], kernels, stride)
    toward = torch.randn_like(wanted)
    (wanted * toward).sum().backward()
    (pyramid_columns(leaves[1], kernels, stride)[0] * toward).sum().backward()
    torch.testing.assert_close(leaves[1].grad, leaves[0].grad, rtol=1e-12, atol=1e-12)


class PoolGradients(TorchDispatchMode):
    """Notes the strides in which gradients come at the poolings of a map."""

    def __init__(self) -> None:
        super().__init__()
        self.strides: list[tuple[int, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "pool2d" in func.name() and "backward" in func.name():
            self.strides.append(args[0].stride())
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("pool", POOLS)
def test_poolings_get_their_gradients_with_the_channels_of_a_cell_side_by_side(pool: str) -> None:
    features = torch.randn(2, 16, 12, 8).contiguous(memory_format=torch.channels_last)
    columns, first = pyramid_columns(features.requires_grad_(), pool=pool)
    # Slices, as losses take them, whose gradients begin with zeros in the plain format.
    loss = columns[:1].square().sum() + columns[:, :, :first].sum()
    with PoolGradients() as seen:
        loss.backward()
    assert len(seen.strides) == 4
    assert all(strides[1] == 1 for strides in seen.strides), seen.strides


def test_published_numbers_of_columns() -> None:
    assert [h * w for h, w in level_shapes(24, 8)] == [48, 33, 20, 9]
    assert [h * w for h, w in level_shapes(16, 8)] == [32, 21, 12, 5]


def test_permuting_channels_permutes_columns() -> None:
    features = torch.randn(1, 5, 12, 8)
    order = torch.randperm(5)
    columns, _ = pyramid_columns(features)
    assert torch.equal(pyramid_columns(features[:, order])[0], columns[:, order])


@pytest.mark.parametrize("size", [(7, 8), (24, 7), (1, 1)])
def test_small_map_names_map_kernel_and_keys(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError) as error:
        pyramid_columns(torch.zeros(1, 2, *size))
    text = str(error.value)
    assert f"{size[0]}x{size[1]}" in text
    assert "MODEL.HEADS.DSR.KERNELS" in text and "INPUT.SIZE_TEST" in text


def test_bad_stride_names_the_key() -> None:
    with pytest.raises(ValueError, match=r"MODEL\.HEADS\.DSR\.STRIDE"):
        pyramid_columns(torch.zeros(1, 2, 8, 8), stride=0)


def test_an_unknown_way_to_pool_is_refused() -> None:
    with pytest.raises(ValueError, match="max or avg, not 'mean'"):
        pyramid_columns(torch.zeros(1, 2, 8, 8), pool="mean")
