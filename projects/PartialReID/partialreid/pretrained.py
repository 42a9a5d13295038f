"""ImageNet weights: found in the cache of torch hub or downloaded by it, never through gdown."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any
from urllib.error import URLError

import torch
from fastreid.utils import comm
from torch import Tensor

logger = logging.getLogger(__name__)

MOBILENETV2_URL = "https://download.pytorch.org/models/mobilenet_v2-7ebf99e0.pth"
# FastReID's modules that call `init_pretrained_weights(key)` and gdown inside it.
GDOWN_MODULES = tuple(f"fastreid.modeling.backbones.{n}" for n in ("resnet", "osnet", "resnext"))


def hub_weights(url: str) -> dict[str, Tensor]:
    """The state dict at a URL, from torch hub's cache if it is there.

    Raises:
        RuntimeError: it is not in the cache and cannot be downloaded; names both ways out.
    """
    name = url.split("/")[-1]
    cached = os.path.join(torch.hub.get_dir(), "checkpoints", name)
    error: Exception | None = None
    state: dict[str, Tensor] = {}
    for turn in (True, False):
        # The main process downloads; the others then read the same cache.
        if comm.is_main_process() == turn and "drive.google.com" not in url:
            try:
                state = torch.hub.load_state_dict_from_url(
                    url, map_location="cpu", progress=sys.stderr.isatty(), weights_only=True
                )
            except (URLError, OSError) as caught:
                error = caught
        comm.synchronize()
    if not state:
        reason = error or "torch hub cannot fetch from Google Drive"
        raise RuntimeError(
            f"the ImageNet weights {name} could not be downloaded ({reason}). Put the file at "
            f'"{cached}", or set MODEL.BACKBONE.PRETRAIN_PATH to a file of your own, or '
            "MODEL.BACKBONE.PRETRAIN False to start from random weights."
        )
    logger.info(f"ImageNet weights: {cached}")
    return state


def _weights_of_module(module: Any) -> Any:
    def init_pretrained_weights(key: str) -> dict[str, Tensor]:
        """Replacement of FastReID's function of this name."""
        return hub_weights(module.model_urls[key])

    return init_pretrained_weights


def install() -> None:
    """Put hub downloads in the place of FastReID's gdown downloads, without touching its files."""
    for name in GDOWN_MODULES:
        module = sys.modules[name]
        module.init_pretrained_weights = _weights_of_module(module)  # type: ignore[attr-defined]


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
    """
    path = cfg.MODEL.BACKBONE.PRETRAIN_PATH
    if not cfg.MODEL.BACKBONE.PRETRAIN:
        return cfg
    check_pretrain_path(path)
    if path:
        return cfg
    if cfg.MODEL.BACKBONE.DEPTH != "1.0x":
        raise ValueError(
            f"there are no ImageNet weights for MobileNetV2 {cfg.MODEL.BACKBONE.DEPTH}: set "
            "MODEL.BACKBONE.PRETRAIN_PATH, or MODEL.BACKBONE.PRETRAIN False."
        )
    target = os.path.join(torch.hub.get_dir(), "checkpoints", "partialreid_mobilenetv2.pth")
    if not os.path.isfile(target):
        state = rename_torchvision_mobilenetv2(hub_weights(MOBILENETV2_URL))
        if comm.is_main_process():
            torch.save(state, target + ".tmp")
            os.replace(target + ".tmp", target)
        comm.synchronize()
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.BACKBONE.PRETRAIN_PATH = target
    return cfg


def check_pretrain_path(path: str) -> None:
    """Raise FileNotFoundError if PRETRAIN_PATH is set and no file is there."""
    if path and not os.path.isfile(path):
        raise FileNotFoundError(
            f'MODEL.BACKBONE.PRETRAIN_PATH "{path}" is not a file. Set it to the ImageNet weights, '
            'to "" for a download, or MODEL.BACKBONE.PRETRAIN False for random weights.'
        )


install()
