"""The pyramid against a slow, obvious one, over awkward sizes."""

from __future__ import annotations

import pytest
import torch

from partialreid.matching.pyramid import level_shapes, pyramid_columns


def slow_pyramid(features: torch.Tensor, kernels: tuple[int, ...], stride: int) -> torch.Tensor:
    height, width = features.shape[2:]
    columns = []
    for k in kernels:
        for i in range(0, height - k + 1, stride):
            for j in range(0, width - k + 1, stride):
                columns.append(features[:, :, i : i + k, j : j + k].amax((2, 3)))
    return torch.stack(columns, 2)


@pytest.mark.parametrize(
    ("size", "kernels", "stride"),
    [
        ((24, 8), (2, 4, 6, 8), 2),
        ((16, 8), (2, 4, 6, 8), 2),
        ((11, 9), (2, 4, 6, 8), 2),
        ((8, 8), (8,), 2),
        ((7, 3), (1, 2, 3), 1),
        ((1, 1), (1,), 1),
        ((13, 5), (3, 5), 3),
    ],
)
def test_equals_the_slow_one(size: tuple[int, int], kernels: tuple[int, ...], stride: int) -> None:
    features = torch.randn(2, 3, *size, dtype=torch.float64)
    columns, first = pyramid_columns(features, kernels, stride)
    assert torch.equal(columns, slow_pyramid(features, kernels, stride))
    assert first == slow_pyramid(features, kernels[:1], stride).shape[2]


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
