"""Identities of a training set that are not trained on, and the test set of them: `<Name>HeldOut`.

Whoever chooses lambda, or any other setting, by its results on a test set, can no longer trust the
results on that test set. `<Name>HeldOut` is there to choose on: it shows `DATASETS.HELD_OUT`
identities of the training images of `<Name>`, which the network has never seen. Its queries can be
cut and hidden as those of any other set: `<Name>HeldOutPartial`, `<Name>HeldOutOccluded`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from fastreid.data.datasets.bases import ImageDataset

from ..images.labels import training_list
from ..images.lists import Item, sort_items
from ..images.protocol_check import check_protocol

SUFFIX = "HeldOut"


def held_out_identities(items: Sequence[Item], count: int) -> set[int | str]:
    """The identities that are not trained on: those with the smallest hashes.

    The hash is that of the identity's name, so that the choice needs no seed, and the 50 identities
    of one run are among the 100 of another.

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
    """Held-out identities as a test set.

    The first image of each identity in each camera is a query, the other images are the gallery. A
    query for which the gallery then has no match, as only one camera has seen its identity for
    instance, is put into the gallery instead. Where all images come from one camera, none are told
    apart: the gallery then counts as another one, as in the partial sets.

    Args:
        name: of the data set, with SUFFIX at its end.
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
        # For the folders of derived queries, which differ with the number of identities.
        self.made_name = getattr(whole, "made_name", name.removesuffix(SUFFIX)) + f"{SUFFIX}{count}"
        self.dataset_name = getattr(whole, "dataset_name", name)
        train = training_list(name, whole)
        chosen = sorted(held_out_identities(train, count), key=str)
        pids = {pid: number for number, pid in enumerate(chosen)}
        cameras = {c: number for number, c in enumerate(sorted({c for *_, c in train}, key=str))}
        query: dict[tuple[int | str, int | str], Item] = {}
        gallery: list[Item] = []
        for path, pid, camera in train:
            if pid in pids:
                item = (path, pids[pid], cameras[camera])
                if query.setdefault((pid, camera), item) is not item:
                    gallery.append(item)
        if len(cameras) == 1:
            gallery = [(path, pid, 1) for path, pid, _ in gallery]
        # Where every camera has only one image of an identity, all of them are queries so far.
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
