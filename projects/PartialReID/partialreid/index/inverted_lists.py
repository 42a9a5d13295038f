"""The first pass of a search by inverted lists: images far from a query are not looked at.

Shapes: Q queries, G images of the index, B of a block, P leading numbers of a code, R candidates of
a query.

Images whose codes are alike stand in one list, and a query is compared with those of the few lists
whose centres it is nearest to. What stands in the others is not found: docs/scale.md has the curve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..runtime.progress import progress
from .blocks import IDS, Block, Budget

TRAINED_ON = 64  # images for each list, whose centres are found among them: speed alone
SEED = 1  # of the images that the centres begin as
ID_BYTES = 8
LISTS = 1  # times the root of the number of images: docs/scale.md has what others take
Through: TypeAlias = "Callable[[np.ndarray], Iterator[tuple[Tensor, Block]]]"
"""Goes through images at some places: places (B,), and leading levels, the others and scale."""


class InvertedLists:
    """As many lists as the root of the number of images, made by the first search.

    Images that come or go later are put in or taken out, and the centres stay as they are.

    Args:
        probes: how many lists a query looks into; more than there are: into all.
        budget: bytes that may be kept of all images.

    Attributes:
        probes: as given; it may be changed.

    Raises:
        ImportError: there is no faiss.
    """

    def __init__(self, probes: int, budget: Budget) -> None:
        import faiss  # it takes a while, and is for those who ask for lists

        self._faiss: Any = faiss
        self.probes, self._budget = probes, budget
        self._taken = 0
        self._index: Any = None
        self._ids = np.empty(0, dtype=np.int64)

    def forget(self) -> None:
        """Make them anew: all codes have changed."""
        self._index = None
        self._ids = np.empty(0, dtype=np.int64)
        self._take(0)

    def candidates(
        self, queries: Tensor, count: int, least: int, ids: np.ndarray, through: Through
    ) -> tuple[Tensor, Tensor] | None:
        """Query and place (n,) of R images for each query at most, query by query, ascending.

        Args:
            queries: (Q, P) leading numbers of their vectors.
            count: R.
            least: candidates that each query needs.
            ids: (G,) of all images, ascending; another array after each commit.
            through: the codes of the images at some places.

        Returns:
            None where a query has fewer than `least`, or there is no memory for the lists.
        """
        if ids is not self._ids and not self._follow(ids, queries.shape[1], through):
            return None
        self._index.nprobe = min(self.probes, self._index.nlist)
        _, found = self._index.search(queries.numpy(), count)
        if ((found >= 0).sum(1) < least).any():
            return None
        found.sort(axis=1)
        query, column = map(np.ascontiguousarray, (found >= 0).nonzero())
        places = np.searchsorted(ids, found[query, column])
        return torch.from_numpy(query), torch.from_numpy(places)

    def _follow(self, ids: np.ndarray, length: int, through: Through) -> bool:
        """Have the images of another commit in the lists; False where they would not fit."""
        needed = bytes_of_lists(len(ids), length)
        if needed > self._budget.left + self._taken:
            self.forget()
            return False
        self._take(needed)
        try:
            if self._index is None:
                self._index = self._centres(len(ids), length, through)
            self._change(ids, through)
        except BaseException:
            self.forget()  # they would hold some of what is new, and nobody would know of which
            raise
        return True

    def _change(self, ids: np.ndarray, through: Through) -> None:
        gone = np.setdiff1d(self._ids, ids, assume_unique=True)
        if len(gone):
            self._index.remove_ids(gone)
        new = np.flatnonzero(np.isin(ids, self._ids, assume_unique=True, invert=True))
        blocks = len(np.unique(ids[new] // IDS))
        for places, block in progress(through(new), blocks, "inverted lists", "blocks"):
            self._index.add_with_ids(_vectors(block), ids[places.numpy()])
        self._ids = ids

    def _centres(self, images: int, length: int, through: Through) -> Any:
        """Empty lists."""
        faiss, lists = self._faiss, round(LISTS * images**0.5)
        # Bytes of what the centre leaves of an image. faiss's products of bytes with bytes would
        # take those of a query to be its numbers without their fractions.
        index = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatIP(length),
            length,
            lists,
            faiss.ScalarQuantizer.QT_8bit,
            faiss.METRIC_INNER_PRODUCT,
        )
        index.cp.seed = SEED
        index.cp.min_points_per_centroid = 1  # below which it warns
        index.cp.max_points_per_centroid = TRAINED_ON
        some = np.arange(0, images, max(1, images // (TRAINED_ON * lists)))
        index.train(np.concatenate([_vectors(block) for _, block in through(some)]))
        return index

    def _take(self, wanted: int) -> None:
        """Bytes of the budget, in place of those that were taken."""
        self._budget.left += self._taken - wanted
        self._taken = wanted


def bytes_of_lists(images: int, length: int) -> int:
    """What lists of images take, of so many numbers each.

    Lists grow by doubling: two fifths more than what they hold were measured.
    """
    return images * (length + ID_BYTES) * 3 // 2


def _vectors(block: Block) -> np.ndarray:
    """(B, P): what the leading levels stand for."""
    leading, _, scale = block
    return (leading.to(scale.dtype) * scale[:, None]).numpy()
