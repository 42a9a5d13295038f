"""ImageNet weights of MobileNetV2: torchvision's, under the parameter names of FastReID."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor

from ..runtime.files import whole_file
from .pretrained import cached_path, hub_weights, one_at_a_time, readable_weights
from .pretrained_files import check_pretrain_path

MOBILENETV2_URL = "https://download.pytorch.org/models/mobilenet_v2-7ebf99e0.pth"


def rename_torchvision_mobilenetv2(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Torchvision's MobileNetV2 under FastReID's parameter names, without the classifier.

    Torchvision wraps each convolution with its norm and activation (`conv.0.0`, `conv.0.1`), where
    FastReID counts them in one row (`conv.0`, `conv.1`, then the activation `conv.2`).
    """
    renamed = {}
    for key, value in state.items():
        parts = key.split(".")
        if parts[0] != "features":
            continue
        block = int(parts[1])
        if block == 18:
            name = ["conv", *parts[2:]]
        elif block == 0:
            name = parts
        else:
            inner = parts[3:-1]
            # One expansion block fewer in features.1: its depthwise convolution comes first.
            wrapped = 1 if block == 1 else 2
            position = int(inner[0])
            if position < wrapped:
                index = 3 * position + int(inner[1])
            else:
                index = 3 * wrapped + position - wrapped
            name = ["features", parts[1], "conv", str(index), parts[-1]]
        renamed[".".join(name)] = value
    return renamed


def resolve_pretrained(cfg: Any) -> Any:
    """The config with PRETRAIN_PATH filled for a MobileNetV2 that asks for ImageNet weights.

    FastReID has no address for it; torchvision's weights are fetched and stored renamed.

    Raises:
        FileNotFoundError: PRETRAIN_PATH is set and no file is there.
        ValueError: the file holds no weights of FastReID's names, or there are none for this DEPTH.
    """
    path = cfg.MODEL.BACKBONE.PRETRAIN_PATH
    if not cfg.MODEL.BACKBONE.PRETRAIN:
        return cfg
    if "features.18.0.weight" in check_pretrain_path(path):
        raise ValueError(
            f'MODEL.BACKBONE.PRETRAIN_PATH "{path}" has the parameter names of torchvision, not '
            'those of FastReID. Set it to "" and put the file at '
            f'"{cached_path(os.path.basename(MOBILENETV2_URL))}", where it is found and renamed.'
        )
    if path:
        return cfg
    if cfg.MODEL.BACKBONE.DEPTH != "1.0x":
        raise ValueError(
            f"there are no ImageNet weights for MobileNetV2 {cfg.MODEL.BACKBONE.DEPTH}: set "
            "MODEL.BACKBONE.PRETRAIN_PATH, or MODEL.BACKBONE.PRETRAIN False."
        )
    target = cached_path("partialreid_mobilenetv2.pth")
    if os.path.isfile(target):
        readable_weights(target)
    else:
        state = rename_torchvision_mobilenetv2(hub_weights(MOBILENETV2_URL))
        with one_at_a_time(target):
            if not os.path.isfile(target):
                with whole_file(target) as file:
                    torch.save(state, file)
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.BACKBONE.PRETRAIN_PATH = target
    return cfg
