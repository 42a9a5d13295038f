"""Data loaders: the plain torch DataLoader, seeded per epoch, whose errors reach the caller."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from fastreid.data import samplers
from fastreid.data.build import fast_batch_collator
from fastreid.data.common import CommDataset
from fastreid.data.transforms import RandomPatch
from fastreid.utils import comm
from torch.utils.data import BatchSampler, DataLoader, default_collate

from ..images.lists import Item
from ..images.reading import read_image
from ..runtime.freed_memory import release_freed_memory
from .catalogue import data_root
from .checked_lists import checked_lists
from .epoch_sampler import EpochSampler, epoch_seed
from .keep_ratio import build_test_transform, keep_ratio_resize
from .masked_items import MaskedItems, wants_masks
from .read_ahead import ReadAhead
from .size_batches import Size, image_sizes, order_by_size, size_batches
from .transforms import build_transforms
from .whole_people import height_of_whole, needs_gallery, say_whole


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


class EvaluatedItems(ImageItems):
    """The queries of a test set, then its gallery.

    Args:
        items: (path, id, camera) of each.
        transform: from a PIL image to a tensor.
        whole: height by width of whole people as the gallery has said, see `whole_people`; 0 where
            it was not asked.
    """

    def __init__(self, items: Sequence[Item], transform: Any, whole: float) -> None:
        super().__init__(list(items), transform, relabel=False)
        self.whole = whole


def seed_worker(worker_id: int) -> None:
    """Seed numpy and random in a loader worker from torch's seed of that worker."""
    seed = torch.initial_seed() % 2**32
    np.random.seed(seed)
    random.seed(seed)


def forget_patches(transform: Any) -> None:
    """Empty the pool of random patches, which FastReID fills with those of images seen before.

    Workers begin each epoch with an empty one, and so does a resumed run.
    """
    for step in getattr(transform, "transforms", ()):
        if isinstance(step, RandomPatch):
            step.patchpool.clear()


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
        forget_patches(self.dataset.transform)
        self._batches = None
        # A worker is a copy of this process and shares its memory until one of the two writes to
        # it. Freed memory that is kept here, gigabytes after a training step, would be written to
        # by the next step, and then exist twice.
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


def build_test_loader(cfg: Any, name: str) -> tuple[DataLoader | ReadAhead, int]:
    """Batches of queries, then gallery, each rank its part, and the number of queries.

    DATALOADER.NUM_WORKERS processes read them ahead for a GPU, and as many threads for a CPU.

    With INPUT.KEEP_RATIO images differ in size: queries, and gallery, then come in the order of
    their sizes, and each batch holds one size.

    Raises:
        ValueError: as `checked_lists`; or the pyramid has no room in the map.
        OSError: with INPUT.KEEP_RATIO, the size of an image cannot be read.
    """
    data, query, gallery = checked_lists(cfg, name)
    if comm.is_main_process():
        data.show_test()
    resize = keep_ratio_resize(cfg)
    sizes: list[Size] = []
    whole = 0.0
    if resize is not None:
        of_queries, of_images = image_sizes(query), image_sizes(gallery)
        if needs_gallery(resize):
            whole = height_of_whole(of_images)
            resize = replace(resize, whole=whole)
            if comm.is_main_process():
                say_whole(of_images)
        query, of_queries = order_by_size(query, list(map(resize.target, of_queries)))
        gallery, of_images = order_by_size(gallery, list(map(resize.target, of_images)))
        sizes = of_queries + of_images
    dataset = EvaluatedItems(query + gallery, build_test_transform(cfg, resize), whole)
    mine = samplers.InferenceSampler(len(dataset))
    batch_size = max(1, cfg.TEST.IMS_PER_BATCH // comm.get_world_size())
    batches: Any = BatchSampler(mine, batch_size, False)
    if resize is not None:
        # Larger images in smaller batches: the network's memory stays what it is without.
        pixels = batch_size * math.prod(resize.model)
        batches = size_batches(list(mine), sizes, batch_size, pixels)
    workers = cfg.DATALOADER.NUM_WORKERS
    if cfg.MODEL.DEVICE != "cuda":
        return ReadAhead(dataset, batches, workers), len(query)
    loader: DataLoader = DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=default_collate,
        pin_memory=True,
    )
    return loader, len(query)
