"""The nearest of very many images by their coarse codes: all by a part of it, some by the whole.

Shapes: Q queries, G images, B of a block, L numbers of a code, R candidates of a query or more, K
shortlisted.

What a search of a large index takes is the time of reading the codes, so that a first pass reads
their leading numbers alone, by products of integers. The second reads the codes of those that it
leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..matching.coarse_integers import candidate_distances, integer_product, query_bytes
from ..matching.shortlists import nearest
from .blocks import Block
from .candidates import Candidates

# Of each shortlisted image, by the first pass, and at least. docs/scale.md has the recall.
CANDIDATES, LEAST = 10, 1000
DISTANCES = 2**25  # at once: memory alone
CODES = 2**27  # bytes of candidates' codes at once: memory alone
Through = Callable[[], "Iterator[tuple[Tensor, Block]]"]
"""Goes through an index: places (B,) and, of each image, leading levels, the others and scale."""


def candidates_of(topk: int) -> int:
    """R of a shortlist of K."""
    return max(CANDIDATES * topk, LEAST)


def shortlist_in_two_passes(
    vectors: tuple[Tensor, Tensor], blocks: Through, total: int, topk: int
) -> Tensor:
    """Places (Q, K) of the nearest images on the CPU; equal distances by place.

    Args:
        vectors: of Q queries, their leading numbers and the others.
        blocks: see `Through`.
        total: G, R or more.
        topk: K.
    """
    high, low = query_bytes(torch.cat(vectors, dim=1))
    split = vectors[0].shape[1]
    found = Candidates(len(high), candidates_of(topk))
    width = max(DISTANCES // len(high), 1)
    for places, distances in _leading(high[:, :split].contiguous(), blocks, min(width, total)):
        found.add(places, distances)
    query, place = found.pairs()
    shortlist = torch.empty(len(high), topk, dtype=torch.long)
    at_once = max(1, CODES * len(high) // (len(place) * high.shape[1]))
    starts = torch.searchsorted(query, torch.arange(len(high) + 1)).tolist()
    for first in range(0, len(high), at_once):
        stop = min(first + at_once, len(high))
        begin, end = starts[first], starts[stop]
        leading, rest, scale = _codes(blocks, place[begin:end], high.shape[1], split)
        for one in range(first, stop):
            mine = slice(starts[one] - begin, starts[one + 1] - begin)
            both = torch.stack([high[one], low[one]])
            product = integer_product(both[:, :split].contiguous(), leading[mine])
            product += integer_product(both[:, split:].contiguous(), rest[mine])
            distances = candidate_distances(*product.float() * scale[mine])
            shortlist[one] = place[starts[one] : starts[one + 1]][nearest(distances[None], topk)[0]]
    return shortlist


def _leading(high: Tensor, blocks: Through, width: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Places and distances by leading numbers, in chunks of `width` images or little more."""
    places: list[Tensor] = []
    parts: list[Tensor] = []
    held = 0
    for here, (leading, _, scale) in blocks():
        places.append(here)
        parts.append(integer_product(high, leading) * -scale)
        held += len(here)
        if held >= width:
            yield torch.cat(places), torch.cat(parts, dim=1)
            places, parts, held = [], [], 0
    if held:
        yield torch.cat(places), torch.cat(parts, dim=1)


def _codes(blocks: Through, places: Tensor, length: int, split: int) -> Block:
    """The codes of images at some places, in that order: leading levels, the others, scale."""
    order = places.argsort()
    wanted = places[order]
    leading = torch.empty(len(places), split, dtype=torch.int8)
    rest = torch.empty(len(places), length - split, dtype=torch.int8)
    scale = torch.empty(len(places))
    begin = 0
    for here, block in blocks():
        end = int(torch.searchsorted(wanted, here[-1], right=True))
        if end > begin:
            inside = torch.searchsorted(here, wanted[begin:end])
            for part, of_block in zip((leading, rest, scale), block):
                part.index_copy_(0, order[begin:end], of_block.index_select(0, inside))
        begin = end
    return leading, rest, scale
