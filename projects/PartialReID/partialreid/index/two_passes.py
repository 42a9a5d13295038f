"""The nearest of very many images by their coarse codes: all by a part of it, some by the whole.

Shapes: Q queries, G images, B of a block, L numbers of a code, R candidates of a query or more, K
shortlisted.

What a search of a large index takes is the time of reading the codes, so that a first pass reads
their leading numbers alone, by products of integers. The second reads the codes of those that it
leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from ..matching.coarse_integers import (
    QueryBytes,
    candidate_distances,
    integer_product,
    query_bytes,
)
from ..matching.shortlists import nearest
from .blocks import Block
from .candidates import Candidates

# Of each shortlisted image, by the first pass, and at least. docs/scale.md has the recall.
CANDIDATES, LEAST = 10, 1000
DISTANCES = 2**23  # at once: speed and memory alone
CODES = 2**27  # bytes of candidates' codes at once: memory alone
FEW = 8  # queries, of which torch leaves the product to one thread: speed alone
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
    both = query_bytes(torch.cat(vectors, dim=1))
    split = vectors[0].shape[1]
    found = Candidates(len(both.high), candidates_of(topk))
    width = max(DISTANCES // len(both.high), 1)
    for places, distances in _leading(both.high[:, :split].contiguous(), blocks, min(width, total)):
        found.add(places, distances)
    return by_whole_codes(both, split, found.pairs(), blocks, topk)


def by_whole_codes(
    queries: QueryBytes, split: int, pairs: tuple[Tensor, Tensor], blocks: Through, topk: int
) -> Tensor:
    """Places (Q, K) of the nearest candidates of each query; equal distances by place.

    Args:
        queries: their vectors, leading numbers first.
        split: how many are leading.
        pairs: query and place (P,) of the candidates, query by query, places ascending.
        blocks: see `Through`.
        topk: K; each query has so many candidates at least.
    """
    high, low = queries
    query, place = pairs
    shortlist = torch.empty(len(high), topk, dtype=torch.long)
    at_once = max(1, CODES * len(high) // (len(place) * high.shape[1]))
    starts = torch.searchsorted(query, torch.arange(len(high) + 1)).tolist()
    for first in range(0, len(high), at_once):
        stop = min(first + at_once, len(high))
        begin, end = starts[first], starts[stop]
        wanted, among = place[begin:end].unique(return_inverse=True)
        codes = _codes(blocks, wanted)
        for one in range(first, stop):
            mine = slice(starts[one], starts[one + 1])
            here = among[starts[one] - begin : starts[one + 1] - begin]
            leading, rest, scale = (part.index_select(0, here) for part in codes)
            both = torch.stack([high[one], low[one]])
            product = integer_product(both[:, :split].contiguous(), leading)
            product += integer_product(both[:, split:].contiguous(), rest)
            distances = candidate_distances(*product.float() * scale)
            shortlist[one] = place[mine][nearest(distances[None], topk)[0]]
    return shortlist


def _leading(high: Tensor, blocks: Through, width: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Places and distances by leading numbers, in chunks of about `width` images.

    The distances are to be used before the next chunk: they lie in the same memory, as new memory
    takes longer than the product.
    """

    def compute(into: Tensor, leading: Tensor, scale: Tensor) -> None:
        into.copy_(integer_product(high, leading)).mul_(-scale)

    held = _memory(len(high), width)
    places: list[Tensor] = []
    running: list[Future[None]] = []
    filled = 0
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for here, (leading, _, scale) in blocks():
            if filled + len(here) > held.shape[1]:
                if filled:
                    _wait(running)
                    yield torch.cat(places), held[:, :filled]
                places, running, filled = [], [], 0
                if len(here) > held.shape[1]:
                    held = _memory(len(high), len(here))
            into = held[:, filled : filled + len(here)]
            if len(high) < FEW:
                running.append(pool.submit(compute, into, leading, scale))
            else:
                compute(into, leading, scale)
            places.append(here)
            filled += len(here)
        if filled:
            _wait(running)
            yield torch.cat(places), held[:, :filled]


def _memory(*shape: int) -> Tensor:
    # Made in inference mode, it could not be written to by other threads, which are not in it.
    with torch.inference_mode(False):
        return torch.empty(shape)


def _wait(running: Sequence[Future[None]]) -> None:
    """Until all is done; raises what was raised there."""
    for one in running:
        one.result()


def _codes(blocks: Through, wanted: Tensor) -> Block:
    """The codes of images at some places (P,), ascending: leading levels, the others, scale."""
    found: Block = ()
    begin = 0
    for here, block in blocks():
        end = int(torch.searchsorted(wanted, here[-1], right=True))
        if end > begin:
            found = found or tuple(part.new_empty(len(wanted), *part.shape[1:]) for part in block)
            inside = torch.searchsorted(here, wanted[begin:end])
            for part, of_block in zip(found, block):
                torch.index_select(of_block, 0, inside, out=part[begin:end])
        begin = end
    return found
