"""From a name in the config to a data set: FastReID's, the project's own, and those derived."""

from __future__ import annotations

import logging
import os
import re
import warnings
from typing import Any

from fastreid.data.datasets import DATASET_REGISTRY
from fastreid.utils import comm

from .derived_dataset import derivation_of, load_derived
from .held_out import HeldOutSet, held_out_stem, without_held_out
from .image_list import Item, sort_items

logger = logging.getLogger(__name__)


def data_root(cfg: Any) -> str:
    """The folder of the data sets, read when it is used: config, environment, ./datasets."""
    root = cfg.DATASETS.ROOT or os.environ.get("FASTREID_DATASETS") or "datasets"
    return os.path.expanduser(root)


def load_dataset(cfg: Any, name: str, **kwargs: Any) -> Any:
    """A data set of FastReID's registry, or one derived from such, made for this config.

    Raises:
        KeyError: the name is neither registered nor derived; lists the names that are.
        FileNotFoundError: its folders are absent.
        ValueError: its file names cannot be understood.
        RuntimeError: a made set cannot be written, or its folder holds something else.
    """
    derivation = derivation_of(cfg)
    if name not in DATASET_REGISTRY._obj_map:
        if stem := held_out_stem(name):
            return HeldOutSet(name, load_dataset(cfg, stem), cfg.DATASETS.HELD_OUT)
        return load_derived(
            name, lambda stem: load_dataset(cfg, stem, **kwargs), data_root(cfg), derivation
        )
    arguments = {
        "cameras": cfg.TEST.DSR.CAMERAS,
        "derivation": derivation,
        "synthetic_seed": cfg.DATASETS.SYNTHETIC.SEED,
        "synthetic_train_ids": cfg.DATASETS.SYNTHETIC.TRAIN_IDS,
        "synthetic_test_ids": cfg.DATASETS.SYNTHETIC.TEST_IDS,
    }
    kind = DATASET_REGISTRY.get(name)
    if kind.__module__.startswith("fastreid."):
        return _load_stock(kind, data_root(cfg), **kwargs)
    return kind(root=data_root(cfg), **arguments, **kwargs)


def _load_stock(kind: Any, root: str, **kwargs: Any) -> Any:
    """One of FastReID's own sets, with errors that say what to do.

    Several of them search the whole path for the identity, not the file name alone. Below a folder
    such as `12_c3` every image is then identity 12, which no other check would notice.
    """
    name = kind.__name__
    above = (
        f"FastReID reads the identity of {name} anywhere in the path, so that a folder above the "
        "images may be taken for it. Name the files as the set is published, and move the data "
        f'root "{os.path.abspath(root)}" (DATASETS.ROOT, FASTREID_DATASETS) to a plain path.'
    )
    try:
        with warnings.catch_warnings():
            # It takes an absent folder for an old layout and says so before it says the truth.
            warnings.filterwarnings("ignore", message="The current data structure is deprecated")
            data = kind(root=root, **kwargs)
        parts = {"train": data.train, "query": data.query, "gallery": data.gallery}
    except (RuntimeError, OSError) as error:
        raise FileNotFoundError(
            f'{name}: {error}. The data root is "{os.path.abspath(root)}": correct DATASETS.ROOT '
            "or the variable FASTREID_DATASETS."
        ) from error
    except (AssertionError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{name}: identity or camera of an image is out of range. {above}"
        ) from error
    for part, items in parts.items():
        if len({item[1] for item in items}) != 1:
            continue
        numbers = {re.split(r"\D", os.path.basename(path), maxsplit=1)[0] for path, *_ in items}
        if len(numbers) > 1:
            raise ValueError(
                f"{name}: all {len(items)} {part} images have the identity {items[0][1]}. {above}"
            )
    return data


def train_items(cfg: Any) -> list[Item]:
    """The training images of all sets in DATASETS.NAMES but DATASETS.HELD_OUT, sorted.

    Raises:
        ValueError: a set has no training images, or all would be held out.
    """
    items: list[Item] = []
    for name in cfg.DATASETS.NAMES:
        data = load_dataset(cfg, name, combineall=cfg.DATASETS.COMBINEALL)
        part = sort_items(data.train)
        if not part:
            raise ValueError(f"{name} has no training images: take it out of DATASETS.NAMES.")
        if comm.is_main_process():
            data.show_train()
        if cfg.DATASETS.HELD_OUT:
            part = without_held_out(part, cfg.DATASETS.HELD_OUT)
            logger.info(f"{name}: {cfg.DATASETS.HELD_OUT} identities are kept from training")
        items.extend(part)
    return items
