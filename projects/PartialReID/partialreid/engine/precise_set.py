"""TEST.PRECISE_BN.DATASET: images by which batch norm gets its statistics after the last epoch.

The set is read when the training is over. That it can be, is found out before it begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..data.catalogue import is_data_set, is_held_out, load_dataset, train_items, unknown_name
from ..images.labels import training_list
from .training_checks import check_identities

KEY = "TEST.PRECISE_BN.DATASET"


def check_precise_name(cfg: Any) -> None:
    """Check the name of the set, before data are read.

    Raises:
        ValueError: there is no such data set, or it is there to test with.
    """
    if not cfg.TEST.PRECISE_BN.ENABLED:
        return
    name = cfg.TEST.PRECISE_BN.DATASET
    if not is_data_set(name):
        raise ValueError(f"{KEY} is {name!r}: {unknown_name(name)}")
    if is_held_out(name):
        raise ValueError(f"{KEY} is {name!r}, which is there to test with: name the whole set.")


def check_precise_set(cfg: Any, items: Sequence[tuple[str, Any, Any]], world_size: int) -> None:
    """Check that the network of a training can be given batches of the set.

    Args:
        cfg: config, its name checked.
        items: training images (path, id, camera) of the training.
        world_size: processes of the whole job.

    Raises:
        FileNotFoundError: its folder is absent.
        ValueError: it has no training images, more people than the network tells apart, or too few
            for a batch, so that a sampler of FastReID would search for ever.
    """
    name = cfg.TEST.PRECISE_BN.DATASET
    if not cfg.TEST.PRECISE_BN.ENABLED or list(cfg.DATASETS.NAMES) == [name]:
        return
    asked = f"{KEY} is {name!r}"
    precise = cfg.clone()
    precise.defrost()
    precise.DATASETS.NAMES = (name,)
    precise.MODEL.HEADS.NUM_CLASSES = 0
    try:
        data = load_dataset(cfg, name, combineall=cfg.DATASETS.COMBINEALL)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{asked}: {error}") from error
    if not training_list(name, data):
        raise ValueError(f"{asked}, which has no training images: name a set that has some.")
    found = train_items(precise)
    classes = cfg.MODEL.HEADS.NUM_CLASSES or len({pid for _, pid, _ in items})
    people = len({pid for _, pid, _ in found})
    if people > classes:
        raise ValueError(
            f"{asked}, which shows {people} people to a network that is trained to tell {classes} "
            "apart: name a set of DATASETS.NAMES."
        )
    try:
        check_identities(precise, found, world_size)
    except ValueError as error:
        raise ValueError(
            f"{asked}, of which no batch can be made: {error} Or name a larger set."
        ) from error
