"""Images are normalised as timm's network has learnt them, or a warning says that they are not."""

from __future__ import annotations

import argparse
import logging
from typing import Any

import pytest
import torch
from fastreid.config import get_cfg
from fastreid.modeling import build_model
from fastreid.modeling.backbones import build_backbone

from partialreid.backbones import timm_statistics
from partialreid.backbones.timm_statistics import statistics
from partialreid.engine.configuration import setup_config
from tests import tiny

DEFAULT = get_cfg().MODEL
OF_TIMM = ("MODEL.BACKBONE.NAME", "build_timm_backbone", "MODEL.BACKBONE.PRETRAIN", "False")
HALF = ("MODEL.BACKBONE.TIMM", "test_vit", "MODEL.BACKBONE.FEAT_DIM", "64")
IMAGENET = ("MODEL.BACKBONE.TIMM", "resnet10t", "MODEL.BACKBONE.FEAT_DIM", "512")


def settled(*options: str) -> Any:
    return setup_config(argparse.Namespace(config_file=tiny.CONFIG, opts=list(options)))


@pytest.fixture(autouse=True)
def unsaid() -> None:
    timm_statistics._warn_once.cache_clear()


def test_statistics_are_those_of_the_weights() -> None:
    """By the table of timm: those of augreg are halves, those of CLIP its own."""
    assert statistics("vit_tiny_patch16_224.augreg_in21k") == ([127.5] * 3, [127.5] * 3)
    mean, deviation = statistics("vit_base_patch16_clip_224.openai")
    assert mean == pytest.approx([122.771, 116.746, 104.094], abs=0.001)
    assert deviation == pytest.approx([68.501, 66.632, 70.323], abs=0.001)
    # FastReID's are ImageNet's.
    mean, deviation = statistics("resnet50.a1_in1k")
    assert mean == pytest.approx(DEFAULT.PIXEL_MEAN) and deviation == pytest.approx(
        DEFAULT.PIXEL_STD
    )


def test_a_command_line_settles_them() -> None:
    cfg = settled(*OF_TIMM, *HALF)
    assert cfg.MODEL.PIXEL_MEAN == cfg.MODEL.PIXEL_STD == [127.5] * 3
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.HEADS.NUM_CLASSES, cfg.MODEL.DEVICE = 4, "cpu"
    model = build_model(cfg)
    images = torch.tensor([0.0, 127.5, 255.0]).repeat(1, 3, 4, 1)
    assert torch.equal(
        model.preprocess_image({"images": images}), torch.tensor([-1.0, 0, 1]).repeat(1, 3, 4, 1)
    )


@pytest.mark.parametrize(
    ("options", "mean"),
    [
        ((*OF_TIMM, *IMAGENET), DEFAULT.PIXEL_MEAN),
        # Of another backbone.
        (HALF, DEFAULT.PIXEL_MEAN),
        # What a user has set stays.
        ((*OF_TIMM, *HALF, "MODEL.PIXEL_MEAN", "[1.0, 2.0, 3.0]"), [1.0, 2.0, 3.0]),
        # What does not exist is said by the check of the network.
        ((*OF_TIMM, "MODEL.BACKBONE.TIMM", "absent"), DEFAULT.PIXEL_MEAN),
    ],
)
def test_otherwise_a_config_stays_as_it_is(options: tuple[str, ...], mean: list[float]) -> None:
    held = settled(*options).MODEL.PIXEL_MEAN
    assert held == mean


def test_other_statistics_are_said_once(make_config, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        build_backbone(make_config(*OF_TIMM, *IMAGENET))
        assert not caplog.messages
        for _ in range(2):
            build_backbone(make_config(*OF_TIMM, *HALF))
    (said,) = [text for text in caplog.messages if "PIXEL_MEAN" in text]
    assert "timm's test_vit were trained with [127.5, 127.5, 127.5] and [127.5" in said
    assert "123.675" in said
