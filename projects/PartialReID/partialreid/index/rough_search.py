"""Cheap distances from queries to all images of an index, block by block.

Shapes: Q queries, G images of the index, B of a block or of a selection, K shortlisted, D global
features.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..matching.coarse import rough_distances
from ..matching.extracted import Images
from ..matching.precision import full_precision
from ..matching.shortlists import nearest
from .blocks import IDS, Block, Blocks, Budget, read_codes, read_features
from .coarse_stage import read_space
from .database import Database
from .record import FEATURES


class RoughSearch:
    """What a shortlist is made from.

    Args:
        database: of the index.
        device: where distances are computed.
        memory_bytes: bound on what is kept of all images. Besides it there is one block, and Q
            (K + B) distances.
    """

    def __init__(self, database: Database, device: torch.device, memory_bytes: float) -> None:
        self._database, self._device = database, device
        budget = Budget(memory_bytes)
        self._kinds = {
            "coarse": Blocks(partial(read_codes, database, device), budget),
            "global": Blocks(self._read_features, budget),
        }
        self._fits: int | None = None
        self._ids = np.empty(0, dtype=np.int64)

    def update(self, ids: np.ndarray) -> None:
        """Go over to another commit, with these ids (G,), ascending."""
        self._ids = ids
        fits = self._database.about("fits")
        if fits != self._fits:
            # The images are the same, their codes are not.
            self._kinds["coarse"].forget()
            self._fits = fits
            self._space = read_space(self._database, self._device)

    def distances(self, query: Images, rows: np.ndarray | None, by: str, squared: bool) -> Tensor:
        """Distances (Q, B) to the images at some places, ascending; None: to all."""
        parts = [part for _, part in self._through(query, rows, by, squared)]
        return torch.cat(parts, dim=1) if parts else query.features.new_zeros(len(query.weights), 0)

    def shortlist(
        self, query: Images, topk: int, rows: np.ndarray | None, by: str, squared: bool
    ) -> Tensor:
        """Places (Q, K) of the nearest images on the CPU; equal distances by place."""
        values = torch.zeros(len(query.weights), 0)
        places = torch.zeros(len(query.weights), 0, dtype=torch.long)
        for here, distances in self._through(query, rows, by, squared):
            # Earlier places stand before later ones, so that a stable sort keeps equal ones so.
            values = torch.cat([values, distances.cpu()], dim=1)
            places = torch.cat([places, here.expand(len(values), -1)], dim=1)
            order = nearest(values, topk)
            values, places = values.gather(1, order), places.gather(1, order)
        return places

    def _through(
        self, query: Images, rows: np.ndarray | None, by: str, squared: bool
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Places (B,) and distances (Q, B), block by block."""
        if by not in self._kinds:
            raise ValueError(f'a shortlist is by {" or ".join(self._kinds)}, not by "{by}".')
        if not len(self._ids):
            return
        vectors = query.features
        if by == "coarse":
            assert self._space is not None, "it is fitted with the first image"
            with full_precision(self._device):
                vectors = self._space.query_vectors(query.columns, query.weights, squared)
        for here, block in self._blocks(self._kinds[by], rows):
            if by == "coarse":
                yield here, rough_distances(vectors, *block)
            else:
                with full_precision(self._device):
                    yield here, 1 - vectors @ block[0].to(vectors.dtype).T

    def _blocks(self, kind: Blocks, rows: np.ndarray | None) -> Iterator[tuple[Tensor, Block]]:
        """Places (B,) of the images that are asked for, and what is read of them."""
        numbers, starts = np.unique(self._ids // IDS, return_index=True)
        stops = [*starts[1:].tolist(), len(self._ids)]
        for number, start, stop in zip(numbers.tolist(), starts.tolist(), stops):
            if rows is None:
                here = np.arange(start, stop)
            else:
                here = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)]
            if not len(here):
                continue
            block = kind.block(number, self._ids[start:stop])
            if len(here) < stop - start:
                inside = torch.from_numpy(here - start).to(self._device)
                block = tuple(part[inside] for part in block)
            yield torch.from_numpy(here), block

    def _read_features(self, first: int, stop: int) -> Block:
        dtype = FEATURES[self._database.about("features")]
        return read_features(self._database, dtype, self._device, first, stop)
