"""Which images can be among the nearest few of each query, as their distances come along.

Shapes: Q queries, B images of a chunk, R that are wanted for each query, P pairs.
"""

from __future__ import annotations

import torch
from torch import Tensor

GROUP = 64  # images of which the nearest alone counts for the bound: speed and memory alone


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
            distances: (Q, B) to them; not kept.
        """
        whole = len(places) // GROUP * GROUP
        self._add(places[:whole], distances[:, :whole].unflatten(1, (-1, GROUP)))
        self._add(places[whole:], distances[:, whole:, None])

    def _add(self, places: Tensor, groups: Tensor) -> None:
        """The same of groups (Q, n, size) of images."""
        if not len(places):
            return
        minima = groups.amin(2)
        few = self._nearest.shape[1] + minima.shape[1] < self._count
        nearest = torch.cat([self._nearest, groups.flatten(1) if few else minima], dim=1)
        if nearest.shape[1] > self._count:
            nearest = nearest.topk(self._count, largest=False, sorted=False).values
        self._nearest = nearest
        bound = self._bound()
        # In a large index hardly a group is so near, and the others are not looked at again.
        query, group = (minima <= bound[:, None]).nonzero().unbind(1)
        some = groups[query, group]
        row, inside = (some <= bound[query, None]).nonzero().unbind(1)
        image = group[row] * groups.shape[2] + inside
        self._found.append((query[row], places[image], some[row, inside]))

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
