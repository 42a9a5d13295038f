"""Which images can be among the nearest few of each query, as their distances come along.

Shapes: Q queries, B images of a chunk, R that are wanted for each query, P pairs.
"""

from __future__ import annotations

import torch
from torch import Tensor

GROUP = 64  # images of which the nearest alone counts for the bound: speed alone


class Candidates:
    """All images no farther than a bound, below which there are R of each query at least.

    The bound is the R-th nearest among the nearest images of groups. It falls with every chunk, and
    none of the R nearest is above it.

    Args:
        queries: Q.
        count: R; there are so many images at least.
    """

    def __init__(self, queries: int, count: int) -> None:
        self._count = count
        self._nearest = torch.empty(queries, 0)
        self._found: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, places: Tensor, distances: Tensor) -> None:
        """Look at a chunk.

        Args:
            places: (B,) of its images; later chunks have later ones.
            distances: (Q, B) to them.
        """
        groups = distances.shape[1] // GROUP
        whole = distances[:, : groups * GROUP].unflatten(1, (GROUP, groups)).amin(1)
        parts = [self._nearest, whole, distances[:, groups * GROUP :]]
        nearest = torch.cat(parts, dim=1)
        if nearest.shape[1] > self._count:
            nearest = nearest.topk(self._count, largest=False, sorted=False).values
        self._nearest = nearest
        query, image = (distances <= self._bound()[:, None]).nonzero().unbind(1)
        self._found.append((query, places[image], distances[query, image]))

    def _bound(self) -> Tensor:
        """(Q,), infinite where fewer groups than R were seen."""
        if self._nearest.shape[1] < self._count:
            return torch.full((len(self._nearest),), torch.inf)
        return self._nearest.amax(1)

    def pairs(self) -> tuple[Tensor, Tensor]:
        """Query and place (P,) of all that is left, query by query, places ascending."""
        query, place, distance = (torch.cat(parts) for parts in zip(*self._found))
        left = (distance <= self._bound()[query]).nonzero()[:, 0]
        query, place = query[left], place[left]
        order = query.argsort(stable=True)
        return query[order], place[order]
