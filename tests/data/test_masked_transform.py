"""Training behind objects: masks that follow the pixels, and nothing changed where it is off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from partialreid.data.masked_transform import MaskedTransform
from tests.small_training import MOVING, seed


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
