"""INPUT.SHRINK: an image loses detail, at its size; the object before it keeps its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from partialreid.data.masked_items import MaskedItems
from partialreid.data.shrunk_images import Shrink, shrink_of
from partialreid.data.transforms import build_transforms
from partialreid.images.occlusion import Occluded


def grain(size: tuple[int, int] = (32, 64)) -> Image.Image:
    """Noise of each pixel by itself, the first to be lost in a small image."""
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def detail(image: Any) -> float:
    """Mean difference of pixels side by side."""
    return float(np.abs(np.diff(np.asarray(image, dtype=float), axis=1)).mean())


def test_the_smaller_the_less_detail_at_the_same_size() -> None:
    np.random.seed(0)
    image = grain()
    found = [detail(Shrink(1.0, (share, share))(image)) for share in (1.0, 0.7, 0.4)]
    assert found[0] == detail(image) and found[0] > 1.5 * found[1] > 2 * found[2]
    assert Shrink(1.0, (0.4, 0.7))(image).size == image.size
    assert Shrink(1.0, (0.001, 0.001))(image).size == image.size


@pytest.mark.parametrize(("probability", "changed"), [(0.0, 0), (1.0, 200), (0.5, 100)])
def test_how_many_are_shrunk(probability: float, changed: int) -> None:
    np.random.seed(0)
    shrink, image = Shrink(probability, (0.4, 0.8)), grain((8, 16))
    count = sum(shrink(image) is not image for _ in range(200))
    # Five standard deviations of a binomial count.
    assert abs(count - changed) <= 5 * (200 * probability * (1 - probability)) ** 0.5


def test_one_seed_gives_one_image() -> None:
    image = grain()
    made = []
    for seed in (0, 0, 1):
        np.random.seed(seed)
        made.append(np.asarray(Shrink(1.0, (0.4, 1.0))(image)))
    assert np.array_equal(made[0], made[1]) and not np.array_equal(made[0], made[2])


def test_off_there_is_none_and_on_it_comes_first(make_config: Any) -> None:
    cfg = make_config()
    assert shrink_of(cfg) is None
    cfg.INPUT.SHRINK.ENABLED = True
    on = build_transforms(cfg, True).transforms
    assert isinstance(on[0], Shrink) and on[0].share == (0.4, 1.0)
    assert not any(isinstance(step, Shrink) for step in build_transforms(cfg, False).transforms)


def test_the_image_is_shrunk_and_the_object_is_not(
    make_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or blur would still tell one from the other."""
    items = []
    for person in range(2):
        path = tmp_path / f"{person}.png"
        grain().save(path)
        items.append((str(path), person, 0))
    seen: list[float] = []

    def hide(self: Any, path: str, image: np.ndarray, pid: Any) -> Occluded:
        seen.append(detail(image))
        visible = np.ones(image.shape[:2], bool)
        visible[32:] = False
        hidden = image.copy()
        hidden[32:] = np.asarray(grain())[32:]
        return Occluded(hidden, visible)

    monkeypatch.setattr(MaskedItems, "_hide", hide)
    cfg = make_config("INPUT.SIZE_TRAIN", [64, 32], "INPUT.FLIP.ENABLED", False)
    cfg.INPUT.PADDING.ENABLED = False
    cfg.INPUT.OCCLUSION.ENABLED, cfg.INPUT.OCCLUSION.PROB = True, 1.0
    cfg.INPUT.SHRINK.ENABLED, cfg.INPUT.SHRINK.PROB = True, 1.0
    cfg.INPUT.SHRINK.SHARE = (0.4, 0.4)
    np.random.seed(0)
    made = MaskedItems(cfg, items, str(tmp_path))[0]
    image, masks = made["images"].permute(1, 2, 0).numpy(), made["masks"].numpy()
    assert masks[:32].all() and not masks[32:].any()
    assert seen[0] < 0.5 * detail(grain())
    # Once alone: the object would have lost its detail as well.
    assert detail(image[:32]) < 0.5 * detail(image[32:])
    assert detail(image[32:]) > 0.9 * detail(grain())
