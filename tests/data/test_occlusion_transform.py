"""Training behind objects: masks that follow the pixels, and nothing changed where it is off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from partialreid.data import occlusion_transform
from partialreid.data.catalogue import train_items
from partialreid.data.loaders import ImageItems, TrainLoader
from partialreid.data.occlusion_transform import MaskedItems, MaskedTransform
from partialreid.images.occluder_shapes import TRAINING
from tests.small_training import MOVING, seed, small_training

FOLDER = "Market-1501-v15.09.15"


@pytest.fixture
def root(tmp_path: Path, make_market) -> Path:
    return make_market(tmp_path / "data")


@pytest.fixture
def cfg(root: Path, make_config) -> Any:
    return small_training(make_config, root)


def marker(size: tuple[int, int] = (64, 32)) -> tuple[Image.Image, np.ndarray]:
    """A white block, off the middle, on black; its mask is the block."""
    visible = np.zeros(size, bool)
    visible[size[0] // 8 : size[0] // 2, size[1] // 8 : size[1] // 2] = True
    return Image.fromarray(np.repeat(visible[..., None], 3, 2).astype(np.uint8) * 255), visible


@pytest.mark.parametrize("keys", [(), *((key,) for key in MOVING), MOVING])
@pytest.mark.parametrize("source", [(64, 32), (128, 64), (50, 21)])
def test_the_mask_follows_the_pixels(cfg: Any, keys: tuple[str, ...], source) -> None:
    for key in keys:
        cfg.INPUT[key].ENABLED = True
    transform = MaskedTransform(cfg)
    image, visible = marker(source)
    masks = []
    for number in range(12):
        seed(number)
        tensor, mask = transform(image, visible)
        assert tensor.shape == (3, 64, 32) and mask.shape == (64, 32)
        assert mask.dtype == torch.bool and type(mask) is torch.Tensor
        assert torch.equal(mask, tensor[0] > 127)
        assert int(mask.sum()) > 60
        masks.append(mask)
    different = len({mask.numpy().tobytes() for mask in masks})
    assert different > 1 if keys else different == 1


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_padding_is_visible_only_where_it_repeats_the_image(cfg: Any, mode: str) -> None:
    cfg.INPUT.PADDING.ENABLED, cfg.INPUT.PADDING.MODE = True, mode
    image = Image.new("RGB", (32, 64), (255, 255, 255))
    transform, hidden = MaskedTransform(cfg), 0
    for number in range(10):
        seed(number)
        tensor, mask = transform(image, np.ones((64, 32), bool))
        assert torch.equal(mask, tensor[0] > 0)
        hidden += int((~mask).sum())
    assert (hidden > 0) == (mode == "constant")


@pytest.mark.parametrize("key", ["REA", "RPT"])
def test_what_is_painted_over_is_hidden(cfg: Any, key: str) -> None:
    cfg.INPUT[key].ENABLED, cfg.INPUT[key].PROB = True, 1.0
    transform = MaskedTransform(cfg)
    pixels = np.random.default_rng(0).integers(0, 255, (64, 32, 3), dtype=np.uint8)
    hidden = []
    # Random patches begin when a hundred are collected.
    for number in range(140):
        seed(number)
        tensor, mask = transform(Image.fromarray(pixels), np.ones((64, 32), bool))
        changed = (tensor != torch.from_numpy(pixels).permute(2, 0, 1)).any(0)
        assert not (changed & mask).any()
        rows, columns = (~mask).any(1).sum(), (~mask).any(0).sum()
        assert int((~mask).sum()) == int(rows * columns)
        hidden.append(float((~mask).float().mean()))
    assert 0.02 < np.mean(hidden[-20:]) < 0.4


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


@pytest.mark.parametrize("kinds", [("shapes",), ("pieces",), ("shapes", "pieces")])
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
    """Pieces of training images of other identities; drawn ones of the training family."""
    cfg.INPUT.OCCLUSION.ENABLED, cfg.INPUT.OCCLUSION.PROB = True, 1.0
    read: list[str] = []
    families, identities = [], []
    reading = occlusion_transform.read_image
    drawing = occlusion_transform.hide_behind_shape

    def spy_read(path: str) -> Image.Image:
        read.append(str(path))
        return reading(path)

    def spy_draw(image: np.ndarray, rng: Any, share: Any, family: Any) -> Any:
        families.append(family)
        return drawing(image, rng, share, family)

    monkeypatch.setattr(occlusion_transform, "read_image", spy_read)
    monkeypatch.setattr(occlusion_transform, "hide_behind_shape", spy_draw)
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
