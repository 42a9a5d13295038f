"""Data loaders: the plain torch DataLoader, seeded per epoch, whose errors reach the caller."""

from __future__ import annotations

import logging
import math
import os
import random
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from fastreid.data import samplers
from fastreid.data.build import fast_batch_collator
from fastreid.data.common import CommDataset
from fastreid.data.datasets import DATASET_REGISTRY
from fastreid.utils import comm
from torch.utils.data import BatchSampler, DataLoader

from .compat import build_transforms
from .derived_dataset import derivation_of, load_derived
from .epoch_sampler import EpochSampler, epoch_seed
from .heap import release_freed_memory
from .held_out import HeldOutSet, held_out_stem, without_held_out
from .image_list import Item, check_protocol, sort_items
from .image_reading import read_image
from .keep_ratio import build_test_transform, keep_ratio_resize
from .occlusion_transform import MaskedItems, wants_masks
from .size_batches import order_by_size, size_batches

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


class ImageItems(CommDataset):
    """FastReID's data set of (path, id, camera), with a read error that names the file."""

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The image as a tensor, with its id, camera and path."""
        path, pid, camid = self.img_items[index]
        image = read_image(path)
        if self.transform is not None:
            image = self.transform(image)
        if self.relabel:
            pid, camid = self.pid_dict[pid], self.cam_dict[camid]
        return {"images": image, "targets": pid, "camids": camid, "img_paths": path}


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


def seed_worker(worker_id: int) -> None:
    """Seed numpy and random in a loader worker from torch's seed of that worker."""
    seed = torch.initial_seed() % 2**32
    np.random.seed(seed)
    random.seed(seed)


class TrainLoader:
    """Endless batches; `start_epoch` restarts the stream from the seed of that epoch.

    Args:
        cfg: config; DATALOADER.NUM_WORKERS is what it says.
        items: training images (path, id, camera).
    """

    def __init__(self, cfg: Any, items: Sequence[Any]) -> None:
        self.cfg = cfg
        self.dataset: CommDataset
        if wants_masks(cfg):
            self.dataset = MaskedItems(cfg, items, data_root(cfg))
        else:
            transform = build_transforms(cfg, is_train=True)
            self.dataset = ImageItems(list(items), transform, relabel=True)
        batch_size = cfg.SOLVER.IMS_PER_BATCH // comm.get_world_size()
        self.sampler = EpochSampler(cfg, self.dataset.img_items, batch_size)
        self.generator = torch.Generator()
        self.loader = DataLoader(
            self.dataset,
            batch_sampler=BatchSampler(self.sampler, batch_size, drop_last=True),
            num_workers=cfg.DATALOADER.NUM_WORKERS,
            collate_fn=fast_batch_collator,
            pin_memory=cfg.MODEL.DEVICE == "cuda",
            worker_init_fn=seed_worker,
            generator=self.generator,
        )
        self._batches: Iterator[Any] | None = None

    def start_epoch(self, epoch: int) -> None:
        """Make everything random of this epoch a function of SEED, epoch and rank."""
        seed = epoch_seed(self.cfg.SEED, epoch, comm.get_rank())
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        self.generator.manual_seed(seed)
        self.sampler.epoch = epoch
        self._batches = None
        # A worker is a copy of this process. What is free here, gigabytes that the network has
        # used, would stay in the copy while the next step writes to it: twice the memory.
        release_freed_memory()
        self._batches = iter(self.loader)

    def __iter__(self) -> Iterator[Any]:
        """The loader itself: `next` goes on in the current epoch's stream."""
        return self

    def __next__(self) -> Any:
        """The next batch."""
        if self._batches is None:
            self.start_epoch(0)
        assert self._batches is not None
        return next(self._batches)


def build_test_loader(cfg: Any, name: str) -> tuple[DataLoader, int]:
    """Batches of queries, then gallery, each rank its part, and the number of queries.

    With INPUT.KEEP_RATIO images differ in size: queries, and gallery, then come in the order of
    their sizes, and each batch holds one size.

    Raises:
        ValueError: the set has no queries, no gallery, or a query without any valid match; or the
            pyramid has no room in the map.
        OSError: with INPUT.KEEP_RATIO, the size of an image cannot be read.
    """
    data = load_dataset(cfg, name)
    query, gallery = sort_items(data.query), sort_items(data.gallery)
    check_protocol(name, query, gallery)
    if comm.is_main_process():
        data.show_test()
    resize = keep_ratio_resize(cfg)
    if resize is not None:
        query, query_sizes = order_by_size(query, resize.target)
        gallery, gallery_sizes = order_by_size(gallery, resize.target)
    dataset = ImageItems(query + gallery, build_test_transform(cfg, resize), relabel=False)
    mine = samplers.InferenceSampler(len(dataset))
    batch_size = max(1, cfg.TEST.IMS_PER_BATCH // comm.get_world_size())
    batches: Any = BatchSampler(mine, batch_size, False)
    if resize is not None:
        # Larger images in smaller batches: the network's memory stays what it is without.
        pixels = batch_size * math.prod(resize.model)
        batches = size_batches(list(mine), query_sizes + gallery_sizes, batch_size, pixels)
    loader: DataLoader = DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=cfg.DATALOADER.NUM_WORKERS,
        collate_fn=fast_batch_collator,
        pin_memory=cfg.MODEL.DEVICE == "cuda",
    )
    return loader, len(query)
