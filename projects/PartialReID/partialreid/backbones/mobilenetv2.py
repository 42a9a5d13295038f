"""MobileNetV2 with the output stride that a spatial pyramid needs.

FastReID's MobileNetV2 divides height and width by 32 and offers no LAST_STRIDE. A 256 x 128 image
then has an 8 x 4 map, too small for the pyramid; at stride 16 it is 16 x 8.
"""

from __future__ import annotations

from typing import Any

from fastreid.layers import IBN, get_norm
from fastreid.modeling.backbones import BACKBONE_REGISTRY
from fastreid.modeling.backbones.mobilenet import build_mobilenetv2_backbone
from torch import nn

from .instance_batch_norm import InstanceBatchNorm
from .mobilenetv2_weights import resolve_pretrained
from .strided_depthwise import use_strided_depthwise

# The blocks at strides 4 to 16, before the map has its last stride: of a ResNet these are the
# stages that IBN-a is in. The first block has no convolution that widens it. That of the second
# gives channels whose mean over an image is hundreds of times what they vary by: to normalise these
# by image would blow up rounding.
IBN_BLOCKS = range(3, 11)


@BACKBONE_REGISTRY.register()
def build_mobilenetv2_stride_backbone(cfg: Any) -> nn.Module:
    """FastReID's MobileNetV2, its last stride-2 stage at stride MODEL.BACKBONE.LAST_STRIDE.

    Parameter names are FastReID's, so that its checkpoints load. All its layers are normalised by
    MODEL.BACKBONE.NORM, where FastReID leaves plain batch norm in the last layer of most blocks.
    MODEL.BACKBONE.WITH_IBN normalises half of the channels by image, see `mix_in_instance_norm`.

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
    use_strided_depthwise(model)
    if cfg.MODEL.BACKBONE.WITH_IBN:
        mix_in_instance_norm(model, cfg.MODEL.BACKBONE.NORM)
    return model


def mix_in_instance_norm(model: nn.Module, norm: str) -> None:
    """Normalise half of the channels by image in the early blocks, as IBN-a (Pan et al. 2018) does.

    What differs between cameras in brightness and colour is in the statistics of an image's early
    maps. IBN-a has instance norm after the first convolution of a block, in all stages but the
    last; here that is the convolution that widens the block. Weights and statistics of the norm
    that was there go over.
    """
    for number in IBN_BLOCKS:
        layers: Any = model.get_submodule(f"features.{number}.conv")
        before = layers[1].state_dict()
        kind = InstanceBatchNorm if norm == "BN" else IBN
        mixed = kind(layers[1].num_features, norm)
        half = mixed.half
        parts = {f"IN.{name}": before[name][:half] for name in ("weight", "bias")}
        for name in mixed.BN.state_dict():
            value = before[name]
            parts[f"BN.{name}"] = value[half:] if value.dim() else value
        mixed.load_state_dict(parts)
        layers[1] = mixed


def _replace_plain_norms(model: nn.Module, norm: str) -> None:
    """Put FastReID's norm of this name in the place of torch's own, with its weights."""
    for block in list(model.modules()):
        for name, layer in list(block.named_children()):
            if type(layer) is nn.BatchNorm2d:
                wanted = get_norm(norm, layer.num_features)
                # Pretrained weights; group norm has no statistics to take.
                wanted.load_state_dict(layer.state_dict(), strict=False)
                setattr(block, name, wanted)
