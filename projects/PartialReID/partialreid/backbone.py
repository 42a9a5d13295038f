"""MobileNetV2 with the output stride that a spatial pyramid needs.

FastReID's MobileNetV2 divides height and width by 32 and offers no LAST_STRIDE. A 256 x 128 image
then has an 8 x 4 map, too small for the pyramid; at stride 16 it is 16 x 8.
"""

from __future__ import annotations

from typing import Any

from fastreid.modeling.backbones import BACKBONE_REGISTRY
from fastreid.modeling.backbones.mobilenet import build_mobilenetv2_backbone
from torch import nn

from .pretrained import resolve_pretrained


@BACKBONE_REGISTRY.register()
def build_mobilenetv2_stride_backbone(cfg: Any) -> nn.Module:
    """FastReID's MobileNetV2, its last stride-2 stage at stride MODEL.BACKBONE.LAST_STRIDE.

    Parameter names are FastReID's, so that its checkpoints load.

    Raises:
        ValueError: LAST_STRIDE is neither 1 nor 2.
    """
    last_stride = cfg.MODEL.BACKBONE.LAST_STRIDE
    if last_stride not in (1, 2):
        raise ValueError(f"MODEL.BACKBONE.LAST_STRIDE is {last_stride}; it can be 1 or 2.")
    model = build_mobilenetv2_backbone(resolve_pretrained(cfg))
    if last_stride == 1:
        strided = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
        strided[-1].stride = (1, 1)
    return model
