"""The network of a config, built and run on one empty image before long work.

An unknown layer, a map too small for the pyramid, a width that does not fit: all of it shows here,
and not after the epochs that come before the first evaluation.

Shapes: H x W input, C channels of the map.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from fastreid.modeling.backbones import BACKBONE_REGISTRY
from fastreid.modeling.heads import REID_HEADS_REGISTRY
from fastreid.modeling.meta_arch import META_ARCH_REGISTRY, Baseline

from ..config import config_value
from .recorded_config import recorded

REGISTRIES = {
    "MODEL.META_ARCHITECTURE": META_ARCH_REGISTRY,
    "MODEL.BACKBONE.NAME": BACKBONE_REGISTRY,
    "MODEL.HEADS.NAME": REID_HEADS_REGISTRY,
}
NAMES_A_KEY = re.compile(r"\b(MODEL|INPUT|TEST)(\.[A-Z_]+)+")
# The keys that each network has read which has passed, by its settings: a comparison asks for the
# same network many times.
_passed: dict[str, frozenset[str]] = {}


def check_network(cfg: Any, eval_only: bool) -> frozenset[str]:
    """Build the network on the CPU and run it on an image of each size that it will get.

    Architectures that are not built on FastReID's Baseline are not run: who knows their inputs?

    Args:
        cfg: config.
        eval_only: whether there will be no training.

    Returns:
        The keys that were read to build it.

    Raises:
        ValueError: it cannot be built or take these images; names the keys.
    """
    sizes = input_sizes(cfg, eval_only)
    settings = f"{cfg.MODEL.dump()}{cfg.INPUT.dump()}{cfg.TEST.DSR.ENABLED}{sorted(sizes)}"
    if settings not in _passed:
        check_registered(cfg)
        _passed[settings] = _build_and_run(cfg, sizes)
    return _passed[settings]


def check_registered(cfg: Any) -> None:
    """Check the names of architecture, backbone and head.

    Raises:
        ValueError: there is none of that name; lists those that there are.
    """
    for key, registry in REGISTRIES.items():
        known = sorted(registry._obj_map)
        if config_value(cfg, key) not in known:
            raise ValueError(f"{key} is {config_value(cfg, key)!r}; it can be {', '.join(known)}.")


def input_sizes(cfg: Any, eval_only: bool = False) -> dict[str, tuple[int, int]]:
    """Height and width of the images that the network gets in test and in training, if there is.

    Returns:
        By the key that says so.

    Raises:
        ValueError: the images of one batch would differ in size.
    """
    steps = cfg.INPUT
    cropped = list(steps.CROP.SIZE) * (2 if len(steps.CROP.SIZE) == 1 else 1)
    found: dict[str, tuple[int, int]] = {}
    kinds = [("INPUT.SIZE_TEST", steps.SIZE_TEST, steps.CROP.ENABLED)]
    if not eval_only:
        # Padded images are cut to the size of the training again.
        crop_alone = steps.CROP.ENABLED and not steps.PADDING.ENABLED
        kinds.append(("INPUT.SIZE_TRAIN", steps.SIZE_TRAIN, crop_alone))
    for key, size, crop in kinds:
        if crop:
            found[key] = (cropped[0], cropped[1])
        elif len(size) == 2 and min(size) > 0:
            found[key] = (size[0], size[1])
        else:
            # FastReID leaves the images as they are for 0, and keeps the proportions for one side.
            raise ValueError(
                f"{key} is {list(size)}, with which the images of a batch differ in size: give "
                "[height, width]."
            )
    return found


def _build_and_run(cfg: Any, sizes: dict[str, Any]) -> frozenset[str]:
    named = (
        f"MODEL.META_ARCHITECTURE {cfg.MODEL.META_ARCHITECTURE}, MODEL.BACKBONE.NAME "
        f"{cfg.MODEL.BACKBONE.NAME} of MODEL.BACKBONE.DEPTH {cfg.MODEL.BACKBONE.DEPTH} and "
        f"MODEL.HEADS.NAME {cfg.MODEL.HEADS.NAME}"
    )
    cfg, reads = recorded(cfg)
    cfg.MODEL.BACKBONE.PRETRAIN = False
    cfg.MODEL.DEVICE = "cpu"
    # Two classes: their number comes from the training set or the checkpoint.
    cfg.MODEL.HEADS.NUM_CLASSES = 2
    reads.clear()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        kind = META_ARCH_REGISTRY.get(cfg.MODEL.META_ARCHITECTURE)
        try:
            model = kind(cfg).eval()
        except Exception as error:  # FastReID asserts, looks up and concatenates
            if isinstance(error, ValueError) and NAMES_A_KEY.search(str(error)):
                raise
            raise ValueError(f"{named} cannot be built ({_said(error)}).") from error
        keys = frozenset(reads)
        if not isinstance(model, Baseline):
            return keys
        for key, (height, width) in sizes.items():
            try:
                features = model.backbone(torch.zeros(1, 3, height, width))
                _check_channels(cfg, features.shape[1])
                outputs = model.heads(features)
            except ValueError as error:
                raise ValueError(f"{key} [{height}, {width}]: {error}") from error
            except Exception as error:  # torch raises RuntimeError, FastReID asserts
                raise ValueError(
                    f"{key} [{height}, {width}] does not fit {named} ({_said(error)})."
                ) from error
            if cfg.TEST.DSR.ENABLED and not isinstance(outputs, tuple):
                raise ValueError(
                    f"TEST.DSR.ENABLED is True, but MODEL.HEADS.NAME {cfg.MODEL.HEADS.NAME} gives "
                    "no columns to reconstruct: set the second to DSRHead or DSR2018Head, or the "
                    "first to False."
                )
    return keys


def _check_channels(cfg: Any, channels: int) -> None:
    if channels != cfg.MODEL.BACKBONE.FEAT_DIM:
        raise ValueError(
            f"MODEL.BACKBONE.FEAT_DIM is {cfg.MODEL.BACKBONE.FEAT_DIM}, but the backbone gives "
            f"{channels} channels: set it to {channels}."
        )


def _said(error: Exception) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
