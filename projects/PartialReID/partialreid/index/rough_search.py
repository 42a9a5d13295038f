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

from ..matching.coarse import CoarseSpace, rough_distances
from ..matching.coarse_integers import leading_numbers, query_bytes
from ..matching.extracted import Images
from ..matching.precision import full_precision
from ..matching.shortlists import nearest
from .blocks import IDS, Block, Blocks, Budget, read_codes, read_features
from .coarse_stage import read_space
from .database import Database
from .errors import damaged
from .inverted_lists import InvertedLists, bytes_of_lists
from .record import feature_type
from .two_passes import by_whole_codes, candidates_of, shortlist_in_two_passes

# So many times the candidates of a query: two passes over fewer images take as long as one.
MANY = 32
# Distances that are held before the nearest are taken: speed and memory alone.
AT_ONCE = 2**22


class RoughSearch:
    """What a shortlist is made from.

    Args:
        database: of the index.
        device: where distances are computed.
        memory_bytes: bound on what is kept of all images. Besides it there are a few blocks, some
            megabytes of distances, and where it holds all codes the candidates of two passes.
        probes: lists that the first of two passes looks into; None: it looks at all images.
    """

    def __init__(
        self,
        database: Database,
        device: torch.device,
        memory_bytes: float,
        probes: int | None = None,
    ) -> None:
        self._database, self._device = database, device
        self._memory_bytes = memory_bytes
        budget = Budget(memory_bytes)
        self._kinds = {
            "coarse": Blocks(self._read_codes, budget),
            "global": Blocks(self._read_features, budget),
        }
        self._lists = None if probes is None else InvertedLists(probes, budget)
        self._fits: int | None = None
        self._space: CoarseSpace | None = None

    def update(self, ids: np.ndarray) -> None:
        """Go over to another commit, with these ids (G,), ascending."""
        self._ids = ids
        numbers, starts = np.unique(ids // IDS, return_index=True)
        stops = [*starts[1:].tolist(), len(ids)]
        self._parts = [
            (number, np.arange(start, stop))
            for number, start, stop in zip(numbers.tolist(), starts.tolist(), stops)
        ]
        fits = self._database.about("fits")
        if fits != self._fits:
            # The images are the same, their codes are not.
            self._kinds["coarse"].forget()
            if self._lists is not None:
                self._lists.forget()
            self._fits = fits
            self._space = read_space(self._database, self._device)
            if self._space is not None:
                self._leading, self._others = leading_numbers(self._space)

    def distances(self, query: Images, rows: np.ndarray | None, by: str, squared: bool) -> Tensor:
        """Distances (Q, B) to the images at some places, ascending; None: to all."""
        parts = [part for _, part in self._through(query, rows, by, squared)]
        return torch.cat(parts, dim=1) if parts else query.features.new_zeros(len(query.weights), 0)

    def shortlist(
        self, query: Images, topk: int, rows: np.ndarray | None, by: str, squared: bool
    ) -> Tensor:
        """Places (Q, K) of the nearest images on the CPU; equal distances by place."""
        total = len(self._ids if rows is None else rows)
        if by == "coarse" and len(query.weights) and self._pays(total, topk):
            vectors = self._vectors(query, squared)
            parts = vectors[:, self._leading], vectors[:, self._others]
            blocks = partial(self._blocks, self._kinds[by], rows)
            # Of a selection the lists near a query may hold hardly any.
            found = self._listed(parts[0], topk) if rows is None else None
            if found is None:
                return shortlist_in_two_passes(parts, blocks, total, topk)
            both = query_bytes(torch.cat(parts, dim=1))
            return by_whole_codes(both, len(self._leading), found, blocks, topk)
        values = torch.zeros(len(query.weights), 0)
        places = torch.zeros(len(query.weights), 0, dtype=torch.long)
        for here, distances in _joined(self._through(query, rows, by, squared)):
            # Earlier places stand before later ones, so that equal ones stay in order.
            values = torch.cat([values, distances], dim=1)
            places = torch.cat([places, here.expand(len(values), -1)], dim=1)
            order = nearest(values, topk)
            values, places = values.gather(1, order), places.gather(1, order)
        return places

    def _pays(self, total: int, topk: int) -> bool:
        """Whether two passes are faster: many images, and all codes in memory of the CPU."""
        if self._space is None or self._device.type != "cpu":
            return False
        fits = self._bytes_of_codes() <= self._memory_bytes
        return fits and total > MANY * candidates_of(topk)

    def _bytes_of_codes(self) -> int:
        assert self._space is not None, "it is fitted with the first image"
        return len(self._ids) * (len(self._space.mean) + self._space.mean.itemsize)

    def _listed(self, leading: Tensor, topk: int) -> tuple[Tensor, Tensor] | None:
        """Query and place (n,) of the candidates by inverted lists; None: look at all images."""
        if self._lists is None:
            return None
        # The codes come first: reading them anew in each search takes longer than lists save.
        listed = bytes_of_lists(len(self._ids), leading.shape[1])
        if self._bytes_of_codes() + listed > self._memory_bytes:
            return None
        through = partial(self._blocks, self._kinds["coarse"])
        return self._lists.candidates(leading, candidates_of(topk), topk, self._ids, through)

    def _vectors(self, query: Images, squared: bool) -> Tensor:
        assert self._space is not None, "it is fitted with the first image"
        with full_precision(self._device):
            return self._space.query_vectors(query.columns, query.weights, squared)

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
            vectors = self._vectors(query, squared)
            leading, others = vectors[:, self._leading], vectors[:, self._others]
        for here, block in self._blocks(self._kinds[by], rows):
            if by == "coarse":
                first, second, scale = block
                near = rough_distances(leading, first, scale)
                yield here, near + rough_distances(others, second, scale)
            else:
                with full_precision(self._device):
                    yield here, 1 - vectors @ block[0].to(vectors.dtype).T

    def _blocks(self, kind: Blocks, rows: np.ndarray | None) -> Iterator[tuple[Tensor, Block]]:
        """Places (B,) of the images that are asked for, and what is read of them."""
        for number, here in self._parts:
            start, stop = int(here[0]), int(here[-1]) + 1
            if rows is not None:
                here = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)]
            if not len(here):
                continue
            block = kind.block(number, self._ids[start:stop])
            if len(block[0]) != stop - start:  # each would be taken for its neighbour
                raise damaged(self._database.path, "numbers of some images are not there")
            if len(here) < stop - start:
                inside = torch.from_numpy(here - start).to(self._device)
                block = tuple(part[inside] for part in block)
            yield torch.from_numpy(here), block

    def _read_codes(self, first: int, stop: int) -> Block:
        """Leading levels, the others, and scale."""
        levels, scale = read_codes(self._database, self._device, first, stop)
        return levels[:, self._leading], levels[:, self._others], scale

    def _read_features(self, first: int, stop: int) -> Block:
        dtype = feature_type(self._database)
        return read_features(self._database, dtype, self._device, first, stop)


def _joined(parts: Iterator[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """Places and distances on the CPU, several blocks at a time."""
    places: list[Tensor] = []
    distances: list[Tensor] = []
    for here, some in parts:
        places.append(here)
        distances.append(some.cpu())
        if sum(map(Tensor.numel, distances)) >= AT_ONCE:
            yield torch.cat(places), torch.cat(distances, dim=1)
            places, distances = [], []
    if places:
        yield torch.cat(places), torch.cat(distances, dim=1)
