"""Other weights of a query's columns: which columns they are of, and that nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.evaluated_ways import table
from benchmarks.query_weights import WAYS, Reweighted
from partialreid.matching.pyramid import pyramid_columns

KERNELS = (2, 4, 6, 8)


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
    one_map = torch.ones(1, 1, 16, 8)
    counts = [pyramid_columns(one_map, (kernel,))[0].shape[2] for kernel in KERNELS]
    windows = [kernel for kernel, count in zip(KERNELS, counts, strict=True) for _ in range(count)]
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
    def found(first: float, second: float) -> dict[str, list[float]]:
        return {"identities": [1, 2], "Rank-1": [first, second], "mAP": [first, second]}

    record = {
        "CUHK03-val": {way: found(0, 100) for way in WAYS},
        "CUHK03-val, cut": {way: found(0, 0) for way in WAYS},
    }
    record["CUHK03-val, cut"]["roots"] = found(100, 100)
    last = [cell.strip() for cell in table(record, tuple(WAYS)).splitlines()[-1].split("|")[1:-1]]
    assert last[:2] == ["CUHK03-val, all", "25.0 / 25.0"]
    assert last[1 + list(WAYS).index("roots")].startswith("75.0 / 75.0; +50.0 ")
