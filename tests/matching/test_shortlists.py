"""The nearest few of many images are those of a stable sort of all, whatever the distances."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from partialreid.matching.shortlists import GROUPS, nearest


def sorted_whole(distances: Tensor, topk: int) -> Tensor:
    return torch.argsort(distances, dim=1, stable=True)[:, :topk]


@pytest.mark.parametrize("topk", [1, 3, 7])
@pytest.mark.parametrize("galleries", [1, 7, 2 * GROUPS * 7 - 1, 2 * GROUPS * 7, 1009])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_selection_is_the_sort(topk: int, galleries: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(galleries)
    distances = torch.randn(5, galleries, generator=generator, dtype=dtype)
    rough = (4 * distances).round()  # many are equal, those at the end of a list too
    for some in (distances, rough, torch.zeros_like(rough), -rough.abs(), distances.T[::2].T):
        assert torch.equal(nearest(some, topk), sorted_whole(some, topk))


def test_infinities_and_nan_come_last() -> None:
    distances = torch.randn(4, 500, generator=torch.Generator().manual_seed(0))
    distances[1, 3:] = torch.inf
    distances[2] = torch.nan
    distances[2, [400, 20]] = torch.tensor([1.0, 2.0])
    distances[3, ::3] = torch.nan
    assert torch.equal(nearest(distances, 6), sorted_whole(distances, 6))
    assert nearest(distances, 0).shape == (4, 0)
    assert nearest(distances[:0], 6).shape == (0, 6)
