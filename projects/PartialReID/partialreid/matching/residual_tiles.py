"""Distances of one block of queries to one block of galleries, in bounded memory.

Shapes: G galleries and Q queries of a block, C channels, N query columns, M gallery columns.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from .columns import ColumnBlocks
from .gallery_factors import direct_residuals, gallery_projectors

# Large enough for full speed of the matrix product, small enough for the last-level cache. Speed
# alone.
CPU_TILE_BYTES = 8 * 2**20
CPU_TILE_COLUMNS = 900
# The projector's residual is a difference of squares and good to about 4e-6 ||q||^2 in float32
# (1e-14 in float64); below these shares of ||q||^2 the direct residual takes over. Rounding alone.
NEARLY_EXACT = {torch.float32: 1e-2, torch.float64: 1e-8}


class ResidualTiles:
    """Buffers and block sizes for the distances between two sets of columns.

    Args:
        query, gallery: the columns.
        weights: (Q, N) of all queries, zero where an image has fewer columns.
        kappa: the ridge.
        squared: sum squared residuals in place of residuals.
        memory_bytes: bound on the buffers; one pair at a time is the least.

    Attributes:
        gallery_block: galleries to factor at a time.
        query_block: queries to gather at a time.
    """

    def __init__(
        self,
        query: ColumnBlocks,
        gallery: ColumnBlocks,
        weights: Tensor,
        kappa: float,
        squared: bool,
        memory_bytes: int,
    ) -> None:
        self.query, self.gallery, self.weights = query, gallery, weights
        self.kappa, self.squared = kappa, squared
        self.dtype, self.device = weights.dtype, weights.device
        self.norms = query.squared_norms(self.dtype)
        self._buffers: dict[str, Tensor] = {}
        self._memory_bytes = memory_bytes
        self._plan(memory_bytes)

    def divided(self, workers: int) -> list[ResidualTiles]:
        """As many of the same columns as there are workers, which share the memory."""
        parts = [copy.copy(self) for _ in range(workers)]
        for part in parts:
            part._buffers = {}
            part._plan(self._memory_bytes // workers)
        return parts

    def _plan(self, memory_bytes: int) -> None:
        size = self.dtype.itemsize
        # Projectors, gathered queries, product, pairs being finished, and factoring or solving.
        share = memory_bytes // 5
        channels = max(self.query.channels or 0, self.gallery.channels or 0, 1)
        columns_q, columns_g = max(self.query.widest, 1), max(self.gallery.widest, 1)
        bytes_q, bytes_g = (columns * channels * size for columns in (columns_q, columns_g))
        on_cpu = self.device.type == "cpu"
        self.gallery_block = max(1, share // bytes_g)
        # More query columns than this would make the sums over a tile larger than a share.
        most = columns_g * channels // 8
        most = min(most, CPU_TILE_COLUMNS) if on_cpu else most
        self.query_block = max(1, min(share // bytes_q, most // columns_q))
        # While factoring, an image needs a converted copy and its squares, twice as wide where
        # it takes float64, and five M x M matrices in float64.
        self._factor_block = max(1, share // (5 * bytes_g + 40 * columns_g**2))
        tile_bytes = min(share, CPU_TILE_BYTES) if on_cpu else share
        self._tile = max(1, tile_bytes // (columns_g * self.query_block * columns_q * size))
        self._direct_columns = max(1, share // (48 * channels))
        self._pairs = max(1, share // (8 * columns_q * size))

    def _buffer(self, name: str, *shape: int) -> Tensor:
        # Fresh memory of this size costs page faults at every tile; a kept buffer costs them once.
        numbers = math.prod(shape)
        if name not in self._buffers or self._buffers[name].numel() < numbers:
            self._buffers[name] = torch.empty(numbers, dtype=self.dtype, device=self.device)
        return self._buffers[name][:numbers].view(shape)

    def factor(self, galleries: list[int]) -> Tensor:
        """Compute the projectors (G, M, C) of some gallery images; the next call overwrites them.

        Raises:
            ValueError: a column holds an infinity or NaN.
        """
        wide = max(self.gallery.counts[image] for image in galleries)
        projectors = self._buffer("projectors", len(galleries), wide, self.gallery.channels or 0)
        for start in range(0, len(galleries), self._factor_block):
            part = galleries[start : start + self._factor_block]
            columns = self.gallery.stack(part, self.dtype)
            target = projectors[start : start + len(part)]
            target[:, columns.shape[2] :] = 0
            gallery_projectors(
                columns,
                self.kappa,
                out=target[:, : columns.shape[2]],
                untrusted=partial(self._require_finite, columns, part),
            )
        return projectors

    def _require_finite(self, columns: Tensor, images: list[int]) -> None:
        self.gallery.require_finite(columns.square().sum(1), images)

    def block_distances(
        self, projectors: Tensor, galleries: list[int], queries: list[int], places: Tensor
    ) -> Tensor:
        """Compute the distances (G, Q) of all pairs of factored galleries and some queries.

        Args:
            projectors: (G, M, C) of `galleries`.
            galleries: numbers of the gallery images.
            queries: numbers of the queries.
            places: the same (Q,) on the device of the columns.
        """
        columns = self._gather(queries)
        starts = range(0, len(galleries), self._tile)
        parts = [projectors[start : start + self._tile] for start in starts]
        explained = torch.cat([self._explained(part, columns) for part in parts])
        shape = (len(galleries), len(queries), columns.shape[1] // len(queries))
        images = torch.tensor(galleries)[:, None], torch.tensor(queries)[None]
        return self._distances(explained.view(shape), *images, places[None])

    def pair_distances(
        self, projectors: Tensor, galleries: list[int], asking: Sequence[Tensor]
    ) -> Tensor:
        """Compute the distances of factored galleries to the queries that ask for each.

        Args:
            projectors: (G, M, C) of `galleries`.
            asking: for each gallery, indices of queries.

        Returns:
            One distance per pair, gallery after gallery.
        """
        sizes = torch.tensor([len(some) for some in asking])
        listed, queries = torch.tensor(galleries).repeat_interleave(sizes), torch.cat(list(asking))
        found = []
        for batch in self._batches(asking):
            # The steps after the product are short; over many pairs at once they cost little.
            pairs = slice(batch[0][1].start, batch[-1][1].stop)
            shape = (pairs.stop - pairs.start, self.query.widest)
            explained = torch.zeros(shape, dtype=self.dtype, device=self.device)
            for place, part in batch:
                columns = self._gather(queries[part].tolist())
                wide = columns.shape[1] // (part.stop - part.start)
                target = explained[part.start - pairs.start : part.stop - pairs.start, :wide]
                target.copy_(self._explained(projectors[place][None], columns).view_as(target))
            places = queries[pairs].to(self.device)
            found.append(self._distances(explained, listed[pairs], queries[pairs], places))
        return torch.cat(found)

    def _batches(self, asking: Sequence[Tensor]) -> Iterator[list[tuple[int, slice]]]:
        """Cut the pairs into pieces of one gallery (its place, the pairs), and group these."""
        step = min(self.query_block, self._pairs)
        batch: list[tuple[int, slice]] = []
        stop = 0
        for place, some in enumerate(asking):
            start, stop = stop, stop + len(some)
            for first in range(start, stop, step):
                piece = slice(first, min(first + step, stop))
                if batch and piece.stop - batch[0][1].start > self._pairs:
                    yield batch
                    batch = []
                batch.append((place, piece))
        if batch:
            yield batch

    def _gather(self, queries: list[int]) -> Tensor:
        """Some queries as one matrix (C, Q * N), which the next call overwrites."""
        wide = max(self.query.counts[image] for image in queries)
        block = self._buffer("queries", self.query.channels or 0, len(queries), wide)
        return self.query.side_by_side(queries, block).flatten(1)

    def _explained(self, projectors: Tensor, columns: Tensor) -> Tensor:
        """||P'q||^2 as (G, R) of projectors (G, M, C) and columns (C, R)."""
        product = self._buffer("product", *projectors.shape[:2], columns.shape[1])
        torch.mm(projectors.flatten(0, 1), columns, out=product.flatten(0, 1))
        # Still in the cache, the square and the sum cost about a hundredth of the product.
        return torch.mul(product, product, out=product).sum(1)

    def _distances(
        self, explained: Tensor, galleries: Tensor, queries: Tensor, places: Tensor
    ) -> Tensor:
        """Distances (...) from ||P'q||^2 (..., N) and the images (...) of each pair.

        The host looks up images where it is, so they lie on the CPU; `places` are the queries on
        the device.
        """
        wide = explained.shape[-1]
        norms, weights = self.norms[places, :wide], self.weights[places, :wide]
        residuals = norms - explained
        nearly = residuals < NEARLY_EXACT[self.dtype] * norms
        if nearly.any():
            self._replace(residuals, nearly, galleries, queries)
        residuals.clamp_(min=0)
        errors = residuals if self.squared else residuals.sqrt_()
        return (errors * weights).sum(-1)

    def _replace(
        self, residuals: Tensor, nearly: Tensor, galleries: Tensor, queries: Tensor
    ) -> None:
        """Put the direct residual where `nearly`; pairs come gallery by gallery."""
        places = nearly.nonzero()
        shape = residuals.shape[:-1]
        *pair, column = places.cpu().unbind(1)
        of_gallery, of_query = (
            numbers.expand(shape)[tuple(pair)] for numbers in (galleries, queries)
        )
        images, sizes = torch.unique_consecutive(of_gallery, return_counts=True)
        start = 0
        for image, size in zip(images.tolist(), sizes.tolist()):
            span = self.gallery.stack([image], self.dtype)[0]
            stop = start + size
            for first in range(start, stop, self._direct_columns):
                some = slice(first, min(first + self._direct_columns, stop))
                wanted = self.query.pick(of_query[some], column[some], self.dtype)
                residuals[places[some].unbind(1)] = direct_residuals(wanted, span, self.kappa)
            start = stop
