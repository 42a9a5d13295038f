"""Shortlists of galleries per query, turned into one list of queries per gallery.

Shapes: Q queries, G galleries, K shortlisted galleries per query, P pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

TOPK = 100  # galleries of a query that are reconstructed, as in FastReID-DSR
FILL = 100.0  # distance of the others, likewise
SORTED_AT_ONCE = 2**22  # distances: memory alone
# For each image that is looked for, so many groups are told apart by their minima: speed alone.
GROUPS = 8


def nearest(distances: Tensor, topk: int) -> Tensor:
    """Indices (Q, K) of the `topk` nearest of (Q, G); equal distances in gallery order."""
    size = distances.shape[1] // max(GROUPS * topk, 1)
    if topk and size > 1 and distances.is_cpu:
        return _selected(distances, topk, size)
    # The order of a whole row takes several times its memory: a few rows at a time.
    rows = max(1, SORTED_AT_ONCE // max(distances.shape[1], 1))
    parts = [
        torch.argsort(some, dim=1, stable=True)[:, :topk].clone() for some in distances.split(rows)
    ]
    return torch.cat(parts)


def _selected(distances: Tensor, topk: int, size: int) -> Tensor:
    """`nearest` of rows much longer than K, which need not be sorted.

    The minima of K groups of images are K distances: the K nearest, and all that equal the last of
    them, are no farther than the largest of these minima.

    Args:
        distances: (Q, G).
        topk: K.
        size: images of a group; there are at least K whole groups.
    """
    groups = distances.shape[1] // size
    minima = distances[:, : size * groups].unflatten(1, (size, groups)).amin(1)
    bounds = minima.kthvalue(topk, dim=1).values
    found = torch.empty(len(distances), topk, dtype=torch.long)
    for row, bound, order in zip(distances, bounds, found):
        near = (row <= bound).nonzero()[:, 0]
        if len(near) < topk:  # NaN is not below any bound
            near = torch.arange(len(row))
        order.copy_(near[row[near].argsort(stable=True)[:topk]])
    return found


def check_shortlist(shortlist: Tensor, queries: int, galleries: int) -> None:
    """Raise ValueError unless `shortlist` is (queries, K) integers below `galleries`."""
    if shortlist.dim() != 2 or len(shortlist) != queries:
        raise ValueError(f"shortlist must be ({queries}, K), got {tuple(shortlist.shape)}")
    _check_integers(shortlist, "shortlist")
    if shortlist.numel() and not 0 <= int(shortlist.min()) <= int(shortlist.max()) < galleries:
        raise ValueError(f"shortlist must hold indices 0 to {galleries - 1} of galleries")


def check_pairs(pairs: Tensor, queries: int, galleries: int) -> None:
    """Raise ValueError unless `pairs` is (P, 2) integers below `queries` and `galleries`."""
    if pairs.dim() != 2 or pairs.shape[1] != 2:
        raise ValueError(f"pairs must be (P, 2), got {tuple(pairs.shape)}")
    _check_integers(pairs, "pairs")
    if len(pairs):
        least, (query, gallery) = int(pairs.min()), pairs.max(0).values.tolist()
        if least < 0 or query >= queries or gallery >= galleries:
            raise ValueError(
                f"pairs must hold indices 0 to {queries - 1} of queries and 0 to {galleries - 1} "
                "of galleries"
            )


def _check_integers(values: Tensor, name: str) -> None:
    if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
        raise ValueError(f"{name} must hold integers, got {values.dtype}")


def pairs_by_gallery(
    asking: Tensor, asked: Tensor, order: Sequence[int]
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Group pairs by gallery, so that what belongs to one is computed once.

    Args:
        asking, asked: (P,) the query and the gallery of each pair, on the CPU.
        order: all queries, in the order in which those of one gallery are wanted.

    Yields:
        A gallery, the queries that ask for it, and the places of these pairs among all.
    """
    place = torch.empty(len(order), dtype=torch.long)
    place[torch.as_tensor(order, dtype=torch.long)] = torch.arange(len(order))
    sorted_pairs = (asked.long() * len(order) + place[asking]).argsort()
    images, sizes = torch.unique_consecutive(asked[sorted_pairs], return_counts=True)
    for image, pairs in zip(images.tolist(), sorted_pairs.split(sizes.tolist())):
        yield image, asking[pairs], pairs
