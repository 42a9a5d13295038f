"""The query columns that have a weight, without those that have none.

Shapes: Q queries, C channels, N_q columns of a query.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..matching.columns import ColumnBlocks
from ..matching.extracted import Images


class WeightedColumns:
    """Columns (C, N_q) of each query whose weight is not zero; see `matching.columns.ColumnSource`.

    A query is fetched when it is asked for: all of them together may be more than the memory
    holds.

    Args:
        query: the queries, with their weights.
    """

    def __init__(self, query: Images) -> None:
        whole = ColumnBlocks(query.columns, "query")
        self._columns = query.columns
        self.channels, self.dtype, self.device = whole.channels, whole.stored, whole.device
        # All at once: the host would wait for a GPU at each of them.
        weights = torch.cat([*query.weights]) if len(query.weights) else torch.empty(0)
        has_weight = (weights > 0).cpu()
        self._kept = [
            mask.nonzero().flatten() for mask in has_weight.split([len(x) for x in query.weights])
        ]
        self.counts = [len(kept) for kept in self._kept]

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, image: int) -> Tensor:
        """The columns (C, N_q) of one query."""
        if not 0 <= image < len(self):
            raise IndexError(f"query {image} of {len(self)}")
        columns, kept = self._columns[image], self._kept[image]
        if len(kept) == columns.shape[1]:
            return columns
        return columns[:, kept.to(columns.device)]
