"""From a name in the config to a data set: registered, a user's folder, or made of such a one.

`<Name>HeldOut`, `<Name>Partial` and `<Name>Occluded` are not registered: they are made of `<Name>`
when they are asked for. A registered name is always the registered set. `folder:/path/to/set` is
what lies there; should `folder:/path/to/setPartial` lie there, too, its name is refused.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import random
from collections.abc import Iterator
from typing import Any

from fastreid.data.datasets import DATASET_REGISTRY
from fastreid.utils import comm

from ..derived.dataset import SUFFIXES, derivation_of, derived_set
from ..derived.held_out import SUFFIX as HELD_OUT
from ..derived.held_out import HeldOutSet, without_held_out
from ..images.labels import joined_training_lists, training_list
from ..images.lists import Item
from .folder_set import PREFIX, FolderSet, absent_folder, is_folder_set, short_name
from .stock_sets import is_stock, load_stock

logger = logging.getLogger(__name__)

RENAMED = {
    "PartialREIDOccluded": "the occluded images of Partial-REID are PartialREIDUncropped; there is "
    "no set of Partial-REID's cropped images behind further objects",
}
"""Names that were registered once and would mean a derived set today: an error says so."""


def data_root(cfg: Any) -> str:
    """The folder of the data sets, read when it is used: config, environment, ./datasets."""
    root = cfg.DATASETS.ROOT or os.environ.get("FASTREID_DATASETS") or "datasets"
    return os.path.expanduser(root)


def is_whole(name: str) -> bool:
    """Whether a name is that of a data set that is made of no other: registered, or a folder.

    Raises:
        ValueError: a folder has a name that means a derived set, too.
    """
    if name in DATASET_REGISTRY._obj_map:
        return True
    if not is_folder_set(name):
        return False
    for suffix in (*SUFFIXES, HELD_OUT):
        stem = _stem(name, suffix)
        if stem is not None and is_data_set(stem):
            raise ValueError(
                f"{name!r} has two meanings, as {stem!r} is there, too, of which "
                f"<Name>{suffix} is made: for the folder end the name with a /, and for what is "
                "made rename the folder."
            )
    return True


def _stem(name: str, suffix: str) -> str | None:
    """What stands before a suffix; None where the suffix is missing, or is a whole folder name."""
    stem = name.removesuffix(suffix)
    return None if stem == name or stem.endswith(("/", os.sep, PREFIX)) else stem


def with_suffix(name: str, suffix: str) -> str:
    """The name of what is made of a data set; the / at the end of a folder's name goes."""
    return name.rstrip("/" + os.sep) + suffix


def held_out_stem(name: str) -> str | None:
    """The data set whose held-out identities a name means; None for any other name."""
    stem = None if is_whole(name) else _stem(name, HELD_OUT)
    return stem if stem is not None and is_whole(stem) else None


def split_name(name: str) -> tuple[str, str] | None:
    """The data set that a derived one is made of, and its suffix; None for any other name."""
    if is_whole(name) or name in RENAMED:
        return None
    for suffix in SUFFIXES:
        stem = _stem(name, suffix)
        if stem is not None and is_data_set(stem):
            return stem, suffix
    return None


def is_data_set(name: str) -> bool:
    """Whether a name is that of a data set: registered, a folder that is there, or made of such.

    Raises:
        ValueError: as `is_whole`.
    """
    known = is_whole(name) or held_out_stem(name) is not None
    return known or split_name(name) is not None


def people_of(name: str) -> tuple[str, bool]:
    """The data set whose people another shows, and whether these are its held-out ones alone."""
    while parts := split_name(name):
        name = parts[0]
    stem = held_out_stem(name)
    return (name, False) if stem is None else (stem, True)


def is_held_out(name: str) -> bool:
    """Whether a data set shows identities that are kept from training."""
    return people_of(name)[1]


def file_name(name: str) -> str:
    """A data set's name as a part of file names: that of a folder, whose path has slashes, short.

    Args:
        name: of which `is_data_set` is true.
    """
    if stem := held_out_stem(name):
        return file_name(stem) + HELD_OUT
    if parts := split_name(name):
        return file_name(parts[0]) + parts[1]
    return short_name(name) if name.startswith(PREFIX) else name


def unknown_name(name: str) -> str:
    """What an error says of a name that no data set has."""
    if name.startswith(PREFIX):
        stems = (_stem(name, suffix) for suffix in (*SUFFIXES, HELD_OUT))
        return absent_folder(name, next(filter(None, stems), ""))
    for old, instead in RENAMED.items():
        if name.startswith(old):
            return f"there is no data set {name!r} any more: {instead}."
    return (
        f"there is no data set {name!r}; known are {', '.join(sorted(DATASET_REGISTRY._obj_map))}; "
        "of each with a query and a gallery <name>Partial, <name>Occluded and <name>Small; of each "
        "with training images <name>HeldOut; of your own images folder:/path/to/set."
    )


def load_dataset(cfg: Any, name: str, combineall: bool = False) -> Any:
    """A data set by its name, made for this config.

    Args:
        cfg: config.
        name: a registered data set, a folder, or one that is made of such.
        combineall: add its test images to its training images.

    Raises:
        KeyError: the name is of no data set; lists those that are.
        FileNotFoundError: its folders are absent.
        ValueError: its file names cannot be understood, images would be left out, or as `is_whole`.
        RuntimeError: a made set cannot be written, or its folder holds something else.
    """
    derivation = derivation_of(cfg)
    if name in DATASET_REGISTRY._obj_map:
        return _load_registered(cfg, name, combineall)
    if is_whole(name):
        return FolderSet(name, combineall)
    if stem := held_out_stem(name):
        return HeldOutSet(name, load_dataset(cfg, stem), cfg.DATASETS.HELD_OUT)
    if parts := split_name(name):
        stem, suffix = parts
        whole = load_dataset(cfg, stem, combineall)
        return derived_set(stem, suffix, whole, data_root(cfg), derivation)
    raise KeyError(unknown_name(name))


def _load_registered(cfg: Any, name: str, combineall: bool) -> Any:
    kind = DATASET_REGISTRY.get(name)
    root = data_root(cfg)
    # Only this package's classes know these keys. Anybody else's is called as FastReID calls it.
    own = kind.arguments_from(cfg) if hasattr(kind, "arguments_from") else {}
    arguments = {"combineall": combineall, **own}
    try:
        inspect.signature(kind).bind(root=root, **arguments)
    except TypeError as error:
        if combineall:
            raise ValueError(
                f"DATASETS.COMBINEALL is True, but {name} cannot be made with combineall ({error}):"
                " let its constructor take **kwargs and hand them to ImageDataset."
            ) from error
        arguments = own
    with _seeded(cfg.TEST.DSR.PROTOCOL_SEED):
        if is_stock(kind):
            return load_stock(kind, root, **arguments)
        return kind(root=root, **arguments)


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed Python's random numbers in the block, by which VehicleID draws its gallery.

    Otherwise two processes of one evaluation would not have the same gallery.
    """
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


def train_items(cfg: Any) -> list[Item]:
    """The training images of all sets in DATASETS.NAMES but DATASETS.HELD_OUT, each set sorted.

    Raises:
        ValueError: a set is named twice or has no training images, two have the same ones, or all
            would be held out.
    """
    names = list(cfg.DATASETS.NAMES)
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"DATASETS.NAMES holds {name} more than once: name it once.")
    lists: dict[str, list[Item]] = {}
    for name in names:
        data = load_dataset(cfg, name, combineall=cfg.DATASETS.COMBINEALL)
        part = training_list(name, data)
        if not part:
            raise ValueError(f"{name} has no training images: take it out of DATASETS.NAMES.")
        if comm.is_main_process():
            data.show_train()
        if cfg.DATASETS.HELD_OUT:
            part = without_held_out(part, cfg.DATASETS.HELD_OUT)
            logger.info(f"{name}: {cfg.DATASETS.HELD_OUT} identities are kept from training")
        lists[name] = part
    return joined_training_lists(lists)
