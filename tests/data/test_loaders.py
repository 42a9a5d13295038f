"""Loaders: errors that reach the caller, the config's workers, and the same batches again."""

from __future__ import annotations

import itertools
import multiprocessing
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastreid.data.transforms import RandomPatch
from fastreid.utils import comm

from partialreid.data import loaders
from partialreid.data.catalogue import train_items
from partialreid.data.epoch_sampler import EpochSampler, epoch_seed
from partialreid.data.loaders import TrainLoader, build_test_loader
from partialreid.runtime.errors import sentence

FOLDER = "Market-1501-v15.09.15"
RANDOM = ("FLIP", "AFFINE", "CJ", "REA", "AUGMIX")


@pytest.fixture
def cfg(root: Path, make_config) -> Any:
    cfg = make_config("DATASETS.NAMES", ("Market1501",), "DATASETS.TESTS", ("Market1501",))
    cfg.merge_from_list(["INPUT.SIZE_TRAIN", [16, 8], "INPUT.SIZE_TEST", [16, 8]])
    cfg.merge_from_list(["SOLVER.IMS_PER_BATCH", 8, "TEST.IMS_PER_BATCH", 4])
    cfg.merge_from_list(["DATALOADER.NUM_WORKERS", 0, "DATALOADER.NUM_INSTANCE", 2])
    cfg.DATALOADER.SAMPLER_TRAIN = "NaiveIdentitySampler"
    cfg.DATASETS.ROOT = str(root)
    return cfg


def reading_error(loader: Iterable[Any]) -> str:
    """The one sentence in which a loader says that a file cannot be read."""
    try:
        for _ in loader:
            pass
    except OSError as error:
        said = sentence(error)
        # The trace holds the loader in a cycle, and its workers stop only slowly when the garbage
        # collector comes upon it.
        error.__traceback__ = None
        assert said is not None and "Traceback" not in said and "\n" not in said
        assert said.endswith("Replace the file, or leave it out.")
        return said
    raise AssertionError("nothing was wrong")


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_training_image_is_named(cfg: Any, root: Path, time_limit, workers: int) -> None:
    """FastReID's loader waits for ever instead."""
    broken = root / FOLDER / "bounding_box_train" / "0002_c1s1_000000_00.jpg"
    broken.write_text("no image")
    cfg.DATALOADER.NUM_WORKERS = workers
    loader = TrainLoader(cfg, train_items(cfg))
    with time_limit(120):
        said = reading_error(itertools.islice(loader, 4))
    assert said.startswith(f'cannot read the image "{broken}": cannot identify image file')


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_test_image_is_named(cfg: Any, root: Path, time_limit, workers: int) -> None:
    broken = root / FOLDER / "query" / "0031_c1s1_000000_00.jpg"
    broken.write_bytes(broken.read_bytes()[:200])
    cfg.DATALOADER.NUM_WORKERS = workers
    loader, _ = build_test_loader(cfg, "Market1501")
    with time_limit(120):
        said = reading_error(loader)
    assert said.startswith(f'cannot read the image "{broken}": ')


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_number_of_workers(cfg: Any, workers: int) -> None:
    cfg.DATALOADER.NUM_WORKERS = workers
    assert TrainLoader(cfg, train_items(cfg)).loader.num_workers == workers
    assert build_test_loader(cfg, "Market1501")[0].num_workers == workers


def test_test_loader_gives_queries_then_gallery(cfg: Any) -> None:
    loader, num_query = build_test_loader(cfg, "Market1501")
    batches = list(loader)
    assert num_query == 2
    assert [len(batch["img_paths"]) for batch in batches] == [4, 4]
    paths = [Path(path) for batch in batches for path in batch["img_paths"]]
    assert [p.parent.name for p in paths] == ["query"] * 2 + ["bounding_box_test"] * 6
    assert [p.name for p in paths[:2]] == sorted(p.name for p in paths[:2])
    assert (
        torch.cat([batch["targets"] for batch in batches]).tolist()
        == [31, 40] + [31] * 3 + [40] * 3
    )
    assert batches[0]["images"].shape == (4, 3, 16, 8)


def batches(loader: TrainLoader, epoch: int, count: int = 3) -> list[tuple[list[str], Any]]:
    """Paths and images of the first batches of an epoch, after a disturbance of all generators."""
    torch.manual_seed(random.randrange(1 << 30))
    np.random.seed(None)
    random.seed(None)
    loader.start_epoch(epoch)
    return [(b["img_paths"], b["images"]) for b in (next(loader) for _ in range(count))]


def same(one: list[Any], other: list[Any]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a[0] == b[0] and torch.equal(a[1], b[1]) for a, b in pairs)


@pytest.mark.parametrize(
    ("sampler", "workers"),
    [("NaiveIdentitySampler", 0), ("NaiveIdentitySampler", 2), ("BalancedIdentitySampler", 0),
     ("TrainingSampler", 0), ("ImbalancedDatasetSampler", 0), ("ImbalancedDatasetSampler", 2)],
)  # fmt: skip
def test_an_epoch_depends_on_the_seed_and_its_number(cfg: Any, sampler: str, workers: int) -> None:
    cfg.DATALOADER.SAMPLER_TRAIN, cfg.DATALOADER.NUM_WORKERS = sampler, workers
    for key in RANDOM:
        cfg.INPUT[key].ENABLED = True
    items = train_items(cfg)
    uninterrupted = TrainLoader(cfg, items)
    first, second = batches(uninterrupted, 0), batches(uninterrupted, 1)
    assert not same(first, second)
    assert same(batches(TrainLoader(cfg, items), 0), first)
    # A run that is resumed at epoch 1.
    assert same(batches(TrainLoader(cfg, items), 1), second)
    other = cfg.clone()
    other.SEED = 1
    assert not same(batches(TrainLoader(other, items), 0), first)


def test_random_patches_of_an_epoch_are_its_own(cfg: Any) -> None:
    """FastReID keeps those of images seen before, in the process that reads them."""
    cfg.INPUT.RPT.ENABLED, cfg.INPUT.RPT.PROB = True, 1.0
    items = train_items(cfg)

    def loader() -> TrainLoader:
        made = TrainLoader(cfg, items)
        for step in made.dataset.transform.transforms:
            if isinstance(step, RandomPatch):
                step.min_sample_size = 2
        return made

    uninterrupted = loader()
    batches(uninterrupted, 0)
    second = batches(uninterrupted, 1)
    assert same(batches(loader(), 1), second)


@pytest.mark.parametrize("sampler", ["NaiveIdentitySampler", "BalancedIdentitySampler"])
def test_the_order_does_not_depend_on_who_reads_the_images(cfg: Any, sampler: str) -> None:
    cfg.DATALOADER.SAMPLER_TRAIN = sampler
    cfg.INPUT.OCCLUSION.ENABLED = True
    orders = []
    for workers in (0, 1):
        cfg.DATALOADER.NUM_WORKERS = workers
        orders.append([paths for paths, _ in batches(TrainLoader(cfg, train_items(cfg)), 0)])
    assert orders[0] == orders[1]


def test_ranks_hide_their_images_behind_other_objects(cfg: Any, monkeypatch: Any) -> None:
    cfg.INPUT.OCCLUSION.ENABLED, cfg.INPUT.OCCLUSION.PROB = True, 1.0
    cfg.INPUT.OCCLUSION.KINDS = ("shapes",)
    items, masks = train_items(cfg), []
    for rank in (0, 1):
        monkeypatch.setattr(comm, "get_rank", lambda rank=rank: rank)
        monkeypatch.setattr(comm, "get_world_size", lambda: 2)
        loader = TrainLoader(cfg, items)
        loader.start_epoch(0)
        masks.append(torch.cat([next(loader)["masks"] for _ in range(4)]))
    alike = [torch.equal(one, other) for one, other in zip(*masks, strict=True)]
    assert sum(alike) < len(alike) / 2


def test_an_epoch_without_a_start_is_the_first(cfg: Any) -> None:
    items = train_items(cfg)
    loader = iter(TrainLoader(cfg, items))
    assert next(loader)["img_paths"] == batches(TrainLoader(cfg, items), 0, 1)[0][0]


def test_memory_goes_back_before_workers_copy_it(cfg: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker would keep what the network has freed for as long as the epoch lasts."""
    cfg.DATALOADER.NUM_WORKERS = 1
    alive: list[int] = []
    monkeypatch.setattr(
        loaders,
        "release_freed_memory",
        lambda: alive.append(len(multiprocessing.active_children())),
    )
    before = len(multiprocessing.active_children())
    loader = TrainLoader(cfg, train_items(cfg))
    for epoch in (0, 1):
        loader.start_epoch(epoch)
        assert len(multiprocessing.active_children()) == before + 1
    assert alive == [before, before]


def rank_stream(cfg: Any, items: list[Any], rank: int, world: int, monkeypatch) -> list[int]:
    monkeypatch.setattr(comm, "get_rank", lambda: rank)
    monkeypatch.setattr(comm, "get_world_size", lambda: world)
    torch.manual_seed(rank)
    stream: Iterator[int] = iter(EpochSampler(cfg, items, 8 // world))
    return [next(stream) for _ in range(16 // world)]


@pytest.mark.parametrize(
    "sampler",
    ["TrainingSampler", "ImbalancedDatasetSampler", "NaiveIdentitySampler"],
)
def test_ranks_share_one_stream(cfg: Any, monkeypatch, sampler: str) -> None:
    """Rank r takes every second index, from the r-th on, of what one process would take."""
    cfg.DATALOADER.SAMPLER_TRAIN = sampler
    items = train_items(cfg)
    halves = [rank_stream(cfg, items, rank, 2, monkeypatch) for rank in (0, 1)]
    assert halves[0] != halves[1]
    if sampler == "NaiveIdentitySampler":
        # A batch is drawn for each rank apart, two images of two identities, and none twice.
        for half in halves:
            assert sorted(Counter(items[i][1] for i in half[:4]).values()) == [2, 2]
        assert not set(halves[0][:4]) & set(halves[1][:4])
        return
    alone = rank_stream(cfg, items, 0, 1, monkeypatch)
    assert alone[0::2] == halves[0]
    assert alone[1::2] == halves[1]


def test_epoch_seeds_differ() -> None:
    seeds = {epoch_seed(s, e, r) for s in range(5) for e in range(5) for r in range(5)}
    assert len(seeds) == 125
    assert all(0 <= seed < 2**31 for seed in seeds)
