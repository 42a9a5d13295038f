"""Which images of a batch are queries, and how much of them is left: a batch as a test meets it.

In a test a query shows part of a person and a gallery image the whole of one. So in training half
of each identity's images are queries, those of which less is visible, and in some batches, by
INPUT.CUT.PROB, the queries are cut to one height. Scaled to fit, a cut image keeps its proportions,
and the network, which is convolutional, takes it at its own size.

Shape shorthand: B batch, H x W input, Q queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Cut(NamedTuple):
    """How the queries of one batch are cut.

    Attributes:
        top: first row that is left.
        rows: how many are left.
    """

    top: int
    rows: int


def draw_cut(height: int, probability: float, share: Sequence[float], step: int) -> Cut:
    """Draw the cut of a batch from torch's global generator; the whole height where there is none.

    Args:
        height: H.
        probability: that there is a cut.
        share: least and greatest share of the height that is left.
        step: pixels; what is cut off above is a multiple of it, and so are the rows that are left,
            unless they are all that there are.

    Returns:
        The cut, of at least one step.
    """
    chance, size, place = torch.rand(3, dtype=torch.float64).tolist()
    if chance >= probability:
        return Cut(0, height)
    rows = rows_of(height, share[0] + size * (share[1] - share[0]), step)
    return Cut(int(place * ((height - rows) // step + 1)) * step, rows)


def rows_of(height: int, share: float, step: int) -> int:
    """How many rows a cut leaves: the multiple of `step` next to a share, and at least one step."""
    return min(max(round(height * share / step), 1) * step, height)


def choose_queries(labels: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
    """Divide a batch into queries and gallery: of each identity's images half are queries.

    With as many images of each identity, and an even number, the halves are exact; elsewhere all
    the same half of the batch are queries, so that shapes do not depend on values, for which the
    host would wait.

    Args:
        labels: (B,) identities.
        visible: (B,) share of each image that shows its person.

    Returns:
        The places of the queries (B // 2,) and of the gallery (B - B // 2,). Queries are those
        images of an identity of which least is visible; of equal ones the first in the batch.
    """
    # By visible share, then, without disturbing that order, by identity.
    order = visible.argsort(stable=True)
    order = order[labels[order].argsort(stable=True)]
    ordered = labels[order]
    same = ordered[:, None] == ordered
    position = same.tril(-1).sum(1)
    rank = (position + 0.5) / same.sum(1)
    places = order[rank.argsort(stable=True)]
    half = len(labels) // 2
    return places[:half].sort().values, places[half:].sort().values
