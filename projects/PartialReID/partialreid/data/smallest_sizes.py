"""How small an image may be before its feature map has no room for the pyramid's largest window.

Backbones round in different ways (a ResNet of stride 16 needs 115 pixels for eight cells where a
MobileNetV2 needs 113), so that the config's own backbone is asked, with empty images.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from fastreid.modeling.backbones import build_backbone
from torch import nn

from ..matching.pyramid import level_shapes


def smallest_sides(cfg: Any) -> tuple[int, int]:
    """Smallest height and width, in pixels, of an image whose map holds every pyramid window.

    A backbone is built and run a few times on the CPU. Torch's random numbers are not disturbed.

    Raises:
        ValueError: an image of INPUT.SIZE_TEST, for which both are smaller or equal, is too small.
    """
    backbone = _backbone(cfg)
    height, width = cfg.INPUT.SIZE_TEST
    dsr = cfg.MODEL.HEADS.DSR
    whole = map_shape(backbone, height, width)
    level_shapes(*whole, dsr.KERNELS, dsr.STRIDE)

    @cache
    def square(side: int) -> tuple[int, int]:
        try:
            return map_shape(backbone, side, side)
        except (RuntimeError, ValueError):
            # A layer that cannot work on so small an image says so in either way.
            return 0, 0

    def smallest(axis: int, longest: int) -> int:
        # The stride gives a first guess, which is some pixels too large or too small.
        cells = max(dsr.KERNELS)
        side = min(longest, (cells - 1) * round(longest / whole[axis]) + 1)
        while side > 1 and square(side - 1)[axis] >= cells:
            side -= 1
        while side < longest and square(side)[axis] < cells:
            side += 1
        return side

    return smallest(0, height), smallest(1, width)


def check_room(cfg: Any, height: int, width: int) -> None:
    """Check that the map of an image of height x width pixels holds every pyramid window.

    Raises:
        ValueError: it does not.
    """
    dsr = cfg.MODEL.HEADS.DSR
    level_shapes(*map_shape(_backbone(cfg), height, width), dsr.KERNELS, dsr.STRIDE)


def _backbone(cfg: Any) -> nn.Module:
    """The backbone of a config with random weights; torch's random numbers are not disturbed."""
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.BACKBONE.PRETRAIN = False
    with torch.random.fork_rng(devices=[]):
        backbone: nn.Module = build_backbone(cfg).eval()
    return backbone


def map_shape(backbone: nn.Module, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the map of one image."""
    with torch.no_grad():
        features = backbone(torch.zeros(1, 3, height, width))
    return features.shape[2], features.shape[3]
