"""A small residual network that is trained from random weights in minutes on a CPU.

Height and width are divided by 8 only: a 128 x 64 image has a 16 x 8 map, with just enough room for
the pyramid's largest window of 8 x 8 cells. It is meant for small images and small training sets.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from fastreid.layers import get_norm
from fastreid.modeling.backbones import BACKBONE_REGISTRY
from torch import Tensor, nn

STEM = 32  # channels after the first convolution
WIDTHS = (32, 64, 128)  # channels of the three blocks


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (basic block of He et al., CVPR 2016).

    Args:
        in_planes: channels of the input.
        planes: channels of the output.
        stride: of the first convolution and of the shortcut.
        norm: FastReID's name of the normalisation, such as "BN".
    """

    def __init__(self, in_planes: int, planes: int, stride: int, norm: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride, 1, bias=False)
        self.bn1 = get_norm(norm, planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = get_norm(norm, planes)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_planes != planes:
            conv = nn.Conv2d(in_planes, planes, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, get_norm(norm, planes))

    def forward(self, features: Tensor) -> Tensor:
        """From (B, in_planes, H, W) to (B, planes, H / stride, W / stride), rounded up."""
        inner = F.relu(self.bn1(self.conv1(features)))
        return F.relu(self.bn2(self.conv2(inner)) + self.shortcut(features))


class SmallResNet(nn.Module):
    """A 5 x 5 stem of stride 2 and three residual blocks of strides 2, 2 and `last_stride`.

    Args:
        last_stride: stride of the last block; the whole network has 8 times that.
        norm: FastReID's name of the normalisation, such as "BN".
    """

    def __init__(self, last_stride: int = 1, norm: str = "BN") -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, STEM, 5, 2, 2, bias=False)
        self.stem_bn = get_norm(norm, STEM)
        inputs, strides = (STEM, *WIDTHS), (2, 2, last_stride)
        self.blocks = nn.Sequential(
            *(ResidualBlock(inputs[i], WIDTHS[i], stride, norm) for i, stride in enumerate(strides))
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """From images (B, 3, H, W) to a map (B, 128, H / 8, W / 8) at `last_stride` 1."""
        return self.blocks(F.relu(self.stem_bn(self.stem(images))))


@BACKBONE_REGISTRY.register()
def build_small_resnet_backbone(cfg: Any) -> nn.Module:
    """A `SmallResNet` of stride 8 (MODEL.BACKBONE.LAST_STRIDE 1) or 16 (2).

    Raises:
        ValueError: LAST_STRIDE is neither 1 nor 2, FEAT_DIM is not the width of the map, or
            PRETRAIN asks for weights that do not exist.
    """
    settings = cfg.MODEL.BACKBONE
    if settings.LAST_STRIDE not in (1, 2):
        raise ValueError(f"MODEL.BACKBONE.LAST_STRIDE is {settings.LAST_STRIDE}; it can be 1 or 2.")
    if WIDTHS[-1] != settings.FEAT_DIM:
        raise ValueError(
            f"MODEL.BACKBONE.FEAT_DIM is {settings.FEAT_DIM}, but build_small_resnet_backbone has "
            f"{WIDTHS[-1]} channels: set it to {WIDTHS[-1]}."
        )
    if settings.PRETRAIN:
        raise ValueError(
            "MODEL.BACKBONE.PRETRAIN is True, but build_small_resnet_backbone has no pretrained "
            "weights: set it to False."
        )
    return SmallResNet(settings.LAST_STRIDE, settings.NORM)
