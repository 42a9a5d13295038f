"""Test sets with harder queries, made from whole images: `<Name>Partial`, `Occluded` and `Small`.

For each data set with queries and a gallery there are three more: `<Name>Partial` with cut queries,
`<Name>Occluded` with queries behind objects and `<Name>Small` with queries of few pixels. Training
images and gallery are those of `<Name>`. They are found by name when they are asked for
(`catalogue`) and not registered.
"""

from __future__ import annotations

import logging
import os
from typing import Any, ClassVar

from fastreid.data.datasets.bases import ImageDataset

from ..images.labels import evaluation_lists
from ..images.lists import Item
from ..images.protocol_check import check_protocol
from .cuts import cut_queries
from .hidden import hidden_queries
from .queries import Derivation
from .small import small_queries

logger = logging.getLogger(__name__)


class DerivedSet(ImageDataset):
    """What `<Name>Partial`, `<Name>Occluded` and `<Name>Small` share.

    Args:
        whole: the data set that this one is made from.
        root: the data root, where the folder of queries is made.
        derivation: what is done to the queries.

    Raises:
        ValueError: query or gallery of `whole` is empty, a query has no valid match, or a parameter
            is out of range.
        OSError, RuntimeError: as `make_queries`.
    """

    stem: ClassVar[str]

    def __init__(self, whole: Any, root: str, derivation: Derivation) -> None:
        name = self.made_name = type(self).__name__
        self.dataset_name = getattr(whole, "dataset_name", self.stem)
        query, gallery = evaluation_lists(self.stem, whole)
        check_protocol(name, query, gallery, f"It is made from {self.stem}.")
        made = self._queries(root, query, gallery, derivation)
        logger.info('%s: queries are read from "%s".', name, os.path.dirname(made[query[0][0]]))
        changed = [(made[path], pid, camid) for path, pid, camid in query]
        super().__init__(lambda: whole.train, changed, gallery, mode="query")

    def _queries(
        self, root: str, query: list[Item], gallery: list[Item], derivation: Derivation
    ) -> dict[str, str]:
        """Path of the made image by path of the query."""
        raise NotImplementedError


class _PartialSet(DerivedSet):
    def _queries(
        self, root: str, query: list[Item], gallery: list[Item], derivation: Derivation
    ) -> dict[str, str]:
        return cut_queries(type(self).__name__, root, [path for path, *_ in query], derivation)


class _OccludedSet(DerivedSet):
    def _queries(
        self, root: str, query: list[Item], gallery: list[Item], derivation: Derivation
    ) -> dict[str, str]:
        return hidden_queries(type(self).__name__, root, query, gallery, derivation)


class _SmallSet(DerivedSet):
    def _queries(
        self, root: str, query: list[Item], gallery: list[Item], derivation: Derivation
    ) -> dict[str, str]:
        return small_queries(type(self).__name__, root, [path for path, *_ in query], derivation)


SUFFIXES: dict[str, type[DerivedSet]] = {
    "Partial": _PartialSet,
    "Occluded": _OccludedSet,
    "Small": _SmallSet,
}


def derivation_of(cfg: Any) -> Derivation:
    """What DATASETS.DERIVED_SEED and DATASETS.DERIVED say.

    Raises:
        ValueError: a value is out of range.
    """
    keys = cfg.DATASETS.DERIVED
    derivation = Derivation(
        seed=cfg.DATASETS.DERIVED_SEED,
        kind=keys.KIND,
        share=tuple(keys.SHARE),
        sides=keys.SIDES,
        percent=tuple(keys.PERCENT),
        size=tuple(keys.SIZE),
    )
    derivation.check()
    return derivation


def derived_set(
    stem: str, suffix: str, whole: Any, root: str, derivation: Derivation
) -> DerivedSet:
    """The derived set `<stem><suffix>`.

    Args:
        stem: name of the data set that it is made from.
        suffix: one of SUFFIXES.
        whole: that data set.
        root: the data root.
        derivation: what is done to the queries.

    Raises:
        ValueError, OSError, RuntimeError: as `DerivedSet`.
    """
    made = getattr(whole, "made_name", stem) + suffix
    return type(made, (SUFFIXES[suffix],), {"stem": stem})(whole, root, derivation)
