"""Distances over processes: each keeps the gallery images it extracted, queries travel.

Only queries, distances and shortlists travel, so that a gallery may be as large as all processes'
memory. A single process is the case of one shard.

Shapes: Q queries and G galleries of all processes, g galleries of this one, K shortlisted
galleries per query, P pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..runtime.collectives import collect, collect_everywhere, gather_objects, rank, world_size
from .column_parts import ColumnPart
from .column_store import ColumnStore
from .extracted import Images
from .precision import full_precision
from .shortlists import FILL, nearest
from .travelling import everyones_images

ROUGH_AT_ONCE = 256  # queries: memory and messages alone


class Matcher(Protocol):
    """A distance between columns."""

    def every(self, query: Images, gallery: Images) -> Tensor:
        """Distances (Q, g) of all pairs."""

    def pairs(self, query: Images, gallery: Images, pairs: Tensor) -> Tensor:
        """Distances (P,) of `pairs` (P, 2) of a query and a gallery image."""


Rough = Callable[[Images], Tensor]
"""A cheap distance (B, g) of B queries to this process's gallery."""


def sharded_distances(
    query: Images,
    gallery: Images,
    matcher: Matcher | None,
    *,
    topk: int = 0,
    fill: float = FILL,
    rough: Rough | None = None,
    block_bytes: float = 256e6,
    visitors: ColumnStore | None = None,
) -> tuple[Tensor, Tensor | None] | None:
    """Global and reconstruction distances of all processes' queries to all their galleries.

    Images are numbered process by process. Equal rough distances are shortlisted in that order,
    so that the result does not depend on how images are spread.

    All queries come to every process before the matching, which then goes gallery by gallery: each
    gallery image is factored once, whatever the number of queries.

    Args:
        query, gallery: this process's images; either may be empty.
        matcher: distance of the columns; None computes global distances alone.
        topk: K, how many galleries are matched for each query; 0 or at least G matches all.
        fill: distance of the others.
        rough: distance whose K smallest are matched; None takes the global distance.
        block_bytes: how many bytes of columns travel at a time.
        visitors: where columns of other processes' queries are kept; None: all in memory.

    Returns:
        On the main process global and reconstruction distances (Q, G) on the CPU, None elsewhere.
    """
    sizes = gather_objects(len(gallery.features))
    first, total = sum(sizes[: rank()]), sum(sizes)
    everyone = everyones_images(query, matcher is not None, block_bytes, visitors)
    with full_precision(everyone.features.device):
        near = (everyone.features @ gallery.features.T).neg_().add_(1)
    matched = None
    if matcher is not None and 0 < topk < total:
        if rough is None:
            shortlist = merged_shortlist(near, topk, first)
        else:
            parts = [merged_shortlist(rough(some), topk, first) for some in _split(everyone)]
            shortlist = torch.cat(parts) if parts else torch.empty(0, topk, dtype=torch.long)
        matched = _match_shortlist(matcher, everyone, gallery, shortlist, sizes, fill)
    elif matcher is not None:
        matched = _side_by_side(matcher.every(everyone, gallery))
    near = _side_by_side(near)
    return None if rank() != 0 else (near, matched)


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
    if world_size() == 1:
        return order.cpu()
    values = distances.gather(1, order).cpu()
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
    matcher: Matcher,
    query: Images,
    gallery: Images,
    shortlist: Tensor,
    sizes: Sequence[int],
    fill: float,
) -> Tensor:
    """Distances (Q, G) on the main process; each process computes those of its galleries.

    Args:
        query: of all processes.
        gallery: of this process.
        shortlist: (Q, K) numbers of galleries.
        sizes: how many galleries each process has.
        fill: distance of pairs that are not shortlisted.
    """
    starts = [sum(sizes[:process]) for process in range(len(sizes))]
    first = starts[rank()]
    asking, asked = _pairs_of(shortlist, first, sizes[rank()])
    parts = collect(matcher.pairs(query, gallery, torch.stack([asking, asked - first], 1)))
    if rank() != 0:
        return torch.empty(0)
    matched = torch.full((len(shortlist), sum(sizes)), fill, dtype=parts[0].dtype)
    for start, size, part in zip(starts, sizes, parts, strict=True):
        matched[_pairs_of(shortlist, start, size)] = part
    return matched


def _pairs_of(shortlist: Tensor, first: int, size: int) -> tuple[Tensor, Tensor]:
    """Query and gallery (P,) of each shortlisted pair with galleries `first` to `first + size`."""
    asking, place = ((shortlist >= first) & (shortlist < first + size)).nonzero().unbind(1)
    return asking, shortlist[asking, place]


def _split(images: Images) -> Iterator[Images]:
    """Images in blocks whose rough distances take little memory; the same on each process."""
    for start in range(0, len(images.weights), ROUGH_AT_ONCE):
        some = range(start, min(start + ROUGH_AT_ONCE, len(images.weights)))
        features = images.features[start : some.stop]
        columns = ColumnPart(images.columns, some)
        yield Images(features, columns, images.weights[start : some.stop])


def _side_by_side(rows: Tensor) -> Tensor:
    """(Q, g) of every process side by side: (Q, G) on the main one, (0,) elsewhere."""
    parts = collect(rows)
    if len(parts) == 1:
        return parts[0]
    return torch.cat(parts, dim=1) if parts else torch.empty(0)
