"""Test images with no more detail than those of a training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from partialreid.data.detail import LimitDetail
from partialreid.data.keep_ratio import KeepRatioResize, build_test_transform
from tests.noise_pictures import picture

WHOLE = KeepRatioResize((256, 128), "fit", 16, (128, 128))


def stripes(height: int, width: int, period: int) -> Image.Image:
    """Rows of black and white in turn, as many of each as half a period."""
    rows = (np.arange(height) // (period // 2) % 2 * 255).astype(np.uint8)
    return Image.fromarray(np.repeat(rows[:, None], width, 1)).convert("RGB")


def contrast(image: Image.Image) -> float:
    """How much rows differ, away from the border."""
    return float(np.asarray(image, float)[8:-8, 8:-8, 0].mean(1).std())


@pytest.mark.parametrize("size", [(128, 64), (77, 64), (40, 20), (60, 64)])
def test_images_with_as_few_pixels_as_those_of_the_training_stay_as_they_are(size: Any) -> None:
    """Of 77 x 64 each side is enlarged to twice as much, too, and 60 x 64 is stretched alone."""
    image = picture(*size)
    resized = WHOLE(image)
    assert np.array_equal(np.asarray(LimitDetail(WHOLE, 0.5)(image)), np.asarray(resized))


def test_cut_images_of_market_1501_lose_three_rows_at_most() -> None:
    """Where their height is rounded down; 60 to 90 % of 128 rows are left."""
    lost = {}
    for rows in range(77, 116):
        height, width = WHOLE.target((rows, 64))
        assert width == 128
        lost[rows] = max(0, rows - height // 2)
        image = picture(rows, 64)
        same = np.array_equal(np.asarray(LimitDetail(WHOLE, 0.5)(image)), np.asarray(WHOLE(image)))
        assert same == (lost[rows] == 0)
    assert max(lost.values()) == 3 and sum(map(bool, lost.values())) == 15


@pytest.mark.parametrize("size", [(512, 256), (384, 128), (300, 200), (1024, 99)])
def test_a_finer_image_comes_out_at_the_same_size(size: Any) -> None:
    image = picture(*size)
    limited = LimitDetail(WHOLE, 0.5)(image)
    assert limited.size == WHOLE(image).size
    assert not np.array_equal(np.asarray(limited), np.asarray(WHOLE(image)))


def test_detail_that_no_image_of_the_training_has_is_gone_and_the_rest_stays() -> None:
    """At 256 x 128 stripes of a period of 4 pixels are finer than 128 x 64 can show in contrast."""
    fine, broad = stripes(1024, 512, 8), stripes(1024, 512, 128)
    limited = LimitDetail(WHOLE, 0.5)
    assert contrast(WHOLE(fine)) > 4 * contrast(limited(fine))
    assert contrast(limited(broad)) == pytest.approx(contrast(WHOLE(broad)), rel=0.05)


def test_a_large_picture_comes_out_as_the_small_one_that_was_made_of_it() -> None:
    large = picture(640, 320)
    small = large.resize((64, 128), Image.Resampling.BILINEAR)
    assert np.array_equal(np.asarray(LimitDetail(WHOLE, 0.5)(large)), np.asarray(WHOLE(small)))


@pytest.mark.parametrize("policy", ["off", "fit", "width"])
@pytest.mark.parametrize("size", [(512, 256), (300, 64)])
def test_the_transform_of_a_test_limits_it(make_config, policy: str, size: Any) -> None:
    cfg = make_config()
    cfg.merge_from_list(["INPUT.SIZE_TEST", [256, 128]])
    resize = None if policy == "off" else replace(WHOLE, policy=policy)
    before = build_test_transform(cfg, resize)
    cfg.merge_from_list(["INPUT.DETAIL", 0.5])
    after = build_test_transform(cfg, resize)
    image, market = picture(*size), picture(128, 64)
    assert after(image).shape == before(image).shape
    assert not torch.equal(after(image), before(image))
    assert torch.equal(after(market), before(market))


def test_all_detail_is_kept_by_default(make_config) -> None:
    image = picture(512, 256)
    transform = build_test_transform(make_config(), WHOLE)
    assert np.array_equal(transform(image).numpy().transpose(1, 2, 0), np.asarray(WHOLE(image)))


def test_a_crop_of_images_that_are_not_resized_has_no_detail_to_limit(make_config) -> None:
    cfg = make_config()
    crop = ["INPUT.CROP.ENABLED", True, "INPUT.CROP.SIZE", [64, 32]]
    cfg.merge_from_list(["INPUT.SIZE_TEST", [0], "INPUT.DETAIL", 0.5, *crop])
    tensor = build_test_transform(cfg, None)(picture(64, 32))
    assert np.array_equal(tensor.numpy().transpose(1, 2, 0), np.asarray(picture(64, 32)))
