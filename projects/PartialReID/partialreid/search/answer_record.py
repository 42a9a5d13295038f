"""What the numbers of an answer depend on, as it is saved beside them."""

from __future__ import annotations

import os
from typing import Any

import torch

from ..runtime.source_version import commit_of_source, version_of_source
from .calibration import Calibration
from .searchable import AnyGallery


def answer_record(
    cfg: Any,
    device: torch.device,
    dtype: str,
    gallery: AnyGallery,
    calibration: Calibration | None,
) -> dict[str, Any]:
    """Version, model, settings and gallery of an answer, plain values by their names.

    Args:
        cfg: config of the model.
        device: where its network is.
        dtype: that it computes in.
        gallery: that is searched.
        calibration: what its distances mean, if that is known.
    """
    settings, images = cfg.TEST.DSR, cfg.INPUT
    return {
        "version": version_of_source(),
        "commit": commit_of_source(),
        "model": os.path.basename(cfg.MODEL.WEIGHTS),
        "device": str(device),
        "inference_dtype": dtype,
        "gallery": len(gallery),
        "keep_ratio": images.KEEP_RATIO,
        "keep_ratio_whole": gallery.whole or images.KEEP_RATIO_WHOLE,
        "detail": images.DETAIL,
        "distance": settings.DISTANCE,
        "lambda": settings.LAMBDA,
        "kappa": settings.KAPPA,
        "shortlist": settings.SHORTLIST,
        "topk": settings.TOPK,
        "calibration": calibration.learnt_on if calibration else None,
    }
