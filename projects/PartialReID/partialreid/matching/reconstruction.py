"""Ridge reconstruction distances between sets of columns.

Shapes: Q queries, G galleries, K shortlisted galleries per query, C channels, N query columns,
M gallery columns; N and M may differ from image to image.

Every gallery image becomes one projector, so that the residuals of a block of pairs are one
matrix product and a sum of squares (see `gallery_factors`), and a pair costs no solve.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from queue import SimpleQueue
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from .columns import ColumnBlocks, Columns, check_fit, padded_weights
from .kappa import check_kappa
from .precision import full_precision
from .residual_tiles import ResidualTiles
from .shortlists import check_pairs, check_shortlist, pairs_by_gallery
from .worker_threads import side_by_side

KAPPA = 1e-3
MEMORY_BYTES = 512 * 2**20
# A pair of a block costs about this share of one that is looked up by itself. Speed alone.
DENSE_SHORTLIST = 0.7
# Blocks for each of several threads, so that none is left alone with the last. Speed alone.
BLOCKS_OF_A_WORKER = 4
T = TypeVar("T")


class Track(Protocol):
    """What shows the progress over a sequence; `iter` shows none."""

    def __call__(self, work: Sequence[T], /) -> Iterable[T]:
        """The items of `work`, in order."""


@torch.no_grad()
def reconstruction_distance(
    query: Columns,
    gallery: Columns,
    weights: Tensor | Sequence[Tensor] | None = None,
    *,
    kappa: float = KAPPA,
    squared: bool = False,
    memory_bytes: int | None = None,
    track: Track = iter,
) -> Tensor:
    """Compute d = sum_n w_n ||q_n - G W_n||, W = (G'G + kappa I)^-1 G'Q, for all pairs.

    Columns are taken as they are: normalise them first. Those stored in float16 or bfloat16 are
    read block by block into float32. The result carries no gradient. Un-squared, this is the
    distance of SFR (He et al. 2018) and, with the query's foreground weights, of FastReID-DSR.

    Args:
        query: (Q, C, N), or Q tensors (C, N_q).
        gallery: (G, C, M), or G tensors (C, M_g).
        weights: (Q, N), or Q tensors (N_q,); None weighs the columns of each image equally.
        kappa: the ridge, > 0, in the units of the columns' squared length.
        squared: sum squared residuals in place of residuals.
        memory_bytes: bound on the working memory besides arguments and result, 512 MiB by
            default; less than one pair needs is taken as one pair.
        track: wraps the sequence of gallery blocks, to show how far the work is.

    Returns:
        (Q, G) in float64 if query or gallery is, else in float32.

    Raises:
        ValueError: arguments that do not fit each other, kappa <= 0, or columns that hold an
            infinity or NaN.
    """
    return _exhaustive(_tiles(query, gallery, weights, kappa, squared, memory_bytes), track)


@torch.no_grad()
def reconstruction_distance_topk(
    query: Columns,
    gallery: Columns,
    shortlist: Tensor,
    weights: Tensor | Sequence[Tensor] | None = None,
    *,
    kappa: float = KAPPA,
    squared: bool = False,
    memory_bytes: int | None = None,
    track: Track = iter,
) -> Tensor:
    """Compute the distances of `reconstruction_distance` from each query to a shortlist.

    Pairs are taken gallery by gallery, so that each shortlisted image is factored once.

    Args:
        query, gallery, weights: as in `reconstruction_distance`.
        shortlist: (Q, K) integers, indices of galleries in any order; repeats are allowed.
        kappa, squared, memory_bytes, track: as in `reconstruction_distance`.

    Returns:
        (Q, K): entry (q, k) is the distance from query q to gallery shortlist[q, k].

    Raises:
        ValueError: as in `reconstruction_distance`, or a shortlist of another shape or dtype or
            with an index that no gallery has.
    """
    tiles = _tiles(query, gallery, weights, kappa, squared, memory_bytes)
    shortlist = shortlist.detach().cpu()
    check_shortlist(shortlist, len(tiles.query), len(tiles.gallery))
    if shortlist.shape[1] >= DENSE_SHORTLIST * len(tiles.gallery):
        return _exhaustive(tiles, track).gather(1, shortlist.long().to(tiles.device))
    asking = torch.arange(len(shortlist)).repeat_interleave(shortlist.shape[1])
    found = _pairs(tiles, asking, shortlist.flatten(), track)
    return found.view(shortlist.shape)


@torch.no_grad()
def reconstruction_distance_pairs(
    query: Columns,
    gallery: Columns,
    pairs: Tensor,
    weights: Tensor | Sequence[Tensor] | None = None,
    *,
    kappa: float = KAPPA,
    squared: bool = False,
    memory_bytes: int | None = None,
    track: Track = iter,
) -> Tensor:
    """Compute the distances of `reconstruction_distance` for any list of pairs.

    Args:
        query, gallery, weights: as in `reconstruction_distance`.
        pairs: (P, 2) integers, a query and a gallery image each, in any order.
        kappa, squared, memory_bytes, track: as in `reconstruction_distance`.

    Returns:
        (P,) distances.

    Raises:
        ValueError: as in `reconstruction_distance`, or pairs of another shape or dtype or with an
            index that no query or gallery has.
    """
    tiles = _tiles(query, gallery, weights, kappa, squared, memory_bytes)
    pairs = pairs.detach().cpu()
    check_pairs(pairs, len(tiles.query), len(tiles.gallery))
    asking, asked = pairs.long().unbind(1)
    return _pairs(tiles, asking, asked, track)


def _pairs(tiles: ResidualTiles, asking: Tensor, asked: Tensor, track: Track) -> Tensor:
    """Distances (P,) of queries `asking` (P,) to galleries `asked` (P,), gallery by gallery."""
    out = torch.empty(len(asking), dtype=tiles.dtype, device=tiles.device)
    # Queries come by size within a gallery, which keeps the padding of ragged ones small.
    groups = list(pairs_by_gallery(asking, asked, tiles.query.by_size()))
    workers = torch.get_num_threads() if tiles.device.type == "cpu" else 1
    free: SimpleQueue[ResidualTiles] = SimpleQueue()
    for part in tiles.divided(workers):
        free.put(part)
    step = part.gallery_block
    if workers > 1:
        step = min(step, -(-len(groups) // (BLOCKS_OF_A_WORKER * workers)))
    blocks = [groups[start : start + step] for start in range(0, len(groups), max(step, 1))]

    def distances(block: list[tuple[int, Tensor, Tensor]]) -> Tensor:
        images, queries, _ = zip(*block)
        own = free.get()
        try:
            return own.pair_distances(own.factor(list(images)), list(images), queries)
        finally:
            free.put(own)

    with full_precision(tiles.device), side_by_side(distances, blocks, workers) as results:
        for block, found in zip(track(blocks), results):
            out[torch.cat([places for _, _, places in block]).to(out.device)] = found
    return out


def _exhaustive(tiles: ResidualTiles, track: Track) -> Tensor:
    shape = (len(tiles.query), len(tiles.gallery))
    out = torch.empty(shape, dtype=tiles.dtype, device=tiles.device)
    if not out.numel():
        return out
    queries = _blocks(tiles.query.by_size(), tiles.query_block, out.device)
    galleries = _blocks(tiles.gallery.by_size(), tiles.gallery_block, out.device)
    with full_precision(tiles.device):
        for members, columns in track(galleries):
            projectors = tiles.factor(members)
            for some, rows in queries:
                found = tiles.block_distances(projectors, members, some, rows)
                out[rows[:, None], columns] = found.T
    return out


def _blocks(images: list[int], size: int, device: torch.device) -> list[tuple[list[int], Tensor]]:
    """Numbers of images in blocks, for the host and on the device.

    They go there once, all together: the host would wait for each that it sends or reads.
    """
    sent = torch.as_tensor(images, device=device).split(size)
    parts = [images[start : start + size] for start in range(0, len(images), size)]
    return list(zip(parts, sent, strict=True))


def _tiles(
    query: Columns,
    gallery: Columns,
    weights: Tensor | Sequence[Tensor] | None,
    kappa: float,
    squared: bool,
    memory_bytes: int | None,
) -> ResidualTiles:
    check_kappa(kappa)
    queries, galleries = ColumnBlocks(query, "query"), ColumnBlocks(gallery, "gallery")
    dtype = check_fit(queries, galleries)
    bound = MEMORY_BYTES if memory_bytes is None else memory_bytes
    padded = padded_weights(weights, queries, dtype)
    return ResidualTiles(queries, galleries, padded, kappa, squared, bound)
