"""Training behind objects: masks in the batches, objects from training images alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from partialreid.data import masked_items
from partialreid.data.catalogue import train_items
from partialreid.data.loaders import ImageItems, TrainLoader
from partialreid.data.masked_items import TRAINING_KINDS, MaskedItems
from partialreid.images.occluder_shapes import TRAINING
from tests.small_training import seed


def test_off_is_as_ever(cfg: Any) -> None:
    loader = TrainLoader(cfg, train_items(cfg))
    assert type(loader.dataset) is ImageItems
    assert set(next(loader)) == {"images", "targets", "camids", "img_paths"}


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_hold_masks_and_come_again(cfg: Any, workers: int) -> None:
    cfg.DATALOADER.NUM_WORKERS, cfg.INPUT.OCCLUSION.ENABLED = workers, True
    cfg.INPUT.FLIP.ENABLED, cfg.INPUT.REA.ENABLED = True, True
    items = train_items(cfg)
    runs = []
    for number in range(2):
        seed(100 + number)
        loader = TrainLoader(cfg, items)
        loader.start_epoch(3)
        runs.append([next(loader) for _ in range(2)])
    for one, two in zip(*runs, strict=True):
        assert one["masks"].shape == (8, 64, 32) and one["masks"].dtype == torch.bool
        assert one["images"].shape == (8, 3, 64, 32)
        assert torch.equal(one["masks"], two["masks"])
        assert torch.equal(one["images"], two["images"])
    assert not torch.equal(runs[0][0]["masks"], runs[0][1]["masks"])
    assert 0 < runs[0][0]["masks"].float().mean() < 1


@pytest.mark.parametrize("kinds", [("shapes",), ("pieces",), ("people",), ("shapes", "pieces")])
def test_share_and_probability(cfg: Any, kinds: tuple[str, ...]) -> None:
    keys = cfg.INPUT.OCCLUSION
    keys.ENABLED, keys.KINDS, keys.SHARE, keys.PROB = True, kinds, (0.25, 0.5), 0.5
    cfg.INPUT.SIZE_TRAIN = [16, 8]
    data = MaskedItems(cfg, train_items(cfg), "")
    seed(0)
    hidden = np.array([1 - data[i % 16]["masks"].float().mean().item() for i in range(200)])
    covered = hidden[hidden > 0]
    # 100 of 200 with a standard deviation of 7
    assert 65 < len(covered) < 135
    assert covered.min() >= 0.25 and covered.max() <= 0.5


def test_occluders_come_from_training_sources(cfg: Any, root: Path, monkeypatch) -> None:
    """Pieces and people of training images of other identities; drawn ones of their family."""
    cfg.INPUT.OCCLUSION.ENABLED, cfg.INPUT.OCCLUSION.PROB = True, 1.0
    cfg.INPUT.OCCLUSION.KINDS = TRAINING_KINDS
    read: list[str] = []
    families, identities, sizes = [], [], []
    reading = masked_items.read_image
    drawing, placing = masked_items.hide_behind_shape, masked_items.hide_behind_person

    def spy_read(path: str) -> Image.Image:
        read.append(str(path))
        return reading(path)

    def spy_draw(image: np.ndarray, rng: Any, share: Any, family: Any) -> Any:
        families.append(family)
        return drawing(image, rng, share, family)

    def spy_place(image: np.ndarray, other: np.ndarray, rng: Any, share: Any) -> Any:
        sizes.append(other.shape)
        return placing(image, other, rng, share)

    monkeypatch.setattr(masked_items, "hide_behind_person", spy_place)
    monkeypatch.setattr(masked_items, "read_image", spy_read)
    monkeypatch.setattr(masked_items, "hide_behind_shape", spy_draw)
    data = MaskedItems(cfg, train_items(cfg), str(root))
    seed(0)
    for i in range(60):
        read.clear()
        data[i % 16]
        if len(read) == 2:
            identities.append(tuple(Path(path).name[:4] for path in read))
        assert all(Path(path).parent.name == "bounding_box_train" for path in read)
    assert all(family is TRAINING for family in families)
    assert all(one != other for one, other in identities)
    assert len(families) + len(identities) == 60 and min(len(families), len(identities)) > 10
    # People are half of those who come from other images.
    assert 10 < len(sizes) < len(identities) - 10


@pytest.mark.parametrize("kind", TRAINING_KINDS)
def test_a_kind_is_what_its_name_says(cfg: Any, monkeypatch: Any, kind: str) -> None:
    cfg.INPUT.OCCLUSION.ENABLED, cfg.INPUT.OCCLUSION.PROB = True, 1.0
    cfg.INPUT.OCCLUSION.KINDS = (kind,)
    ways = {"shapes": "shape", "pieces": "piece", "people": "person"}
    called: list[str] = []
    for name in ways.values():
        way = getattr(masked_items, f"hide_behind_{name}")

        def spy(*args: Any, way: Any = way, name: str = name) -> Any:
            called.append(name)
            return way(*args)

        monkeypatch.setattr(masked_items, f"hide_behind_{name}", spy)
    data = MaskedItems(cfg, train_items(cfg), "")
    seed(0)
    for i in range(8):
        data[i]
    assert called == 8 * [ways[kind]]
