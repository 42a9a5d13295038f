"""The mean and the deviation of the images that a network of timm was trained on.

Most have those of ImageNet, as FastReID; many vision transformers have others.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from functools import cache
from typing import Any

from fastreid.config import get_cfg

from .timm_networks import BUILDER, published

logger = logging.getLogger(__name__)
# Grey values, of 255: statistics that differ by less are the same, rounded.
ROUNDING = 0.01
KEYS = frozenset({"MODEL.PIXEL_MEAN", "MODEL.PIXEL_STD"})


def statistics(name: str) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel of a network's training images, in 0..255.

    Args:
        name: of the network, as timm has it. Networks for grey images get three channels.

    Raises:
        ValueError: timm is not installed, or has no network of this name.
    """
    found = published(name)
    means, deviations = (
        [round(255 * value, 3) for value in (values if len(values) == 3 else values * 3)]
        for values in (found.mean, found.std)
    )
    return means, deviations


def settle_statistics(cfg: Any, given: Collection[str] = ()) -> None:
    """Give a config that has FastReID's statistics those of its network of timm, in place.

    A config of another backbone stays as it is; so does one whose network cannot be had, which the
    check of the network says. This is for a config that is being set up. That of a saved model says
    how the model was trained, and must not be changed.

    Args:
        cfg: config.
        given: dotted keys that a user has set. Where one of them is a mean or a deviation, both
            stay, even if they are FastReID's.
    """
    if not KEYS.isdisjoint(given):
        return
    default = get_cfg().MODEL
    if cfg.MODEL.BACKBONE.NAME != BUILDER or _far(cfg, (default.PIXEL_MEAN, default.PIXEL_STD)):
        return
    try:
        wanted = statistics(cfg.MODEL.BACKBONE.TIMM)
    except ValueError:
        return
    if _far(cfg, wanted):
        cfg.MODEL.PIXEL_MEAN, cfg.MODEL.PIXEL_STD = wanted


def warn_of_statistics(cfg: Any) -> None:
    """Log, once, that images are normalised otherwise than those that the network has learnt.

    Raises:
        ValueError: as `statistics`.
    """
    name = cfg.MODEL.BACKBONE.TIMM
    mean, deviation = statistics(name)
    if _far(cfg, (mean, deviation)):
        _warn_once(
            f"MODEL.PIXEL_MEAN is {list(cfg.MODEL.PIXEL_MEAN)} and MODEL.PIXEL_STD "
            f"{list(cfg.MODEL.PIXEL_STD)}, but the weights of timm's {name} were trained with "
            f"{mean} and {deviation}"
        )


def _far(cfg: Any, wanted: Any) -> bool:
    held = [*cfg.MODEL.PIXEL_MEAN, *cfg.MODEL.PIXEL_STD]
    other = [*wanted[0], *wanted[1]]
    return len(held) != len(other) or any(abs(x - y) > ROUNDING for x, y in zip(held, other))


@cache
def _warn_once(said: str) -> None:
    logger.warning(said)
