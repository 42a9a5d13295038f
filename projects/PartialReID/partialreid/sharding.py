"""Distances over processes: each keeps the gallery images it extracted, queries travel in blocks.

Only distances and shortlists are gathered, so that a gallery may be as large as all processes'
memory. A single process is the case of one shard and one block.

Shapes: Q queries, G galleries of all processes, g galleries of this one, B queries of a block,
K shortlisted galleries per query, P pairs, D global features, C channels, N query columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .collectives import collect, collect_everywhere, gather_objects, rank, share, world_size
from .columns import Columns
from .shortlists import nearest

ROUGH_AT_ONCE = 256  # queries: memory and messages alone


class Images(NamedTuple):
    """What the network says of some images.

    Attributes:
        features: (B, D) global features of unit length.
        columns: (C, N_b) of every image.
        weights: (N_b,) of every image.
    """

    features: Tensor
    columns: Columns
    weights: Sequence[Tensor]


class Matcher(Protocol):
    """A distance between columns."""

    def every(self, query: Images, gallery: Images) -> Tensor:
        """Distances (B, g) of all pairs."""

    def pairs(self, query: Images, gallery: Images, pairs: Tensor) -> Tensor:
        """Distances (P,) of `pairs` (P, 2) of a query and a gallery image."""


Rough = Callable[[Images], Tensor]
"""A cheap distance (B, g) of a block of queries to this process's gallery."""


def sharded_distances(
    query: Images,
    gallery: Images,
    matcher: Matcher | None,
    *,
    topk: int = 0,
    fill: float = 100.0,
    rough: Rough | None = None,
    block_bytes: float = 256e6,
) -> tuple[Tensor, Tensor | None] | None:
    """Global and reconstruction distances of all processes' queries to all their galleries.

    Images are numbered process by process. Equal rough distances are shortlisted in that order,
    so that the result does not depend on how images are spread.

    Args:
        query, gallery: this process's images; either may be empty.
        matcher: distance of the columns; None computes global distances alone.
        topk: K, how many galleries are matched for each query; 0 or at least G matches all.
        fill: distance of the others.
        rough: distance whose K smallest are matched; None takes the global distance.
        block_bytes: how many bytes of columns travel at a time.

    Returns:
        On the main process global and reconstruction distances (Q, G) on the CPU, None elsewhere.
    """
    sizes = gather_objects(len(gallery.features))
    first, total = sum(sizes[: rank()]), sum(sizes)
    near_rows, matched_rows = [], []
    for block in _query_blocks(query, block_bytes):
        near = (block.features @ gallery.features.T).neg_().add_(1)
        near_rows.append(_collect_rows(near))
        if matcher is None:
            continue
        if topk <= 0 or topk >= total:
            matched_rows.append(_collect_rows(matcher.every(block, gallery)))
            continue
        if rough is None:
            shortlist = merged_shortlist(near, topk, first)
        else:
            parts = [merged_shortlist(rough(some), topk, first) for some in _split(block)]
            shortlist = torch.cat(parts)
        matched = _match_shortlist(matcher, block, gallery, shortlist, first)
        if rank() == 0:
            rows = torch.full((len(shortlist), total), fill, dtype=matched.dtype)
            matched_rows.append(rows.scatter_(1, shortlist, matched))
    if rank() != 0:
        return None
    near = _joined(near_rows, total)
    return near, None if matcher is None else _joined(matched_rows, total)


def merged_shortlist(distances: Tensor, topk: int, first: int) -> Tensor:
    """The nearest galleries of all processes, the same on each of them.

    Args:
        distances: (B, g) to this process's galleries.
        topk: K, at most G.
        first: number of this process's first gallery.

    Returns:
        (B, K) numbers of galleries on the CPU, nearest first; equal distances by number.
    """
    order = nearest(distances, topk)
    values = distances.gather(1, order).cpu()
    if world_size() == 1:
        return order.cpu()
    # Lists of one length, so that they can be gathered: the rest is farther than anything.
    padded = torch.full((len(values), topk), torch.inf, dtype=values.dtype)
    numbers = torch.full((len(values), topk), torch.iinfo(torch.int64).max)
    padded[:, : values.shape[1]] = values
    numbers[:, : values.shape[1]] = order.cpu() + first
    # Processes come in the order of their numbers, and each list is in order: a stable sort of
    # distances keeps equal ones by number.
    all_values = torch.cat(collect_everywhere(padded), dim=1)
    all_numbers = torch.cat(collect_everywhere(numbers), dim=1)
    return all_numbers.gather(1, nearest(all_values, topk))


def _match_shortlist(
    matcher: Matcher, block: Images, gallery: Images, shortlist: Tensor, first: int
) -> Tensor:
    """Distances (B, K) to the shortlist on the main process; each computes those of its images."""
    mine = (shortlist >= first) & (shortlist < first + len(gallery.features))
    asking, place = mine.nonzero().unbind(1)
    found = matcher.pairs(
        block, gallery, torch.stack([asking, shortlist[asking, place] - first], 1)
    )
    owners = collect(torch.stack([asking, place], 1))
    parts = collect(found)
    matched = torch.empty(shortlist.shape, dtype=found.dtype)
    for places, part in zip(owners, parts, strict=True):
        matched[places.unbind(1)] = part
    return matched


def _split(block: Images) -> Iterator[Images]:
    """A block in pieces whose rough distances take little memory; the same on each process."""
    for start in range(0, len(block.weights), ROUGH_AT_ONCE):
        some = range(start, min(start + ROUGH_AT_ONCE, len(block.weights)))
        features = block.features[start : some.stop]
        yield Images(features, [block.columns[i] for i in some], block.weights[start : some.stop])


def _query_blocks(query: Images, block_bytes: float) -> Iterator[Images]:
    """Blocks of all processes' queries, in order, the same on each process."""
    if world_size() == 1:
        if len(query.features):
            yield query
        return
    device = query.features.device
    for owner, counts in enumerate(gather_objects([len(w) for w in query.weights])):
        for start, stop in _cuts(counts, query, owner, block_bytes):
            some = range(start, stop) if owner == rank() else range(0)
            packed = [
                query.features[start:stop],
                torch.cat([query.columns[i].flatten() for i in some]) if some else torch.empty(0),
                torch.cat([query.weights[i] for i in some]) if some else torch.empty(0),
            ]
            features, columns, weights = share(packed, owner, device)
            lengths = counts[start:stop]
            channels = len(columns) // max(sum(lengths), 1)
            split = columns.split([channels * n for n in lengths])
            yield Images(
                features,
                [part.view(channels, n) for part, n in zip(split, lengths)],
                weights.split(lengths),
            )


def _cuts(
    counts: Sequence[int], query: Images, owner: int, block_bytes: float
) -> list[tuple[int, int]]:
    """First and last + 1 of each block of an owner's queries, of about `block_bytes`."""
    cuts: list[tuple[int, int]] = []
    if owner == rank() and counts:
        column = query.columns[0][:, 0]
        most = block_bytes / (column.numel() * column.element_size())
        start, columns = 0, 0
        for stop, count in enumerate(counts):
            if columns and columns + count > most:
                cuts.append((start, stop))
                start, columns = stop, 0
            columns += count
        cuts.append((start, len(counts)))
    return gather_objects(cuts)[owner]


def _collect_rows(rows: Tensor) -> Tensor:
    """(B, g) of every process side by side: (B, G) on the main one, (0,) elsewhere."""
    parts = collect(rows)
    if len(parts) == 1:
        return parts[0]
    return torch.cat(parts, dim=1) if parts else torch.empty(0)


def _joined(rows: list[Tensor], total: int) -> Tensor:
    if len(rows) == 1:
        return rows[0]
    return torch.cat(rows) if rows else torch.empty(0, total)
