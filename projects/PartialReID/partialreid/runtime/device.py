"""MODEL.DEVICE: which device "auto" stands for."""

from __future__ import annotations

from typing import Any

import torch

DEVICES = ("auto", "cuda", "cpu")


def resolve_device(wanted: str) -> str:
    """MODEL.DEVICE as "cuda" or "cpu".

    Raises:
        ValueError: "cuda" is asked for and there is no GPU, or the name is another one.
    """
    available = torch.cuda.is_available()
    if wanted == "auto":
        return "cuda" if available else "cpu"
    if wanted not in DEVICES:
        raise ValueError(
            f"MODEL.DEVICE is {wanted!r}; it can be {', '.join(DEVICES[:-1])} or {DEVICES[-1]}. "
            "CUDA_VISIBLE_DEVICES selects which GPUs are used."
        )
    if wanted == "cuda" and not available:
        raise ValueError(
            "MODEL.DEVICE is cuda but torch sees no GPU: set MODEL.DEVICE cpu (or auto), or install"
            " a torch that fits the driver."
        )
    return wanted


def settle_device(cfg: Any) -> None:
    """Replace "auto" in MODEL.DEVICE by what it stands for, in a frozen config too.

    FastReID's `build_model` and loaders read the key themselves and know no "auto".
    """
    if cfg.MODEL.DEVICE != "auto":
        return
    frozen = cfg.MODEL.is_frozen()
    cfg.MODEL.defrost()
    cfg.MODEL.DEVICE = resolve_device("auto")
    if frozen:
        cfg.MODEL.freeze()
