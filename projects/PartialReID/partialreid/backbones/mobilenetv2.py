"""MobileNetV2 with the output stride that a spatial pyramid needs.

FastReID's MobileNetV2 divides height and width by 32 and offers no LAST_STRIDE. A 256 x 128 image
then has an 8 x 4 map, too small for the pyramid; at stride 16 it is 16 x 8.
"""

from __future__ import annotations

from typing import Any

from fastreid.layers import get_norm
from fastreid.modeling.backbones import BACKBONE_REGISTRY
from fastreid.modeling.backbones.mobilenet import build_mobilenetv2_backbone
from torch import nn

from .mobilenetv2_weights import resolve_pretrained


@BACKBONE_REGISTRY.register()
def build_mobilenetv2_stride_backbone(cfg: Any) -> nn.Module:
    """FastReID's MobileNetV2, its last stride-2 stage at stride MODEL.BACKBONE.LAST_STRIDE.

    Parameter names are FastReID's, so that its checkpoints load. All its layers are normalised by
    MODEL.BACKBONE.NORM, where FastReID leaves plain batch norm in the last layer of most blocks.

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
    if cfg.MODEL.BACKBONE.NORM != "BN":
        _replace_plain_norms(model, cfg.MODEL.BACKBONE.NORM)
    return model


def _replace_plain_norms(model: nn.Module, norm: str) -> None:
    """Put FastReID's norm of this name in the place of torch's own, with its weights."""
    for block in list(model.modules()):
        for name, layer in list(block.named_children()):
            if type(layer) is nn.BatchNorm2d:
                wanted = get_norm(norm, layer.num_features)
                # Pretrained weights; group norm has no statistics to take.
                wanted.load_state_dict(layer.state_dict(), strict=False)
                setattr(block, name, wanted)
