"""Test sets with harder queries, made from whole images: `<Name>Partial` and `<Name>Occluded`.

For each registered data set with queries and a gallery there are two more: `<Name>Partial` with cut
queries and `<Name>Occluded` with queries behind objects. Training images and gallery are those of
`<Name>`. They are found by name when they are asked for and not registered, except
`Market1501Partial`, which reads its folders itself.
"""

from __future__ import annotations

import logging
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from fastreid.data.datasets import DATASET_REGISTRY
from fastreid.data.datasets.bases import ImageDataset
from fastreid.data.datasets.market1501 import Market1501

from .derived_cuts import cut_queries
from .derived_images import QUERY, Derivation, hidden_queries
from .held_out import held_out_stem
from .image_list import Item, check_protocol, list_images, sort_items

logger = logging.getLogger(__name__)

MARKET_DIR = "Market-1501-v15.09.15"
JUNK = -1  # identity of false detections, which are neither match nor distractor

_NAME = re.compile(r"(-1|[0-9]+)_c([1-9])")


class DerivedSet(ImageDataset):
    """What `<Name>Partial` and `<Name>Occluded` share.

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
        name = type(self).__name__
        self.dataset_name = getattr(whole, "dataset_name", self.stem)
        query, gallery = sort_items(whole.query), sort_items(whole.gallery)
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


SUFFIXES: dict[str, type[DerivedSet]] = {"Partial": _PartialSet, "Occluded": _OccludedSet}


def split_name(name: str) -> tuple[str, str] | None:
    """The whole data set and the suffix that a name consists of; None for any other name."""
    for suffix in SUFFIXES:
        stem = name.removesuffix(suffix)
        if stem != name and is_whole(stem):
            return stem, suffix
    return None


def is_whole(name: str) -> bool:
    """Whether a name is that of a registered data set or of the held-out identities of one."""
    return name in DATASET_REGISTRY._obj_map or held_out_stem(name) is not None


def is_data_set(name: str) -> bool:
    """Whether a name is that of a whole data set or of one derived from such."""
    return is_whole(name) or split_name(name) is not None


def known_names() -> str:
    """The data sets there are, in the words of an error message."""
    names = ", ".join(sorted(DATASET_REGISTRY._obj_map))
    return (
        f"{names}; of each with a query and a gallery <name>Partial and <name>Occluded; of each "
        "with training images <name>HeldOut"
    )


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
    )
    derivation.check()
    return derivation


def load_derived(
    name: str, load: Callable[[str], Any], root: str, derivation: Derivation
) -> DerivedSet:
    """Make a derived set by its name.

    Args:
        name: one that `split_name` splits.
        load: makes a whole data set by its name.
        root: the data root.
        derivation: what is done to the queries.

    Raises:
        KeyError: the name is of no derived set.
        Others: as `load` and `DerivedSet`.
    """
    parts = split_name(name)
    if parts is None:
        raise KeyError(f"there is no data set {name!r}; known are {known_names()}.")
    stem, suffix = parts
    # VehicleID splits its test images by Python's generator: each time alike, then, since the
    # queries are made only once.
    state = random.getstate()
    random.seed(0)
    try:
        whole = load(stem)
    finally:
        random.setstate(state)
    made = getattr(whole, "made_name", stem) + suffix
    return type(made, (SUFFIXES[suffix],), {"stem": stem})(whole, root, derivation)


@DATASET_REGISTRY.register()
class Market1501Partial(Market1501):
    """Market-1501 with cut queries; train images and gallery are those of `Market1501`, sorted.

    Args:
        root: the data root, DATASETS.ROOT or FASTREID_DATASETS.
        derived_seed: DATASETS.DERIVED_SEED, which decides the cuts.
        derivation: all that decides the cuts; takes the place of `derived_seed`.
        kwargs: for FastReID's `Market1501`; unknown ones are ignored.

    Raises:
        FileNotFoundError: Market-1501 is not under the root.
        ValueError: query or gallery is empty, a query has no valid match in the gallery, or a file
            name has no identity.
        OSError, RuntimeError: as `make_queries`.
    """

    def __init__(
        self,
        root: str = "datasets",
        derived_seed: int = 0,
        derivation: Derivation | None = None,
        **kwargs: Any,
    ) -> None:
        root = os.fspath(root)
        places = [os.path.join(root, MARKET_DIR), root]
        parts = (QUERY, "bounding_box_train", "bounding_box_test")
        if not any(all(os.path.isdir(os.path.join(p, part)) for part in parts) for p in places):
            raise FileNotFoundError(
                f"{type(self).__name__} is made from Market-1501, which was not found: folders "
                f'{", ".join(parts)} are needed in "{os.path.abspath(places[0])}". The data root '
                "comes from DATASETS.ROOT or the variable FASTREID_DATASETS."
            )
        self.derivation = derivation or Derivation(seed=derived_seed)
        super().__init__(root=root, **kwargs)
        hint = f'It is made from Market-1501 in "{self.data_dir}".'
        check_protocol(type(self).__name__, self.query, self.gallery, hint)

    def process_dir(self, dir_path: str, is_train: bool = True) -> list[Item]:
        """As `Market1501.process_dir`, but sorted, and with the cut images in place of queries.

        Names alone are read: `Market1501` searches the whole path, and below a folder such as
        `12_c3` every image would be identity 12.
        """
        prefix = f"{self.dataset_name}_"
        items: list[Item] = []
        for path in list_images(dir_path):
            match = _NAME.match(os.path.basename(path))
            if match is None:
                raise ValueError(
                    f'no identity and camera in the file name of "{path}": expected names such as '
                    "0001_c1s1_000151_01.jpg"
                )
            pid, camid = int(match[1]), int(match[2]) - 1
            if pid != JUNK:
                items.append(
                    (path, f"{prefix}{pid}", f"{prefix}{camid}") if is_train else (path, pid, camid)
                )
        if dir_path != self.query_dir or not items:
            return items
        paths = [path for path, *_ in items]
        made = cut_queries(type(self).__name__, self.root, paths, self.derivation)
        folder = Path(made[paths[0]]).parent
        logger.info('%s: queries are read from "%s".', type(self).__name__, folder)
        return [(made[path], pid, camid) for path, pid, camid in items]
