"""Other weights of a query's columns: which columns they are of, and that nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.query_weights import WAYS, Reweighted, joined, windows_of
from partialreid.matching.pyramid import pyramid_columns

KERNELS = (2, 4, 6, 8)


def test_each_column_has_its_window() -> None:
    """As many of each window as a pyramid of that window alone has, the small ones first."""
    height, width = 12, 9
    found = windows_of(height, width, KERNELS, 2)
    for kernel in KERNELS:
        columns = pyramid_columns(torch.ones(1, 1, height, width), (kernel,))[0]
        assert (found == kernel).sum() == columns.shape[2]
    assert found.tolist() == sorted(found.tolist())


class Drawn(nn.Module):
    """Gives the same outputs to every batch."""

    def __init__(self, outputs: tuple[Tensor, Tensor, Tensor]) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, _: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
        return self.outputs


@pytest.mark.parametrize("way", WAYS)
def test_weights_change_and_nothing_else(way: str) -> None:
    torch.manual_seed(0)
    windows = windows_of(16, 8, KERNELS, 2)
    count = len(windows)
    weights = nn.functional.normalize(torch.rand(2, count), p=1, dim=1)
    outputs = (torch.randn(2, 5), torch.randn(2, 5, count), weights)
    batch = {"images": torch.zeros(2, 3, 256, 128)}
    features, columns, changed = Reweighted(Drawn(outputs), way, KERNELS, 2)(batch)
    assert features is outputs[0] and columns is outputs[1]
    torch.testing.assert_close(changed.sum(1), torch.ones(2))
    by_hand = torch.stack(
        [
            {
                "as they are": weights[:, i],
                "all alike": torch.ones(2),
                "roots": weights[:, i] ** 0.5,
                "squares": weights[:, i] ** 2,
                "windows of 2 and 4": weights[:, i] if windows[i] in (2, 4) else torch.zeros(2),
                "windows of 6 and 8": weights[:, i] if windows[i] in (6, 8) else torch.zeros(2),
            }[way]
            for i in range(count)
        ],
        1,
    )
    torch.testing.assert_close(changed, by_hand / by_hand.sum(1, keepdim=True))


def test_queries_of_several_sets_count_once_each() -> None:
    sets = [{"roots": {"mAP": [1.0, 2.0]}}, {"roots": {"mAP": [3.0]}}]
    assert joined(sets, "roots") == {"mAP": [1.0, 2.0, 3.0]}
