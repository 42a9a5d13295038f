"""Training identities that are kept from training, and a test set made of them: `<Name>HeldOut`.

Lambda, and whatever else is chosen by looking at figures, can be chosen on them without a glance
at a test set. `DATASETS.HELD_OUT` says how many; `<Name>HeldOutPartial` and `<Name>HeldOutOccluded`
cut and hide their queries as those of any other set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from fastreid.data.datasets import DATASET_REGISTRY
from fastreid.data.datasets.bases import ImageDataset

from ..images.labels import training_list
from ..images.lists import Item, check_protocol, sort_items

SUFFIX = "HeldOut"


def held_out_stem(name: str) -> str | None:
    """The registered data set whose held-out identities a name means; None for any other name."""
    stem = name.removesuffix(SUFFIX)
    return stem if stem != name and stem in DATASET_REGISTRY._obj_map else None


def held_out_identities(items: Sequence[Item], count: int) -> set[int | str]:
    """The identities that are kept from training: those whose hash comes first.

    A hash of the identity alone: no seed to forget, and 50 are among the 100 of a larger number.

    Args:
        items: all training images of a data set.
        count: DATASETS.HELD_OUT.

    Raises:
        ValueError: there would be nothing left to train on.
    """
    identities = {pid for _, pid, _ in items}
    if count >= len(identities):
        raise ValueError(
            f"DATASETS.HELD_OUT is {count}, but there are only {len(identities)} training "
            "identities: lower it."
        )
    return set(
        sorted(identities, key=lambda pid: hashlib.sha256(str(pid).encode()).digest())[:count]
    )


def without_held_out(items: list[Item], count: int) -> list[Item]:
    """The images that are trained on."""
    held_out = held_out_identities(items, count)
    return [item for item in items if item[1] not in held_out]


class HeldOutSet(ImageDataset):
    """Held-out identities as a test set: of each in each camera one query, the rest is gallery.

    A query that would have nothing to find, of an identity that one camera alone has seen for
    instance, is gallery instead.

    Args:
        name: of the data set.
        whole: the data set whose training identities they are.
        count: DATASETS.HELD_OUT.

    Raises:
        ValueError: count is 0, or too large, or no query has a match.
    """

    def __init__(self, name: str, whole: Any, count: int) -> None:
        if count < 1:
            raise ValueError(
                f"{name} needs identities that are kept from training: set DATASETS.HELD_OUT, and "
                "train with it."
            )
        # Tells apart what is made of different numbers of identities.
        self.made_name = f"{name}{count}"
        self.dataset_name = getattr(whole, "dataset_name", name)
        train = training_list(name, whole)
        chosen = sorted(held_out_identities(train, count), key=str)
        pids = {pid: number for number, pid in enumerate(chosen)}
        cameras = {c: number for number, c in enumerate(sorted({c for *_, c in train}, key=str))}
        query: dict[tuple[Any, Any], Item] = {}
        gallery: list[Item] = []
        for path, pid, camera in train:
            if pid in pids:
                item = (path, pids[pid], cameras[camera])
                if query.setdefault((pid, camera), item) is not item:
                    gallery.append(item)
        # A camera's only image of somebody is a query: the others must still have one to find.
        left = {(pid, camera) for _, pid, camera in gallery}
        lost = [
            item
            for item in query.values()
            if not any(pid == item[1] and camera != item[2] for pid, camera in left)
        ]
        gallery += lost
        queries = [item for item in query.values() if item not in lost]
        check_protocol(name, queries, gallery)
        train = without_held_out(train, count)
        super().__init__(train, sort_items(queries), sort_items(gallery), mode="query")
