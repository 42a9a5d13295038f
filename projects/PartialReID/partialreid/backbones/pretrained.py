"""ImageNet weights: found in the cache of torch hub or downloaded by it, never through gdown."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import torch
from fastreid.utils import comm
from torch import Tensor

from .pretrained_files import check_pretrain_path

logger = logging.getLogger(__name__)

MOBILENETV2_URL = "https://download.pytorch.org/models/mobilenet_v2-7ebf99e0.pth"
# FastReID's modules that call `init_pretrained_weights(key)` and gdown inside it.
GDOWN_MODULES = tuple(f"fastreid.modeling.backbones.{n}" for n in ("resnet", "osnet", "resnext"))


def _cached(name: str) -> str:
    """Where torch hub keeps a file of this name."""
    return os.path.join(torch.hub.get_dir(), "checkpoints", name)


def hub_weights(url: str, name: str = "") -> dict[str, Tensor]:
    """The state dict at a URL, from torch hub's cache if it is there.

    Args:
        url: where it is published.
        name: of the file in the cache, by default as in the URL.

    Raises:
        RuntimeError: it is not in the cache and cannot be downloaded, or it is damaged; the message
            names the file and the ways out.
    """
    name = name or url.split("/")[-1]
    cached = _cached(name)
    error: Exception | None = None
    state: dict[str, Tensor] = {}
    for turn in (True, False):
        # The main process downloads; the others then read the same cache.
        if comm.is_main_process() == turn:
            try:
                if "drive.google.com" in url and not os.path.isfile(cached):
                    raise OSError("torch hub cannot fetch from Google Drive")
                state = torch.hub.load_state_dict_from_url(
                    url,
                    map_location="cpu",
                    progress=sys.stderr.isatty(),
                    file_name=name,
                    weights_only=True,
                )
            except Exception as caught:  # a damaged file raises at least four types
                error = caught
        comm.synchronize()
    if error is not None and os.path.isfile(cached):
        raise RuntimeError(
            f'the ImageNet weights "{cached}" cannot be read ({type(error).__name__}): the file is '
            "damaged or of another kind. Remove it, so that it is downloaded again."
        ) from error
    if error is not None:
        raise RuntimeError(
            f"the ImageNet weights {name} could not be downloaded ({error}). Put the file at "
            f'"{cached}", or set MODEL.BACKBONE.PRETRAIN_PATH to a file of your own, or '
            "MODEL.BACKBONE.PRETRAIN False to start from random weights."
        ) from error
    logger.info(f"ImageNet weights: {cached}")
    return state


def _weights_of_module(module: Any) -> Any:
    def init_pretrained_weights(*arguments: Any) -> dict[str, Tensor]:
        """Replacement of FastReID's function of this name: the last argument is the key.

        OSNet's takes the model before it and keeps the file under a name of its own.
        """
        key = arguments[-1]
        if key not in module.model_urls:
            raise ValueError(
                f"FastReID knows no ImageNet weights for the backbone {key}: set "
                "MODEL.BACKBONE.PRETRAIN_PATH, or MODEL.BACKBONE.PRETRAIN False."
            )
        name = f"{key}_imagenet.pth" if len(arguments) > 1 else ""
        return hub_weights(module.model_urls[key], name)

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
        ValueError: the file holds no weights of FastReID's names, or there are none for this DEPTH.
    """
    path = cfg.MODEL.BACKBONE.PRETRAIN_PATH
    if not cfg.MODEL.BACKBONE.PRETRAIN:
        return cfg
    if "features.18.0.weight" in check_pretrain_path(path):
        raise ValueError(
            f'MODEL.BACKBONE.PRETRAIN_PATH "{path}" has the parameter names of torchvision, not '
            'those of FastReID. Set it to "" and put the file at '
            f'"{_cached(os.path.basename(MOBILENETV2_URL))}", where it is found and renamed.'
        )
    if path:
        return cfg
    if cfg.MODEL.BACKBONE.DEPTH != "1.0x":
        raise ValueError(
            f"there are no ImageNet weights for MobileNetV2 {cfg.MODEL.BACKBONE.DEPTH}: set "
            "MODEL.BACKBONE.PRETRAIN_PATH, or MODEL.BACKBONE.PRETRAIN False."
        )
    target = _cached("partialreid_mobilenetv2.pth")
    # All processes take the same way, as `hub_weights` waits for all of them; each writes the file,
    # whole, for the cache may be another one on another machine.
    if any(comm.all_gather(not os.path.isfile(target))):
        state = rename_torchvision_mobilenetv2(hub_weights(MOBILENETV2_URL))
        temporary = f"{target}.{comm.get_rank()}.{os.getpid()}.tmp"
        torch.save(state, temporary)
        os.replace(temporary, target)
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.BACKBONE.PRETRAIN_PATH = target
    return cfg


install()
