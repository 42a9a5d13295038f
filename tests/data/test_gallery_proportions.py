"""INPUT.KEEP_RATIO gallery: what is left of a person is as large as in the gallery's images."""

from __future__ import annotations

import logging
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from partialreid.data.keep_ratio import KeepRatioResize, keep_ratio_resize, target_size
from partialreid.data.loaders import build_test_loader
from partialreid.data.whole_people import height_of_whole
from partialreid.engine.inference import build_evaluator

MODEL, LEAST = (256, 128), (128, 128)


@pytest.mark.parametrize(
    ("image", "whole", "wanted"),
    [
        # A whole person of 3:1, and the upper two thirds, half and third of it.
        ((384, 128), 3.0, (256, 128)),
        ((256, 128), 3.0, (176, 128)),  # 170.7, two thirds of 256
        ((192, 128), 3.0, (128, 128)),
        ((128, 128), 3.0, (128, 128)),  # 85.3, and the pyramid wants 128
        # The left half: as high as the whole, and wide enough for the pyramid.
        ((384, 64), 3.0, (256, 128)),
        # A person of 3:1 of whom the lower half is hidden by the edge, before galleries of 2:1.
        ((192, 128), 2.0, (192, 128)),
        ((192, 128), 0.0, (192, 128)),
        # Wider boxes than the model's: of 1:1 a half is 1:2.
        ((100, 100), 1.0, (256, 128)),
        ((50, 100), 1.0, (128, 128)),
    ],
)
def test_sizes_by_hand(image: tuple[int, int], whole: float, wanted: tuple[int, int]) -> None:
    assert target_size(image, MODEL, "gallery", 16, LEAST, whole=whole) == wanted


def test_a_person_cut_at_any_height_keeps_the_scale_of_the_whole_one() -> None:
    """Within the rounding of both sizes, half a step each; by "fit" the error is up to a half."""
    rng = random.Random(0)
    for _ in range(500):
        width, ratio = rng.randint(30, 300), rng.uniform(2.0, 4.0)
        height = round(width * ratio)
        left = rng.randint(height // 2, height)
        whole, cut = (
            target_size((h, width), MODEL, "gallery", 1, (64, 64), whole=height / width)
            for h in (height, left)
        )
        assert whole == MODEL
        assert cut[0] / left == pytest.approx(whole[0] / height, abs=1 / left)
        assert cut[1] == whole[1]


def test_where_boxes_have_the_proportions_of_the_model_it_is_fit() -> None:
    rng = random.Random(1)
    for _ in range(500):
        image = (rng.randint(1, 500), rng.randint(1, 500))
        for whole in (0.0, 2.0):
            assert target_size(image, MODEL, "gallery", 16, LEAST, whole=whole) == target_size(
                image, MODEL, "fit", 16, LEAST
            )


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Twelve people in boxes of 3:1 of several sizes, and queries that show a part of three."""
    sizes = {
        "gallery": 4 * [(90, 30), (120, 40), (150, 50)],
        "query": [(60, 40), (40, 40), (30, 40)],
    }
    for split, of_split in sizes.items():
        (tmp_path / "people" / split).mkdir(parents=True)
        for identity, (height, width) in enumerate(of_split, 1):
            pixels = np.random.default_rng(identity).integers(0, 256, (height, width, 3), np.uint8)
            camera = 1 if split == "query" else 2
            name = f"{identity:04d}_c{camera}_00.png"
            Image.fromarray(pixels).save(tmp_path / "people" / split / name)
    return tmp_path / "people"


@pytest.fixture
def cfg(make_config, people: Path) -> Any:
    return make_config(
        *("MODEL.META_ARCHITECTURE", "PartialBaseline", "MODEL.HEADS.DSR.KERNELS", (2,)),
        *("MODEL.BACKBONE.NAME", "build_small_resnet_backbone", "MODEL.BACKBONE.FEAT_DIM", 128),
        *("MODEL.BACKBONE.LAST_STRIDE", 1, "MODEL.BACKBONE.PRETRAIN", False),
        *("MODEL.HEADS.NAME", "DSRHead", "INPUT.SIZE_TEST", [64, 32]),
        *("INPUT.KEEP_RATIO", "gallery", "INPUT.KEEP_RATIO_STEP", 1, "MODEL.DEVICE", "cpu"),
        *("DATASETS.TESTS", (f"folder:{people}",), "DATALOADER.NUM_WORKERS", 0),
    )


def shapes_of(cfg: Any) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Height and width of each query, then of each gallery image, in the order of the batches."""
    loader, queries = build_test_loader(cfg, *cfg.DATASETS.TESTS)
    found = [tuple(image.shape[1:]) for batch in loader for image in batch["images"]]
    return found[:queries], found[queries:]


def test_the_gallery_alone_says_what_a_whole_person_is(
    cfg: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """60 x 40, 40 x 40 and 30 x 40 are a half, a third and a quarter of 120 x 40."""
    with caplog.at_level(logging.INFO, "partialreid"):
        queries, gallery = shapes_of(cfg)
    assert set(gallery) == {(64, 32)}
    assert queries == [(16, 32), (21, 32), (32, 32)]
    said = "whole people are taken to be 3.00 times as high as wide; a tenth of 12 images is no"
    assert said in caplog.text and "by its width than 3.00" in caplog.text


@pytest.mark.parametrize(
    ("sizes", "whole"),
    [
        # Eleven boxes, of which the second flattest decides: there are nine tenths from it on.
        ([(90, 30), (120, 40), (150, 50), (20, 20), *[(100, 25)] * 7], 3.0),
        # More than a tenth are half a person; all are; all are half a person, cut lengthwise.
        ([(90, 30)] * 8 + [(40, 40)] * 2, 2.0),
        ([(40, 40)] * 20, 2.0),
        ([(90, 15)] * 20, 4.0),
        # One in a tenth is a share of ten.
        ([(90, 30)] * 10, 3.0),
        ([(90, 30)] * 9, 0.0),
        ([(1, 400)], 0.0),
        ([], 0.0),
    ],
)
def test_what_sizes_say(sizes: list[tuple[int, int]], whole: float) -> None:
    assert height_of_whole(sizes) == pytest.approx(whole)


def test_a_gallery_of_cut_people_says_nothing_of_whole_ones(
    cfg: Any, people: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in sorted((people / "gallery").iterdir())[:3]:
        Image.open(path).crop((0, 0, 30, 30)).save(path)
    with caplog.at_level(logging.INFO, "partialreid"):
        by_gallery = shapes_of(cfg)
    assert "to be 2.00 times as high as wide; a tenth of 12 images is no higher" in caplog.text
    assert "by its width than 1.00" in caplog.text
    cfg.INPUT.KEEP_RATIO = "fit"
    assert by_gallery == shapes_of(cfg)


def test_few_images_are_scaled_to_fit(
    cfg: Any, people: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in sorted((people / "gallery").iterdir())[9:]:
        path.unlink()
    with caplog.at_level(logging.INFO, "partialreid"):
        by_gallery = shapes_of(cfg)
    assert "9 images are too few to say how high whole people are: to fit" in caplog.text
    cfg.INPUT.KEEP_RATIO = "fit"
    assert by_gallery == shapes_of(cfg)


def test_the_evaluation_reports_what_the_gallery_says(cfg: Any) -> None:
    for keys, wanted in (
        ({}, {"keep_ratio_whole": 3.0}),
        ({"KEEP_RATIO_WHOLE": 2.5}, {}),
        ({"KEEP_RATIO": "fit", "KEEP_RATIO_WHOLE": 0.0}, {}),
    ):
        cfg.INPUT.update(keys)
        loader, evaluator = build_evaluator(cfg, *cfg.DATASETS.TESTS)
        for batch in loader:
            count = len(batch["targets"])
            columns = torch.rand(count, 8, 6, generator=torch.Generator().manual_seed(0))
            weights = torch.full((count, 6), 1 / 6)
            evaluator.process(batch, (columns.mean(2), columns, weights))
        evaluator.evaluate()
        said = {k: v for k, v in evaluator.report.items() if k == "keep_ratio_whole"}
        assert said == wanted


def test_a_number_that_is_named_is_taken(cfg: Any) -> None:
    cfg.INPUT.KEEP_RATIO_WHOLE = 2.0
    queries, gallery = shapes_of(cfg)
    assert set(gallery) == {(64, 21)}
    assert sorted(queries) == [(24, 32), (32, 32), (48, 32)]


def test_it_is_in_the_resizing_of_a_config(cfg: Any) -> None:
    cfg.INPUT.KEEP_RATIO_WHOLE = 3.0
    resize = keep_ratio_resize(cfg)
    assert isinstance(resize, KeepRatioResize) and (resize.policy, resize.whole) == ("gallery", 3.0)
