"""Masks of training images from a folder, and settings that masks refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from partialreid.data.catalogue import train_items
from partialreid.data.loaders import ImageItems, TrainLoader
from partialreid.data.masked_items import TRAINING_KINDS, MaskedItems, find_masks
from partialreid.data.transforms import build_transforms
from partialreid.images.reading import MaskError
from tests.small_training import MOVING, seed

FOLDER = "Market-1501-v15.09.15"


def write_masks(root: Path, masks: Path, mask_of: Callable[[Path], np.ndarray]) -> Path:
    for path in sorted((root / FOLDER / "bounding_box_train").iterdir()):
        target = masks / path.relative_to(root).with_suffix(".png")
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask_of(path).astype(np.uint8) * 255).save(target)
    return masks


def test_masks_change_no_random_number(cfg: Any, root: Path, tmp_path: Path) -> None:
    """With masks from a folder alone, the images are those of a training without masks."""
    for key in (*MOVING, "CJ", "REA"):
        cfg.INPUT[key].ENABLED, cfg.INPUT[key].PROB = True, 0.7
    items = train_items(cfg)
    plain = ImageItems(list(items), build_transforms(cfg, is_train=True), relabel=True)
    cfg.DATASETS.MASKS = str(write_masks(root, tmp_path / "m", lambda _: np.eye(16, 8)))
    masked = MaskedItems(cfg, items, str(root))
    for index in range(len(items)):
        seed(index)
        one = plain[index]
        seed(index)
        two = masked[index]
        torch.testing.assert_close(two["images"], one["images"], rtol=0, atol=0)
        assert {k: v for k, v in two.items() if k not in ("images", "masks")} == {
            k: v for k, v in one.items() if k != "images"
        }


@pytest.mark.parametrize(
    ("image", "seen"),
    [(Image.fromarray(np.eye(16, 8).astype(np.uint8)), "nobody"),
     (Image.fromarray(np.eye(16, 8).astype(np.uint16) * 255), "nobody"),
     (Image.new("RGBA", (8, 16), (255, 255, 255, 0)), "a person everywhere")],
    ids=["0 and 1", "16 bits", "transparency"],
)  # fmt: skip
def test_masks_that_say_nothing_are_refused(
    cfg: Any, root: Path, tmp_path: Path, image: Image.Image, seen: str
) -> None:
    folder = write_masks(root, tmp_path / "m", lambda _: np.eye(16, 8))
    for path in folder.rglob("*.png"):
        image.save(path)
    cfg.DATASETS.MASKS = str(folder)
    with pytest.raises(ValueError, match=rf"there is {seen}, as in .*DATASETS\.MASK_THRESHOLD 128"):
        MaskedItems(cfg, train_items(cfg), str(root))


def test_two_images_with_one_mask(tmp_path: Path) -> None:
    paths = [str(tmp_path / "a.png"), str(tmp_path / "a.jpg")]
    with pytest.raises(ValueError, match=r'a\.png" and ".*a\.jpg" would both have the mask'):
        find_masks(paths, str(tmp_path), str(tmp_path / "masks"))


def test_from_which_grey_a_mask_is_the_person(cfg: Any, root: Path, tmp_path: Path) -> None:
    """A mask with a column of each of eight greys."""
    greys = np.array([0, 50, 100, 127, 128, 150, 200, 255], np.uint8)
    folder = write_masks(root, tmp_path / "m", lambda _: np.ones((16, 8)))
    for path in folder.rglob("*.png"):
        Image.fromarray(np.tile(greys, (16, 1))).save(path)
    cfg.DATASETS.MASKS, cfg.INPUT.SIZE_TRAIN = str(folder), [16, 8]
    for threshold, person in ((128, 4), (100, 6), (255, 1), (1, 7)):
        cfg.DATASETS.MASK_THRESHOLD = threshold
        mask = MaskedItems(cfg, train_items(cfg), str(root))[0]["masks"]
        assert mask.sum(1).tolist() == [person] * 16


def test_masks_of_a_folder_and_occluders_are_combined(cfg: Any, root: Path, tmp_path: Path) -> None:
    foreground = np.zeros((16, 8), bool)
    foreground[4:12, 2:6] = True
    cfg.DATASETS.MASKS = str(write_masks(root, tmp_path / "masks", lambda _: foreground))
    cfg.INPUT.SIZE_TRAIN = [16, 8]
    items = train_items(cfg)
    alone = MaskedItems(cfg, items, str(root))
    assert torch.equal(alone[3]["masks"], torch.from_numpy(foreground))

    cfg.INPUT.OCCLUSION.ENABLED, cfg.INPUT.OCCLUSION.PROB = True, 1.0
    both = MaskedItems(cfg, items, str(root))
    plain = ImageItems(list(items), build_transforms(cfg, is_train=True), relabel=True)
    smaller = 0
    for index in range(len(items)):
        seed(index)
        out = both[index]
        mask = out["masks"].numpy()
        assert not (mask & ~foreground).any()
        shown = plain[index]["images"][:, out["masks"]]
        assert torch.equal(out["images"][:, out["masks"]], shown)
        smaller += mask.sum() < foreground.sum()
    assert smaller > 8


def test_masks_are_found_by_relative_name(tmp_path: Path, monkeypatch) -> None:
    root, cache, masks = (tmp_path / name for name in ("data", "cache", "masks"))
    monkeypatch.setenv("PARTIALREID_CACHE", str(cache))
    (masks / "set" / "train").mkdir(parents=True)
    paths = []
    for place, name in ((root, "a.jpg"), (cache, "b.png")):
        paths.append(str(place / "set" / "train" / name))
        (masks / "set" / "train" / f"{name[0]}.png").touch()
    found = find_masks(paths, str(root), str(masks))
    assert list(found.values()) == [str(masks / "set" / "train" / n) for n in ("a.png", "b.png")]
    (masks / "set" / "train" / "a.png").unlink()
    with pytest.raises(FileNotFoundError, match=r'DATASETS\.MASKS.*1 of 2.*train/a\.png"'):
        find_masks(paths, str(root), str(masks))
    with pytest.raises(ValueError, match=r"elsewhere.*neither below.*Set DATASETS\.ROOT"):
        find_masks([str(tmp_path / "elsewhere" / "c.jpg")], str(root), str(masks))


def test_a_mask_of_another_size_is_named(cfg: Any, root: Path, tmp_path: Path) -> None:
    cfg.DATASETS.MASKS = str(write_masks(root, tmp_path / "m", lambda _: np.eye(8, 16)))
    data = MaskedItems(cfg, train_items(cfg), str(root))
    with pytest.raises(ValueError, match=r"0002_c1.*\.png.* 16 x 8 pixels, its image 8 x 16"):
        data[0]


@pytest.mark.parametrize("kind", TRAINING_KINDS)
def test_an_image_too_small_to_be_hidden_is_named(cfg: Any, root: Path, kind: str) -> None:
    cfg.INPUT.OCCLUSION.ENABLED, cfg.INPUT.OCCLUSION.PROB = True, 1.0
    cfg.INPUT.OCCLUSION.KINDS = (kind,)
    path = root / FOLDER / "bounding_box_train" / "0002_c1s1_000000_00.jpg"
    Image.new("RGB", (1, 1)).save(path)
    data = MaskedItems(cfg, train_items(cfg), str(root))
    with pytest.raises(MaskError, match=r'no part of ".*0002_c1.*" can be hidden: no whole number'):
        data[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [("PROB", 1.5), ("SHARE", (0.5, 0.2)), ("SHARE", (0.0, 0.2)), ("KINDS", ("boxes",)),
     ("KINDS", ())],
)  # fmt: skip
def test_values_out_of_range(cfg: Any, key: str, value: Any) -> None:
    cfg.INPUT.OCCLUSION.ENABLED = True
    cfg.INPUT.OCCLUSION[key] = value
    with pytest.raises(ValueError, match=rf"INPUT\.OCCLUSION\.{key}"):
        TrainLoader(cfg, train_items(cfg))


@pytest.mark.parametrize("key", ["AUTOAUG", "AUGMIX"])
def test_transforms_that_masks_cannot_follow(cfg: Any, key: str) -> None:
    cfg.INPUT.OCCLUSION.ENABLED = cfg.INPUT[key].ENABLED = True
    with pytest.raises(ValueError, match=rf"INPUT\.{key} moves pixels"):
        TrainLoader(cfg, train_items(cfg))


@pytest.mark.parametrize("kind", ["pieces", "people"])
def test_other_people_need_two_identities(cfg: Any, kind: str) -> None:
    cfg.INPUT.OCCLUSION.ENABLED = True
    cfg.INPUT.OCCLUSION.KINDS = ("shapes", kind)
    items = [item for item in train_items(cfg) if item[1] == "market1501_2"]
    with pytest.raises(ValueError, match=f"holds {kind}, .* one training identity"):
        MaskedItems(cfg, items, "")
    cfg.INPUT.OCCLUSION.KINDS = ("shapes",)
    assert len(MaskedItems(cfg, items, "")) == 4
