"""Shortlists of galleries per query, turned into one list of queries per gallery.

Shapes: Q queries, K shortlisted galleries per query.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor


def check_shortlist(shortlist: Tensor, queries: int, galleries: int) -> None:
    """Raise ValueError unless `shortlist` is (queries, K) integers below `galleries`."""
    if shortlist.dim() != 2 or len(shortlist) != queries:
        raise ValueError(f"shortlist must be ({queries}, K), got {tuple(shortlist.shape)}")
    if shortlist.is_floating_point() or shortlist.is_complex() or shortlist.dtype == torch.bool:
        raise ValueError(f"shortlist must hold integers, got {shortlist.dtype}")
    if shortlist.numel() and not 0 <= int(shortlist.min()) <= int(shortlist.max()) < galleries:
        raise ValueError(f"shortlist must hold indices 0 to {galleries - 1} of galleries")


def pairs_by_gallery(
    shortlist: Tensor, order: Sequence[int]
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Regroup the pairs of a shortlist, so that what belongs to a gallery is computed once.

    Args:
        shortlist: (Q, K) integers.
        order: all queries, in the order in which those of one gallery are wanted.

    Yields:
        A gallery, the queries that list it, and the places of these pairs in
        `shortlist.flatten()`; the last two on the CPU.
    """
    galleries = shortlist.detach().cpu().long().flatten()
    asking = torch.arange(len(shortlist)).repeat_interleave(shortlist.shape[1])
    place = torch.empty(len(shortlist), dtype=torch.long)
    place[torch.as_tensor(order, dtype=torch.long)] = torch.arange(len(shortlist))
    sorted_pairs = (galleries * len(shortlist) + place[asking]).argsort()
    images, sizes = torch.unique_consecutive(galleries[sorted_pairs], return_counts=True)
    for image, pairs in zip(images.tolist(), sorted_pairs.split(sizes.tolist())):
        yield image, asking[pairs], pairs
