"""Test images that keep their proportions: their sizes, and how small they may be."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from fastreid.data.transforms import build_transforms as fastreid_transforms
from fastreid.modeling.backbones import build_backbone
from torchvision.transforms import functional as tvf

from partialreid.data.keep_ratio import (
    KeepRatioResize,
    build_test_transform,
    keep_ratio_resize,
    target_size,
)
from partialreid.data.smallest_sizes import smallest_sides
from partialreid.engine.checks import check_config
from tests.noise_pictures import picture

MODEL, LEAST = (256, 128), (128, 128)
POLICIES = ("width", "height", "area")


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        # 60 % of the height of 128 x 64. Width: 154 x 128. Height: 256 x 212.8. Area: 198.6 x 165.
        ((77, 64), {"width": (160, 128), "height": (256, 208), "area": (192, 160)}),
        # Height 168 is half a step from 160 and from 176. Area: 207.4 x 158.
        ((84, 64), {"width": (176, 128), "height": (256, 192), "area": (208, 160)}),
        # A strip of a body. Width: 512. Height: 64 wide, scaled up. Area: 362 x 90.5, scaled up.
        ((128, 32), {"width": (512, 128), "height": (512, 128), "area": (512, 128)}),
        # Width: 96 high, scaled up to 128. Height: 341 wide, scaled down to 256. Area: 156.8 x 209.
        ((48, 64), {"width": (128, 176), "height": (192, 256), "area": (160, 208)}),
        ((64, 64), {"width": (128, 128), "height": (256, 256), "area": (176, 176)}),
        # No scale serves.
        ((200, 5), dict.fromkeys(POLICIES, (512, 128))),
        ((5, 200), dict.fromkeys(POLICIES, (128, 256))),
        ((1, 1), {"width": (128, 128), "height": (256, 256), "area": (176, 176)}),
    ],
)
def test_sizes_by_hand(image: tuple[int, int], wanted: dict[str, tuple[int, int]]) -> None:
    assert {p: target_size(image, MODEL, p, 16, LEAST) for p in POLICIES} == wanted


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("model", [(256, 128), (384, 128), (250, 120), (97, 131)])
@pytest.mark.parametrize("step", [1, 7, 16, 500])
def test_proportions_of_the_model_give_its_size(policy: str, model: Any, step: int) -> None:
    for factor in (1, 2, 5):
        image = (factor * model[0], factor * model[1])
        assert target_size(image, model, policy, step, (90, 80)) == model


@pytest.mark.parametrize("policy", POLICIES)
def test_properties(policy: str) -> None:
    draw = random.Random(0)
    kept = 0
    for _ in range(2000):
        image = draw.randint(1, 400), draw.randint(1, 400)
        model = draw.randint(60, 300), draw.randint(60, 300)
        least = draw.randint(1, model[0]), draw.randint(1, model[1])
        step = draw.choice([1, 8, 16, 32])
        height, width = target_size(image, model, policy, step, least)
        assert least[0] <= height <= 2 * model[0] and least[1] <= width <= 2 * model[1]
        assert (height - model[0]) % step == 0 and (width - model[1]) % step == 0
        ratio = image[0] / image[1]
        # The bounds as the nearest sizes within them.
        low = [m - (m - bound) // step * step for m, bound in zip(model, least)]
        high = [m + m // step * step for m in model]
        if ratio > high[0] / low[1]:
            assert (height, width) == (high[0], low[1])
        elif ratio < low[0] / high[1]:
            assert (height, width) == (low[0], high[1])
        else:
            # Each side is half a step at most from one of these very proportions.
            kept += 1
            half = step / 2 + 1e-6
            assert (height - half) / (width + half) <= ratio
            assert width <= half or ratio <= (height + half) / (width - half)
    assert kept > 500


@pytest.mark.parametrize("policy", POLICIES)
def test_the_scale_is_the_policys_within_the_bounds(policy: str) -> None:
    for rows in range(77, 130):
        height, width = target_size((rows, 64), MODEL, policy, 1, (1, 1))
        if policy == "width":
            assert width == 128 and abs(height - 2 * rows) <= 0.5
        elif policy == "height":
            assert height == 256
        else:
            assert math.isclose(height * width, 256 * 128, rel_tol=0.01)
        assert math.isclose(height / width, rows / 64, rel_tol=0.01)


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        ((128, 64), (256, 128)),
        # Rows are cut: by the width. Columns are: by the height, as far as the pyramid allows.
        ((77, 64), (160, 128)),
        ((128, 52), (256, 128)),
        ((128, 40), (256, 128)),
        ((64, 64), (128, 128)),
        # Too short at this scale: the height alone is stretched.
        ((30, 64), (128, 128)),
        ((1, 1), (128, 128)),
    ],
)
def test_fit_by_hand(image: tuple[int, int], wanted: tuple[int, int]) -> None:
    assert target_size(image, MODEL, "fit", 16, LEAST) == wanted


def test_fit_keeps_the_scale_of_a_body_whichever_side_is_cut() -> None:
    """With room for narrow maps, what is left of a 128 x 64 body is scaled by two."""
    for rows, columns in ((128, 40), (128, 52), (90, 64), (40, 64), (128, 64)):
        assert target_size((rows, columns), MODEL, "fit", 1, (1, 1)) == (2 * rows, 2 * columns)


def test_fit_is_the_width_where_rows_are_cut_and_the_height_where_columns_are() -> None:
    for kept in range(60, 91):
        rows, columns = (round(128 * kept / 100), 64), (128, round(64 * kept / 100))
        assert target_size(rows, MODEL, "fit", 16, LEAST) == target_size(
            rows, MODEL, "width", 16, LEAST
        )
        # A pyramid with room for narrow maps.
        assert target_size(columns, MODEL, "fit", 16, (128, 64)) == target_size(
            columns, MODEL, "height", 16, (128, 64)
        )


def test_fit_stays_within_the_model() -> None:
    draw = random.Random(1)
    kept = 0
    for _ in range(2000):
        image = draw.randint(1, 400), draw.randint(1, 400)
        model = draw.randint(60, 300), draw.randint(60, 300)
        least = draw.randint(1, model[0]), draw.randint(1, model[1])
        height, width = target_size(image, model, "fit", 1, least)
        assert least[0] <= height <= model[0] and least[1] <= width <= model[1]
        assert height == model[0] or width == model[1]
        if height > least[0] and width > least[1]:
            kept += 1
            ratio = image[0] / image[1]
            assert (height - 0.5) / (width + 0.5) - 1e-6 <= ratio
            assert ratio <= (height + 0.5) / (width - 0.5) + 1e-6
    assert kept > 500


def test_arguments_that_make_no_sense() -> None:
    for image, model, policy, step, least in (
        ((0, 5), MODEL, "width", 16, LEAST),
        ((9, 5), MODEL, "width", 0, LEAST),
        ((9, 5), MODEL, "off", 16, LEAST),
        ((9, 5), MODEL, "area", 16, (128, 129)),
    ):
        with pytest.raises(ValueError, match=r"positive|policy|least"):
            target_size(image, model, policy, step, least)


@pytest.mark.parametrize(
    ("longest", "wanted"),
    [
        # A strip of 4 : 1. Twice the model's 256 leaves the width its 128.
        (2.0, (512, 128)),
        # 1.5 * 256, and the width that the proportions leave is 96: below the least, so stretched.
        (1.5, (384, 128)),
        (1.0, (256, 128)),
        # 1.9 * 256 is 486.4: 14 steps of 16 above 256 are 480.
        (1.9, (480, 128)),
    ],
)
def test_the_longest_side_is_a_key(cfg: Any, longest: float, wanted: tuple[int, int]) -> None:
    assert target_size((128, 32), MODEL, "width", 16, LEAST, longest) == wanted
    cfg.INPUT.KEEP_RATIO, cfg.INPUT.KEEP_RATIO_LONGEST = "width", longest
    resize = keep_ratio_resize(cfg)
    assert resize is not None
    # The model of the fixture is 64 x 32, a quarter of this one, and so are its steps.
    height, width = resize.target((128, 32))
    assert (height, width) == (64 + int((longest - 1) * 64 // 16) * 16, 32)
    with pytest.raises(ValueError, match="starts at 1"):
        target_size((128, 32), MODEL, "width", 16, LEAST, 0.9)


@pytest.fixture
def cfg(make_config) -> Any:
    """Whole images of 64 x 32 pixels, and a map of stride 8 that must hold 4 x 4 cells."""
    return make_config(
        *("MODEL.META_ARCHITECTURE", "PartialBaseline", "MODEL.HEADS.DSR.KERNELS", (2, 4)),
        *("MODEL.BACKBONE.NAME", "build_small_resnet_backbone", "MODEL.BACKBONE.FEAT_DIM", 128),
        *("MODEL.BACKBONE.LAST_STRIDE", 1, "MODEL.BACKBONE.PRETRAIN", False),
        *("MODEL.HEADS.NAME", "DSRHead"),
        *("INPUT.SIZE_TEST", [64, 32], "DATASETS.TESTS", ("Market1501",)),
    )


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_off_is_fastreids_transform(cfg: Any) -> None:
    cfg.INPUT.KEEP_RATIO = "off"
    assert keep_ratio_resize(cfg) is None
    for size in ((64, 32), (50, 33), (7, 90)):
        image = picture(*size)
        ours, theirs = build_test_transform(cfg, None), fastreid_transforms(cfg, is_train=False)
        assert torch.equal(ours(image), theirs(image))


@pytest.mark.parametrize("policy", POLICIES)
def test_tensors(cfg: Any, policy: str) -> None:
    cfg.INPUT.KEEP_RATIO = policy
    resize = keep_ratio_resize(cfg)
    assert resize == KeepRatioResize((64, 32), policy, 16, (25, 25))
    keep = build_test_transform(cfg, resize)
    off = fastreid_transforms(cfg, is_train=False)
    for size in ((128, 64), (64, 32), (30, 15)):
        image = picture(*size)
        assert torch.equal(keep(image), off(image))
    image = picture(40, 32)
    tensor = keep(image)
    # 40 x 32 is half way to 48. 64 x 51.2. 50.6 x 40.5 (area).
    wanted = {"width": (48, 32), "height": (64, 48), "area": (48, 48)}[policy]
    resized = tvf.resize(image, wanted, tvf.InterpolationMode.BICUBIC)
    assert torch.equal(tensor, torch.from_numpy(np.array(resized)).permute(2, 0, 1).float())
    assert tensor.dtype == torch.float32 and tensor.max() > 1


@pytest.mark.parametrize(
    ("config", "wanted"),
    # At stride 8, eight cells begin with 7 * 8 + 1 pixels; at stride 16 with 7 * 16 + 1. ResNet's
    # first pooling has no padding: 29 cells for the stride 4 that follows need 58 before it, and
    # these 115 pixels.
    [("partial_market", 115), ("market_mobilenetv2", 113), ("demo", 57)],
)
def test_least_sides_of_the_configs(make_config, config: str, wanted: int) -> None:
    cfg = make_config()
    cfg.merge_from_file(f"projects/PartialReID/configs/{config}.yml")
    if config == "partial_market":
        # As ResNet-50 in every stride, and built sooner.
        cfg.MODEL.BACKBONE.DEPTH = "18x"
    before = torch.get_rng_state()
    assert smallest_sides(cfg) == (wanted, wanted)
    assert torch.equal(torch.get_rng_state(), before)
    assert cfg.MODEL.BACKBONE.PRETRAIN is (config != "demo")


def test_least_sides_are_the_least(cfg: Any) -> None:
    backbone = build_backbone(cfg).eval()
    height, width = smallest_sides(cfg)
    with torch.no_grad():
        assert backbone(torch.zeros(1, 3, height, width)).shape[2:] == (4, 4)
        assert backbone(torch.zeros(1, 3, height - 1, width - 1)).shape[2:] == (3, 3)


def test_no_room_at_all(cfg: Any) -> None:
    cfg.MODEL.HEADS.DSR.KERNELS = (1, 5)
    with pytest.raises(ValueError, match=r"8x4 cells.*MODEL\.HEADS\.DSR\.KERNELS"):
        smallest_sides(cfg)


def test_layers_that_refuse_small_images(cfg: Any) -> None:
    """Instance normalisation refuses a map of one cell, which the pyramid would take."""
    cfg.MODEL.BACKBONE.NAME, cfg.MODEL.BACKBONE.WITH_IBN = "build_resnet_backbone", True
    cfg.MODEL.BACKBONE.DEPTH, cfg.MODEL.HEADS.DSR.KERNELS = "18x", (1,)
    cfg.MODEL.BACKBONE.FEAT_DIM = 512
    cfg.INPUT.SIZE_TEST = [16, 32]
    assert smallest_sides(cfg) == (16, 19)
    with torch.no_grad():
        assert build_backbone(cfg).eval()(torch.zeros(1, 3, 16, 19)).shape[2:] == (1, 2)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("INPUT.KEEP_RATIO", "both", "off, fit, gallery, width, height, area"),
        ("MODEL.META_ARCHITECTURE", "Baseline", "PartialBaseline"),
        ("INPUT.SIZE_TEST", [64], r"INPUT\.SIZE_TEST"),
        ("INPUT.SIZE_TEST", [0, 0], r"INPUT\.SIZE_TEST"),
        ("INPUT.CROP.ENABLED", True, r"INPUT\.CROP\.ENABLED"),
        ("INPUT.KEEP_RATIO_STEP", 0, r"INPUT\.KEEP_RATIO_STEP"),
    ],
)
def test_checks(cfg: Any, key: str, value: Any, message: str) -> None:
    cfg.INPUT.KEEP_RATIO = "width"
    check_config(cfg, 1, eval_only=True)
    cfg.merge_from_list([key, value])
    with pytest.raises(ValueError, match=message):
        check_config(cfg, 1, eval_only=True)
    if key in ("MODEL.META_ARCHITECTURE", "INPUT.CROP.ENABLED"):
        cfg.INPUT.KEEP_RATIO = "off"
        check_config(cfg, 1, eval_only=True)
